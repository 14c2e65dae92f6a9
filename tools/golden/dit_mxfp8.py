"""Wan transformer with MXFP8 linears, emulated in PyTorch: torchao quantises, fp32 multiplies.

The ten linears of every block take quantised weights and quantise their input per call (RCEIL,
round to nearest even, saturating); everything else is the fp32 model. `output` is that forward,
`sqnr_db` how far it is from the unquantised one. A value next to a rounding boundary may fall on
either side of it in another fp32 implementation; `sensitivity` says how far the output moves
then: the largest relative RMS over DRAWS forwards in which every value to be quantised carries
fp32 rounding noise.
"""

import math

import torch
from torch.nn import functional
from torchao.prototype.mx_formats.config import ScaleCalculationMode
from torchao.prototype.mx_formats.mx_tensor import to_mx

from golden import checkpoints, dit
from golden.common import randn

DRAWS = 24
ROUNDING_NOISE = 2.0**-22  # relative; what a few fp32 operations leave


def quantize_dequantize(value):
    """Nearest MXFP8 values, exact in fp32."""
    rows = value.reshape(-1, value.shape[-1]).contiguous()
    scale, codes = to_mx(rows, torch.float8_e4m3fn, 32, ScaleCalculationMode.RCEIL)
    exponents = scale.view(torch.uint8).to(torch.float64) - 127
    blocks = codes.to(torch.float64).unflatten(1, (-1, 32))
    exact = (blocks * torch.exp2(exponents).unsqueeze(-1)).flatten(1)
    return exact.to(torch.float32).reshape(value.shape)


class RoundingNoise:
    """Relative noise for the inputs of the quantisers; none until a draw is begun."""

    def __init__(self):
        self.draw = None
        self.calls = 0

    def begin(self, draw):
        self.draw = draw
        self.calls = 0

    def __call__(self, value):
        if self.draw is None:
            return value
        self.calls += 1
        return value * (1 + ROUNDING_NOISE * randn(value.shape, "noise", self.draw, self.calls))


def _emulate(linear, noise):
    weight = quantize_dequantize(linear.weight.detach())
    linear.forward = lambda x: functional.linear(quantize_dequantize(noise(x)), weight,
                                                 linear.bias)


def emulate_mxfp8(model, noise):
    """Replaces the forward of the ten linears of each block."""
    for block in model.blocks:
        for attention in (block.attn1, block.attn2):
            for linear in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0]):
                _emulate(linear, noise)
        _emulate(block.ffn.net[0].proj, noise)
        _emulate(block.ffn.net[2], noise)


def _distance(value, reference):
    return ((value - reference).norm() / reference.norm()).item()


def _sensitivity(model, inputs, output, noise):
    """Largest distance from `output` when everything to be quantised carries rounding noise."""
    worst = 0.0
    for draw in range(DRAWS):
        noise.begin(draw)
        worst = max(worst, _distance(model(**inputs, return_dict=False)[0], output))
    return worst


@torch.no_grad()
def write_dit_mxfp8(writer):
    for name, subfolder, case, size, text_rows, timesteps in dit.CASES:
        variant = checkpoints.VARIANTS[name]
        model = checkpoints.load_transformer(writer, name, subfolder)
        exact = dit.run_case(model, variant, case, size, text_rows, timesteps)["output"]
        rounding_noise = RoundingNoise()
        emulate_mxfp8(model, rounding_noise)
        tensors = dit.run_case(model, variant, case, size, text_rows, timesteps)
        inputs = {key.removeprefix("input."): value for key, value in tensors.items()
                  if key.startswith("input.")}
        noise = _distance(tensors["output"], exact)
        kept = {key: tensors[key]
                for key in ("block0.attn1.to_q", "block0.output", "block1.output", "output")}
        writer.tensors(f"dit_mxfp8/{name}_{case}.safetensors", kept, "dit_mxfp8.write_dit_mxfp8",
                       {"variant": name, "subfolder": subfolder, "rule": "rceil",
                        "sqnr_db": -20 * math.log10(noise),
                        "sensitivity": _sensitivity(model, inputs, tensors["output"],
                                                     rounding_noise)})
