"""Goldens of files with quantized weights: comfy-kitchen's tiles of scales and MXFP8 tensors, the
safetensors library's bytes for the small types, microxcaling's halves away from zero, and the hashes
of whole transformers as torchao quantizes and the safetensors library writes them.

The scripts of tests/exports, which the end-to-end tests take for the truth, are compared here with
these libraries and ml_dtypes; their own test repeats that with the committed files only.
"""

import hashlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import torch
from comfy_kitchen.backends.eager.quantization import dequantize_mxfp8, quantize_mxfp8
from comfy_kitchen.float_utils import to_blocked
from safetensors import safe_open
from safetensors.torch import save_file
from torchao.prototype.mx_formats.mx_tensor import to_mx

from golden.common import numpy_rng, randn
from golden.formats import BLOCK, MICROXCALING_ENV, RULES, all_bf16, saturating_codes

EXPORTS = Path(__file__).resolve().parents[2] / "tests" / "exports"
GRIDS = ((1, 1), (3, 5), (31, 4), (32, 3), (96, 3), (127, 9), (128, 4), (129, 5), (160, 7),
         (257, 8))  # rows x columns of scales
WEIGHTS = {"one_tile_33x96": (33, 96), "four_tiles_130x160": (130, 160)}


def _export_module(name):
    if str(EXPORTS) not in sys.path:
        sys.path.insert(0, str(EXPORTS))
    return importlib.import_module(name)


def _require_equal(what, expected, got):
    if not np.array_equal(np.asarray(expected), np.asarray(got), equal_nan=True):
        raise SystemExit(f"tests/exports: {what} differ")


def check_codecs():
    """Every code and every bf16 value, by ml_dtypes; halves to even."""
    mxfp8 = _export_module("mxfp8")
    codes = np.arange(256, dtype=np.uint8)
    _require_equal("E4M3 values", codes.view(ml_dtypes.float8_e4m3fn).astype(np.float64),
                   mxfp8.decode_e4m3(codes))
    _require_equal("E8M0 values", codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float64),
                   mxfp8.decode_e8m0(codes))
    values = all_bf16()
    values = values[np.isfinite(values)]
    _require_equal("E4M3 codes", saturating_codes(values, ml_dtypes.float8_e4m3fn, 448),
                   mxfp8.encode_e4m3(values, "even"))


def write_swizzle(writer):
    """`RxC.row_major` and `RxC.swizzled`, U8, the latter in the padded shape."""
    mxfp8 = _export_module("mxfp8")
    tensors = {}
    for rows, columns in GRIDS:
        scales = numpy_rng("offline", "swizzle", rows, columns).integers(
            1, 255, (rows, columns), dtype=np.uint8)
        blocked = to_blocked(torch.from_numpy(scales), flatten=False).numpy()
        _require_equal(f"swizzled scales {rows}x{columns}", blocked, mxfp8.swizzle(scales))
        _require_equal(f"unswizzled scales {rows}x{columns}", scales,
                       mxfp8.unswizzle(blocked, rows, columns))
        tensors[f"{rows}x{columns}.row_major"] = torch.from_numpy(scales)
        tensors[f"{rows}x{columns}.swizzled"] = torch.from_numpy(blocked)
    writer.tensors("offline/swizzle.safetensors", tensors, "offline.write_swizzle")


def write_comfy(writer):
    """A weight as comfy-kitchen quantizes it: `NAME.input` BF16, `.weight` F8_E4M3,
    `.weight_scale` F8_E8M0 in tiles, `.dequantized` F32."""
    mxfp8 = _export_module("mxfp8")
    tensors = {}
    for name, shape in WEIGHTS.items():
        weight = (randn(shape, "offline", "comfy", name) * 0.05).to(torch.bfloat16)
        codes, scales = quantize_mxfp8(weight)
        values = dequantize_mxfp8(codes, scales, torch.float32)
        got_codes, got_scales = mxfp8.quantize(weight.float().numpy(), "rceil", "even")
        _require_equal(f"{name}: codes", codes.view(torch.uint8), got_codes)
        _require_equal(f"{name}: scales", scales.view(torch.uint8), mxfp8.swizzle(got_scales))
        _require_equal(f"{name}: values", values, mxfp8.dequantize(got_codes, got_scales))
        tensors.update({f"{name}.input": weight, f"{name}.weight": codes,
                        f"{name}.weight_scale": scales, f"{name}.dequantized": values})
    writer.tensors("offline/comfy.safetensors", tensors, "offline.write_comfy")


