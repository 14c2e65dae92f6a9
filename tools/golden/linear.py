"""MXFP8 linear goldens: torchao quantisation, product of the dequantised values in float64."""

import torch
from torchao.prototype.mx_formats.config import ScaleCalculationMode
from torchao.prototype.mx_formats.mx_tensor import to_mx

from golden.common import generator, randn

# (name, M, K, N, kind of data)
CASES = (
    ("m1_k96_n33", 1, 96, 33, "gaussian"),
    ("m45_k96_n96", 45, 96, 96, "gaussian"),
    ("m45_k128_n127", 45, 128, 127, "heavy_tailed"),
    ("m7_k160_n17", 7, 160, 17, "outlier_channels"),
    ("m33_k224_n65", 33, 224, 65, "outlier_channels"),
    ("m5_k32_n1", 5, 32, 1, "heavy_tailed"),
    ("m13_k1056_n19", 13, 1056, 19, "gaussian"),
)


def _data(rows, columns, kind, *key):
    value = randn((rows, columns), "linear", *key)
    if kind == "heavy_tailed":
        value = value / torch.rand((rows, columns), generator=generator("linear", *key, "u"))
    elif kind == "outlier_channels":
        value[:, ::29] *= 60
    return value


def _quantize(value):
    """Element bytes, scale bytes and exact float64 values of torchao's RCEIL E4M3."""
    scale, codes = to_mx(value, torch.float8_e4m3fn, 32, ScaleCalculationMode.RCEIL)
    exponents = scale.view(torch.uint8).to(torch.float64) - 127
    blocks = codes.to(torch.float64).unflatten(1, (-1, 32))
    dequantized = (blocks * torch.exp2(exponents).unsqueeze(-1)).flatten(1)
    return codes.view(torch.uint8), scale.view(torch.uint8), dequantized


def write_linear(writer):
    for name, rows, depth, columns, kind in CASES:
        x = _data(rows, depth, kind, name, "x").to(torch.bfloat16)
        w = (_data(columns, depth, kind, name, "w") / depth**0.5).to(torch.bfloat16)
        bias = 0.1 * randn((columns,), "linear", name, "bias")
        x_codes, x_scale, x_value = _quantize(x)
        w_codes, w_scale, w_value = _quantize(w)
        tensors = {"x": x, "w": w, "bias": bias, "x.codes": x_codes, "x.scale": x_scale,
                   "w.codes": w_codes, "w.scale": w_scale,
                   "y": x_value @ w_value.T + bias.to(torch.float64),
                   "y.abs_sum": x_value.abs() @ w_value.abs().T + bias.abs().to(torch.float64),
                   "y.unquantized": x.double() @ w.double().T + bias.double()}
        writer.tensors(f"linear/mxfp8_{name}.safetensors", tensors, "linear.write_linear",
                       {"m": rows, "k": depth, "n": columns, "data": kind, "rule": "rceil"})
