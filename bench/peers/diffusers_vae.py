#!/usr/bin/env python3
"""The decode of `mxvideo bench vae --keep DIR` once more, by Diffusers on PyTorch in fp32: the same
random weights and size of the video, other latents. Prints JSON with the median time.

usage: diffusers_vae.py DIR [--num-frames 5] [--height 256] [--width 256] [--threads 2] [--repeats 5]

Run both with the same number of threads, one after the other, on a machine that does nothing else.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
from diffusers import AutoencoderKLWan


def latents_of(vae, options):
    config = vae.config
    space, frames = config.scale_factor_spatial, (options.num_frames - 1) // config.scale_factor_temporal + 1
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, config.z_dim, frames, options.height // space, options.width // space,
                       generator=generator)


def run(options):
    torch.set_num_threads(options.threads)
    vae = AutoencoderKLWan.from_pretrained(
        pathlib.Path(options.directory) / "vae", torch_dtype=torch.float32).eval()
    latents = latents_of(vae, options)
    seconds = []
    with torch.inference_mode():
        for _ in range(options.repeats + 1):  # the first is not timed
            start = time.perf_counter()
            shape = list(vae.decode(latents, return_dict=False)[0].shape)
            seconds.append(time.perf_counter() - start)
            print(f"{shape}: {seconds[-1]:.2f} s", file=sys.stderr)
    row = {"op": "vae", "engine": "diffusers", "dtype": "float32", "threads": options.threads,
           "frames": shape[2], "height": shape[3], "width": shape[4],
           "seconds_median": statistics.median(seconds[1:])}
    print(json.dumps({"torch": torch.__version__, "rows": [row]}, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    for flag, default in [("num-frames", 5), ("height", 256), ("width", 256), ("threads", 2), ("repeats", 5)]:
        parser.add_argument(f"--{flag}", type=int, default=default)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
