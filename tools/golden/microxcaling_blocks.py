"""Runs microxcaling on blocks: python microxcaling_blocks.py CHECKOUT IN.npy OUT.npz

The result holds dequantised values, one array per element format and rounding.
"""

import sys

import numpy as np
import torch

ELEMENTS = {"e4m3": "fp8_e4m3", "e5m2": "fp8_e5m2", "int8": "int8"}
# microxcaling's `nearest` rounds halves away from zero, `even` is RNE.
ROUNDINGS = {"half_away": "nearest", "rne": "even"}


def main():
    checkout, source, target = sys.argv[1:]
    sys.path.insert(0, checkout)
    from mx.mx_ops import quantize_mx_op
    from mx.specs import MxSpecs

    blocks = torch.from_numpy(np.load(source))
    out = {}
    for element, name in ELEMENTS.items():
        for rounding, mode in ROUNDINGS.items():
            specs = MxSpecs()
            specs.update({"scale_bits": 8, "block_size": 32, "shared_exp_method": "max",
                          "custom_cuda": False})
            value = quantize_mx_op(blocks, specs, elem_format=name, axes=[1], round=mode)
            out[f"{element}.floor.{rounding}"] = value.to(torch.float32).numpy()
    np.savez(target, **out)


if __name__ == "__main__":
    main()
