"""MXINT8 on numpy alone: INT8 elements, one E8M0 scale for 32 of them.

From "OCP Microscaling Formats (MX) v1.0", sections 5.3.4, 5.4.1 and 6.3: an element is a two's
complement byte that counts steps of 2^-6 of the scale; -128 is left unused. Values are computed in
float64, in which every step is exact.
"""

import numpy as np

BLOCK = 32
STEPS = 64  # of an element in one scale
LARGEST = 127
SCALE_BIAS = 127  # of E8M0; 255 is NaN


def scale_exponents(largest, rule="floor"):
    """Of blocks of these largest magnitudes, which are finite and not zero."""
    mantissa, exponent = np.frexp(np.asarray(largest, np.float64))  # mantissa in [1/2, 1)
    exponent = exponent - 1  # floor(log2): the largest element, 1 63/64, has the exponent 0
    if rule == "rceil":  # smallest scale of which the largest magnitude is at most 127 steps
        exponent = exponent + (mantissa * 2 * STEPS > LARGEST)
    return np.clip(exponent, -SCALE_BIAS, 254 - SCALE_BIAS)


def quantize(weight, rule="floor", rounding="half-away"):
    """Codes [n, k] as bytes and scales [n, k/32] of a float32 weight [n, k]."""
    n, k = weight.shape
    if k % BLOCK:
        raise ValueError(f"k is {k}, no multiple of {BLOCK}")
    blocks = weight.astype(np.float64).reshape(n, k // BLOCK, BLOCK)
    largest = np.abs(blocks).max(axis=2)
    exponents = scale_exponents(np.where(largest == 0, 1, largest), rule)
    exponents = np.where(largest == 0, -SCALE_BIAS, exponents)
    steps = np.ldexp(blocks * STEPS, -exponents[:, :, None])
    if rounding == "half-away":
        steps = np.sign(steps) * np.floor(np.abs(steps) + 0.5)
    else:
        steps = np.rint(steps)
    codes = np.clip(steps, -LARGEST, LARGEST).astype(np.int8).view(np.uint8)
    return codes.reshape(n, k), (exponents + SCALE_BIAS).astype(np.uint8)


def dequantize(codes, scales):
    """float32 [n, k]; exact but beyond the range of float32."""
    n, k = codes.shape
    values = np.ascontiguousarray(codes).view(np.int8).astype(np.float64) / STEPS
    exponents = scales.astype(np.int64)[:, :, None] - SCALE_BIAS
    with np.errstate(over="ignore"):
        result = np.ldexp(values.reshape(n, k // BLOCK, BLOCK), exponents)
        result = np.where(scales[:, :, None] == 255, np.nan, result).astype(np.float32)
    return result.reshape(n, k)
