"""Element and scale tables from ml_dtypes, torchao and microxcaling; exhaustive over bf16."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import torch
from torchao.prototype.mx_formats.config import ScaleCalculationMode
from torchao.prototype.mx_formats.mx_tensor import to_mx

from golden.common import numpy_rng

BLOCK = 32
RULES = {"floor": ScaleCalculationMode.FLOOR, "ceil": ScaleCalculationMode.CEIL,
         "even": ScaleCalculationMode.EVEN, "rceil": ScaleCalculationMode.RCEIL}
ELEMENTS = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
MICROXCALING = "https://github.com/microsoft/microxcaling, commit 7bc4195"
MICROXCALING_ENV = "MICROXCALING_DIR"


def all_bf16():
    """Every bf16 bit pattern as fp32 values, in the order of the patterns."""
    return (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)


def bytes_tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array).view(np.uint8).copy())


def write_decode(writer):
    """Value of every code. NaN is stored as NaN; the payload has no meaning. No table for bf16:
    the value is the fp32 number with the code as its upper half, as all_bf16 has it."""
    codes = np.arange(256, dtype=np.uint8)
    halves = np.arange(65536, dtype=np.uint16)
    tables = {
        "e4m3": codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32),
        "e5m2": codes.view(ml_dtypes.float8_e5m2).astype(np.float32),
        "e8m0": codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32),
        "e2m1": codes[:16].view(ml_dtypes.float4_e2m1fn).astype(np.float32),
        "fp16": halves.view(np.float16).astype(np.float32),
    }
    writer.tensors("formats/decode.safetensors",
                   {k: torch.from_numpy(v) for k, v in tables.items()}, "formats.write_decode")


def saturating_codes(values, kind, largest):
    """Codes of ml_dtypes' RNE cast after clamping finite and infinite values to +-largest.
    Clamping first is saturation: what lies above `largest` becomes `largest`. NaN stays NaN."""
    clamped = np.clip(values, -largest, largest)
    with np.errstate(invalid="ignore"):
        return clamped.astype(kind).view(np.uint8)


def write_encode(writer):
    """Every bf16 value encoded as an element (saturating RNE) or a scale; and all fp32 ties."""
    values = all_bf16()
    finite = np.where(np.isnan(values), 0, values)
    with np.errstate(invalid="ignore"):
        e8m0 = np.abs(values).astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    tensors = {
        "e4m3": saturating_codes(values, ml_dtypes.float8_e4m3fn, 448.0),
        "e5m2": saturating_codes(values, ml_dtypes.float8_e5m2, 57344.0),
        "e2m1_nan_as_zero": saturating_codes(finite, ml_dtypes.float4_e2m1fn, 6.0),
        "e8m0_of_abs": e8m0,
    }
    writer.tensors("formats/encode_bf16.safetensors",
                   {k: bytes_tensor(v) for k, v in tensors.items()}, "formats.write_encode")
    write_fp32_cases(writer)


def fp32_cases():
    """fp32 inputs around every tie and end of range of the element formats, and random bits."""
    rng = numpy_rng("fp32_cases")
    points = []
    for kind in (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float4_e2m1fn,
                 ml_dtypes.bfloat16, np.float16):
        codes = (np.arange(16 if kind is ml_dtypes.float4_e2m1fn else 256, dtype=np.uint8)
                 if np.dtype(kind).itemsize == 1 else
                 rng.integers(0, 65536, 400).astype(np.uint16))
        grid = np.unique(np.abs(codes.view(kind).astype(np.float32)))
        grid = grid[np.isfinite(grid)]
        points += [grid, (grid[1:].astype(np.float64) + grid[:-1]) / 2]
    points = np.concatenate(points).astype(np.float32)
    with np.errstate(all="ignore"):
        near = [np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(0))]
    bits = rng.integers(0, 2**32, 4000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    ends = np.array([0, 448, 464, 465, 480, 57344, 61440, 65504, 65519.99, 65520, 3.4e38, np.inf,
                     2**-126, 2**-127, 2**-149, 2**-10, 2**-17, 2**-25], np.float32)
    magnitude = np.concatenate([points, *near, ends])
    values = np.concatenate([magnitude, -magnitude, bits])
    return values[~np.isnan(values)]


def write_fp32_cases(writer):
    values = fp32_cases()
    with np.errstate(over="ignore"):
        tensors = {
            "input": torch.from_numpy(values),
            "e4m3": bytes_tensor(saturating_codes(values, ml_dtypes.float8_e4m3fn, 448.0)),
            "e5m2": bytes_tensor(saturating_codes(values, ml_dtypes.float8_e5m2, 57344.0)),
            "e2m1": bytes_tensor(saturating_codes(values, ml_dtypes.float4_e2m1fn, 6.0)),
            "fp16": torch.from_numpy(values.astype(np.float16).view(np.int16).copy()),
            "bf16": torch.from_numpy(values.astype(ml_dtypes.bfloat16).view(np.int16).copy()),
        }
    writer.tensors("formats/encode_fp32.safetensors", tensors, "formats.write_fp32_cases")


def write_scales(writer):
    """Scale byte that torchao derives from each bf16 value as the maximum of a block: the
    patterns 0x0000 ... 0x7FFF stored, those with the sign bit checked to give the same."""
    blocks = torch.zeros(65536, BLOCK, dtype=torch.bfloat16)
    blocks[:, 5] = torch.from_numpy(all_bf16()).to(torch.bfloat16)
    tensors = {}
    for element, dtype in ELEMENTS.items():
        for rule, mode in RULES.items():
            scale, _ = to_mx(blocks, dtype, BLOCK, mode)
            positive, negative = scale.view(torch.uint8).flatten().split(32768)
            if not torch.equal(positive, negative):
                raise SystemExit(f"scale of {element} {rule} depends on the sign")
            tensors[f"{element}.{rule}"] = positive
    writer.tensors("formats/scale_of_amax_bf16.safetensors", tensors, "formats.write_scales")


def blocks_fp32():
    """[n, 32] fp32: random blocks of several kinds and edge blocks; no NaN, no infinity."""
    rng = numpy_rng("blocks")
    kinds = [rng.normal(0, 1, (60, BLOCK)), rng.standard_t(2, (60, BLOCK)),
             rng.normal(0, 1, (40, BLOCK)) * 10.0 ** rng.uniform(-30, 30, (40, 1)),
             rng.normal(0, 1, (40, BLOCK)) * 2.0 ** rng.integers(-12, 12, (40, BLOCK))]
    # Few significant bits: many halves between two codes, for the rounding modes.
    kinds.append(rng.integers(-63, 64, (40, BLOCK)) * 2.0 ** rng.integers(-9, 9, (40, 1)))
    outliers = rng.normal(0, 0.02, (40, BLOCK))
    outliers[:, 7] *= 300
    kinds.append(outliers)
    edge = np.zeros((12, BLOCK))
    edge[1] = 448
    edge[2, :4] = (448, 449, 464, 480)
    edge[3] = np.linspace(-1.75, 1.75, BLOCK)
    edge[4, 0], edge[4, 1] = 1.9999999, -1.9999999
    edge[5] = -0.0
    edge[6] = 2.0 ** -np.arange(BLOCK)
    edge[7] = 3.0e38
    edge[8] = np.float32(2.0**-110) * np.linspace(1, 2, BLOCK)
    edge[9, 3] = 1.75 + 2.0**-23
    edge[10] = np.arange(BLOCK) + 0.5
    edge[11] = 57344 + np.arange(BLOCK)
    return np.concatenate(kinds + [edge]).astype(np.float32)


def write_blocks(writer):
    """torchao's to_mx, scale byte and element bytes, for fp32 and for bf16 input."""
    values = torch.from_numpy(blocks_fp32())
    tensors = {}
    for name, data in (("fp32", values), ("bf16", values.to(torch.bfloat16))):
        tensors[f"{name}.input"] = data
        for element, dtype in ELEMENTS.items():
            for rule, mode in RULES.items():
                scale, codes = to_mx(data, dtype, BLOCK, mode)
                tensors[f"{name}.{element}.{rule}.scale"] = scale.view(torch.uint8).flatten()
                tensors[f"{name}.{element}.{rule}.codes"] = codes.view(torch.uint8)
    writer.tensors("formats/blocks_torchao.safetensors", tensors, "formats.write_blocks")
    write_special_blocks(writer)


