"""Pairs of pictures and how far they are apart, computed with NumPy in float64."""

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from golden import common

WINDOW = 8
STRIDE = 4
PEAK = 255.0


def psnr_db(reference, actual):
    error = (reference.astype(np.float64) - actual.astype(np.float64)) ** 2
    return 10 * np.log10(PEAK**2 / error.mean())


def ssim_of_channel(x, y):
    """Mean over unweighted windows, with unbiased variances and the constants of FFmpeg and x264:
    their c1 is a 64th of the paper's."""
    def windows(plane):
        views = sliding_window_view(plane.astype(np.float64), (WINDOW, WINDOW))
        return views[::STRIDE, ::STRIDE].reshape(-1, WINDOW * WINDOW)

    a, b = windows(x), windows(y)
    mean_a, mean_b = a.mean(1), b.mean(1)
    covariance = ((a - mean_a[:, None]) * (b - mean_b[:, None])).sum(1) / (a.shape[1] - 1)
    variances = a.var(1, ddof=1) + b.var(1, ddof=1)
    c1, c2 = (0.01 * PEAK) ** 2 / WINDOW**2, (0.03 * PEAK) ** 2
    ratio = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (ratio / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean()


def ssim(reference, actual):
    return np.mean([ssim_of_channel(reference[..., c], actual[..., c]) for c in range(3)])


def write_fidelity(writer):
    rng = common.numpy_rng("fidelity")
    frames, height, width = 5, 36, 52
    y, x = np.mgrid[0:height, 0:width]
    smooth = 128 + 100 * np.sin(x / 9)[..., None] * np.cos(y / 7)[..., None] * [1.0, 0.6, -0.8]
    video = np.stack([np.roll(smooth, 3 * i, axis=1) for i in range(frames)])
    reference = video.clip(0, 255).astype(np.uint8)
    noise = rng.normal(size=video.shape) * np.array([2, 8, 40, 0, 1])[:, None, None, None]
    actual = (reference + noise).round().clip(0, 255).astype(np.uint8)
    actual[3] = 255 - reference[3]      # structure turned round
    actual[4] = reference[4] // 2       # darker
    tensors = {
        "reference": reference, "actual": actual,
        "psnr_db": np.array([psnr_db(r, a) for r, a in zip(reference, actual)]),
        "ssim": np.array([ssim(r, a) for r, a in zip(reference, actual)]),
        "video_psnr_db": np.array([psnr_db(reference, actual)]),
    }
    writer.tensors("fidelity/frames.safetensors",
                   {name: torch.from_numpy(value) for name, value in tensors.items()},
                   "fidelity.write_fidelity")