def write_library_types(writer):
    """One tensor of each type that quantized checkpoints hold, by the safetensors library."""
    st = _export_module("safetensors_file")
    bytes_ = torch.arange(7, dtype=torch.uint8)
    tensors = {
        "b.weight": bytes_.view(torch.float8_e4m3fn), "a.weight": bytes_.view(torch.float8_e5m2),
        "b.weight_scale": bytes_.view(torch.float8_e8m0fnu), "c.weight_scale": bytes_,
        "d.int8": bytes_.to(torch.int8), "e.bool": bytes_ > 2, "f.bf16": bytes_.to(torch.bfloat16),
        "f.f16": bytes_.to(torch.float16), "g.i16": bytes_.to(torch.int16),
        "g.u16": bytes_.to(torch.uint16), "h.bias": bytes_.to(torch.float32),
        "h.i32": bytes_.to(torch.int32), "h.u32": bytes_.to(torch.uint32),
        "i.f64": bytes_.to(torch.float64), "i.i64": bytes_.to(torch.int64),
        "i.u64": bytes_.to(torch.uint64), "a.weight_scale": bytes_.reshape(7, 1),
    }
    name = "offline/library_types.safetensors"
    writer.tensors(name, tensors, "offline.write_library_types", {"by": "safetensors"})
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.safetensors"
        st.write(copy, *st.read(writer.root / name))
        _require_equal("bytes of a file", np.fromfile(writer.root / name, np.uint8),
                       np.fromfile(copy, np.uint8))


def write_floor_half_away(writer):
    """`input` [n, 32] of ties, ends and random values with the `dequantized` blocks of
    microxcaling: floor scales, halves away from zero, as msmodelslim."""
    name, made_by = "offline/floor_half_away.safetensors", "offline.write_floor_half_away"
    checkout = os.environ.get(MICROXCALING_ENV)
    if checkout is None:
        print(f"make_golden: {MICROXCALING_ENV} is not set, {name} kept")
        writer.path(name, made_by)
        return
    mxfp8 = _export_module("mxfp8")
    rng = numpy_rng("offline", "floor_half_away")
    eighths = rng.integers(0, 512, (160, 32)) / 16.0  # every second one a tie at some exponent
    blocks = np.ldexp(eighths, rng.integers(-12, 3, (160, 32)))
    blocks = np.ldexp(blocks, rng.integers(-60, 60, (160, 1)))
    blocks *= rng.choice([-1.0, 1.0], blocks.shape)
    blocks = np.concatenate([blocks, rng.standard_normal((96, 32))]).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npy", Path(folder) / "out.npz"
        np.save(source, blocks)
        subprocess.run([sys.executable, Path(__file__).parent / "microxcaling_blocks.py", checkout,
                        source, target], check=True)
        expected = np.load(target)["e4m3.floor.half_away"]
    codes, scales = mxfp8.quantize(blocks)
    _require_equal("floor scales, halves away from zero", expected, mxfp8.dequantize(codes, scales))
    writer.tensors(name, {"input": torch.from_numpy(blocks),
                          "dequantized": torch.from_numpy(expected)}, made_by)


def _quantized_as_by_torchao(tensors):
    """The linear layers of the blocks: codes, scales as bytes, bias in fp32; all else as it is."""
    linear = re.compile(r"blocks\.\d+\.(attn[12]\.to_(q|k|v|out\.0)|ffn\.net\.(0\.proj|2))\.(.*)")
    result = {}
    for name, tensor in tensors.items():
        match = linear.fullmatch(name)
        if match and match[4] == "weight":
            scales, codes = to_mx(tensor.float(), torch.float8_e4m3fn, BLOCK, RULES["rceil"])
            result |= {name: codes, f"{name}_scale": scales.view(torch.uint8)}
        else:
            result[name] = tensor.float() if match else tensor
    return result


def write_quantized_files(writer):
    """SHA-256 of whole quantized transformers of the tiny models, below VARIANT/FOLDER."""
    hashes = {}
    for folder in ("t2v-a14b/transformer", "t2v-a14b/transformer_2", "ti2v-5b/transformer"):
        name = Path(folder) / "diffusion_pytorch_model.safetensors"
        with safe_open(writer.root / "models" / name, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary) / "copy.safetensors"
            save_file(_quantized_as_by_torchao(tensors), copy, metadata={"format": "pt"})
            hashes[str(name)] = hashlib.sha256(copy.read_bytes()).hexdigest()
    writer.json("offline/quantized_files.json", hashes, "offline.write_quantized_files")


def write_offline(writer):
    check_codecs()
    write_swizzle(writer)
    write_comfy(writer)
    write_library_types(writer)
    write_floor_half_away(writer)
    write_quantized_files(writer)
