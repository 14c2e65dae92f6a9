"""MXFP8 on numpy alone: E4M3 elements, one E8M0 scale for 32 of them.

From "OCP Microscaling Formats (MX) v1.0", sections 5.3.1, 5.4.1 and 6.3, and the description of
msmodelslim's quantizer: floor scales, halves away from zero, saturation. Values are computed in
float64, in which every step is exact.
"""

import numpy as np

BLOCK = 32
BIAS = 7  # of E4M3: exponents 2^-6 .. 2^8, three bits of mantissa
LARGEST = 448.0  # S 1111 110; S 1111 111 is NaN, there is no infinity
SCALE_BIAS = 127  # of E8M0; 255 is NaN


def decode_e4m3(codes):
    codes = np.asarray(codes, np.int64)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    normal = (1 + mantissa / 8.0) * np.exp2(exponent - BIAS)
    subnormal = mantissa / 8.0 * np.exp2(1.0 - BIAS)
    magnitude = np.where(exponent == 0, subnormal, normal)
    magnitude = np.where(codes & 127 == 127, np.nan, magnitude)
    return np.where(codes & 128, -magnitude, magnitude)


def decode_e8m0(bytes_):
    bytes_ = np.asarray(bytes_, np.int64)
    return np.where(bytes_ == 255, np.nan, np.ldexp(1.0, bytes_ - SCALE_BIAS))


def encode_e4m3(values, rounding="half-away"):
    """Nearest code; halves away from zero, or to even; beyond the largest: the largest."""
    values = np.asarray(values, np.float64)
    magnitude = np.abs(values)
    _, exponent = np.frexp(magnitude)  # magnitude = m · 2^exponent, m in [1/2, 1)
    step = np.ldexp(1.0, np.maximum(exponent - 1, 1 - BIAS) - 3)
    steps = magnitude / step
    rounded = np.floor(steps + 0.5) if rounding == "half-away" else np.rint(steps)
    rounded = np.minimum(rounded * step, LARGEST)
    _, exponent = np.frexp(rounded)
    exponent = np.maximum(exponent - 1, 1 - BIAS)
    eighths = (rounded / np.ldexp(1.0, exponent - 3)).astype(np.int64)  # 8 .. 15, subnormal 0 .. 7
    code = np.where(eighths < 8, eighths, (exponent + BIAS << 3) + eighths - 8)
    return (code | np.where(np.signbit(values), 128, 0)).astype(np.uint8)


def scale_bytes(largest, rule="floor"):
    """The scale of blocks of these largest magnitudes, which are finite."""
    largest = np.asarray(largest, np.float64)
    mantissa, exponent = np.frexp(largest)
    exponent = exponent - 1 - 8  # floor(log2) - 8
    if rule == "rceil":  # smallest scale with largest / scale <= 448 = 1.75 · 2^8
        exponent = exponent + (mantissa > LARGEST / 512)
    byte = np.clip(exponent + SCALE_BIAS, 0, 254)
    return np.where(largest == 0, 0, byte).astype(np.uint8)


def quantize(weight, rule="floor", rounding="half-away"):
    """Codes [n, k] and scales [n, k/32] of a float32 weight [n, k]."""
    n, k = weight.shape
    if k % BLOCK:
        raise ValueError(f"k is {k}, no multiple of {BLOCK}")
    blocks = weight.astype(np.float64).reshape(n, k // BLOCK, BLOCK)
    scales = scale_bytes(np.abs(blocks).max(axis=2), rule)
    codes = encode_e4m3(blocks / decode_e8m0(scales)[:, :, None], rounding)
    return codes.reshape(n, k), scales


def dequantize(codes, scales):
    """float32 [n, k]; exact but beyond the range of float32."""
    n, k = codes.shape
    blocks = decode_e4m3(codes).reshape(n, k // BLOCK, BLOCK)
    with np.errstate(over="ignore"):
        return (blocks * decode_e8m0(scales)[:, :, None]).reshape(n, k).astype(np.float32)


def swizzle(scales):
    """The order of tiles of 128 rows and 4 columns, padded with zeros: [128⌈n/128⌉, 4⌈c/4⌉]."""
    rows, columns = scales.shape
    padded_rows, padded_columns = -(-rows // 128) * 128, -(-columns // 4) * 4
    result = np.zeros(padded_rows * padded_columns, np.uint8)
    for row in range(rows):
        for column in range(columns):
            tile = row // 128 * (padded_columns // 4) + column // 4
            r, c = row % 128, column % 4
            result[tile * 512 + r % 32 * 16 + r // 32 * 4 + c] = scales[row, column]
    return result.reshape(padded_rows, padded_columns)


def unswizzle(swizzled, rows, columns):
    flat, padded_columns = swizzled.reshape(-1), swizzled.shape[1]
    result = np.zeros((rows, columns), np.uint8)
    for row in range(rows):
        for column in range(columns):
            tile = row // 128 * (padded_columns // 4) + column // 4
            r, c = row % 128, column % 4
            result[row, column] = flat[tile * 512 + r % 32 * 16 + r // 32 * 4 + c]
    return result
