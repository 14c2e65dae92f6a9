#!/usr/bin/env python3
"""The forward of `mxvideo bench step --keep DIR` once more, by Diffusers on PyTorch: the same random
checkpoint, latents, text and timestep. Prints JSON: for each type of the weights the median time and
its ratio to the time of each scheme of mxvideo, and how far the outputs are apart (relative RMS).

usage: diffusers_step.py DIR [--dtypes float32,bfloat16] [--threads 2] [--repeats 5]

Run both with the same number of threads, one after the other, on a machine that does nothing else.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file


def measure(model, inputs, repeats):
    """(median seconds, velocity) of one forward; the first is not timed."""
    arguments = {
        "hidden_states": inputs["latents"][None].to(model.dtype),
        "timestep": inputs["timestep"],
        "encoder_hidden_states": inputs["text"][None].to(model.dtype),
        "return_dict": False,
    }
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            velocity = model(**arguments)[0][0]
            seconds.append(time.perf_counter() - start)
            print(f"{model.dtype}: {seconds[-1]:.2f} s", file=sys.stderr)
    return statistics.median(seconds[1:]), velocity.float()


def relative_rms(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


def run(options):
    torch.set_num_threads(options.threads)
    directory = pathlib.Path(options.directory)
    inputs = load_file(directory / "inputs.safetensors")
    ours = json.loads((directory / "step.json").read_text())["rows"]
    rows = []
    for name in options.dtypes.split(","):
        model = WanTransformer3DModel.from_pretrained(
            directory / "transformer", torch_dtype=getattr(torch, name)).eval()
        seconds, velocity = measure(model, inputs, options.repeats)
        row = {"op": "step", "engine": "diffusers", "dtype": name, "threads": options.threads,
               "layers": model.config.num_layers, "seconds_median": seconds}
        for own in ours:
            if own["threads"] != options.threads:
                sys.exit(f"mxvideo ran with {own['threads']} threads; expected {options.threads}")
            output = directory / f"output-{own['scheme']}.safetensors"
            velocity_of_mxvideo = load_file(output)["velocity"]
            row[f"ratio_mxvideo_{own['scheme']}"] = seconds / own["seconds_median"]
            row[f"relative_rms_{own['scheme']}"] = relative_rms(velocity_of_mxvideo, velocity)
        rows.append(row)
        del model
    print(json.dumps({"torch": torch.__version__, "rows": rows}, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