def write_special_blocks(writer):
    """Blocks with NaN, infinity, tiny maxima: what torchao does, which is one choice of many."""
    rows = []
    for value in (np.nan, np.inf, -np.inf, 2.0**-118, 2.0**-119, 2.0**-126, 2.0**-127, 2.0**-149,
                  3.4028235e38):
        row = np.zeros(BLOCK)
        row[3], row[9] = value, 0.5 * value if np.isfinite(value) else 1.0
        rows.append(row)
    data = torch.from_numpy(np.array(rows, np.float32))
    tensors = {"input": data}
    for rule, mode in RULES.items():
        scale, codes = to_mx(data, torch.float8_e4m3fn, BLOCK, mode)
        tensors[f"e4m3.{rule}.scale"] = scale.view(torch.uint8).flatten()
        tensors[f"e4m3.{rule}.codes"] = codes.view(torch.uint8)
    writer.tensors("formats/blocks_special_torchao.safetensors", tensors,
                   "formats.write_special_blocks")


def write_microxcaling(writer):
    """Dequantised blocks of microxcaling, run in a process of its own from a checkout whose
    folder MICROXCALING_DIR names; values only. Without it the committed file stays."""
    checkout = os.environ.get(MICROXCALING_ENV)
    if not checkout:
        print(f"make_golden: {MICROXCALING_ENV} is not set, formats/blocks_microxcaling kept")
        return
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npy", Path(folder) / "out.npz"
        np.save(source, blocks_fp32())
        script = Path(__file__).with_name("microxcaling_blocks.py")
        subprocess.run([sys.executable, str(script), checkout, str(source), str(target)],
                       check=True)
        result = np.load(target)
        tensors = {name: torch.from_numpy(result[name]) for name in sorted(result.files)}
    tensors["input"] = torch.from_numpy(blocks_fp32())
    writer.tensors("formats/blocks_microxcaling.safetensors", tensors,
                   "formats.write_microxcaling", {"source": MICROXCALING})


def write_formats(writer):
    write_decode(writer)
    write_encode(writer)
    write_scales(writer)
    write_blocks(writer)
    write_microxcaling(writer)
