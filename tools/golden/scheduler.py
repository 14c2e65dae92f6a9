"""UniPC goldens: sigma grids of three engines, and trajectories of diffusers' scheduler."""

import numpy as np
import torch

from golden.checkpoints import make_scheduler
from golden.common import randn

GRIDS = ((3.0, 8), (12.0, 40), (5.0, 40), (5.0, 50), (8.0, 3), (5.0, 1), (1.0, 10), (7.0, 200))
TRAJECTORIES = ((5.0, 1), (5.0, 2), (3.0, 3), (3.0, 8), (12.0, 20))
SHAPE = (1, 4, 2, 3, 5)


def shifted(shift, sigma):
    return shift * sigma / (1 + (shift - 1) * sigma)


def wan_grid(shift, steps):
    """The original Wan solver: shift of a linear grid from 0.999 to 0, float64."""
    return shifted(shift, np.linspace(0.999, 0.0, steps + 1)[:-1])


def sglang_grid(shift, steps):
    """SGLang: the end point of the grid is shifted once more before the whole grid is."""
    return shifted(shift, np.linspace(shifted(shift, 0.999), 0.0, steps + 1)[:-1])


def _table(shift, steps):
    scheduler = make_scheduler(shift)
    scheduler.set_timesteps(steps)
    out = {"shift": shift, "steps": steps, "grids": {}}
    out["grids"]["diffusers"] = {"sigmas": [float(s) for s in scheduler.sigmas],
                                 "timesteps": scheduler.timesteps.tolist()}
    for name, grid in (("wan", wan_grid(shift, steps)), ("sglang", sglang_grid(shift, steps))):
        out["grids"][name] = {"sigmas": [float(s) for s in grid] + [0.0],
                              "timesteps": (grid * 1000).astype(np.int64).tolist()}
    return out


def _trajectory(shift, steps):
    """Random model outputs, independent of the sample, and the sample after each step."""
    scheduler = make_scheduler(shift)
    scheduler.set_timesteps(steps)
    sample = randn(SHAPE, "unipc", shift, steps, "start")
    outputs = randn((steps, *SHAPE), "unipc", shift, steps, "outputs")
    samples = [sample]
    for index, timestep in enumerate(scheduler.timesteps):
        sample = scheduler.step(outputs[index], timestep, sample, return_dict=False)[0]
        samples.append(sample)
    return {"model_outputs": outputs, "samples": torch.stack(samples),
            "sigmas": scheduler.sigmas, "timesteps": scheduler.timesteps}


def write_scheduler(writer):
    writer.json("scheduler/sigmas.json", {"tables": [_table(*grid) for grid in GRIDS]},
                "scheduler.write_scheduler")
    for shift, steps in TRAJECTORIES:
        writer.tensors(f"scheduler/unipc_n{steps}.safetensors", _trajectory(shift, steps),
                       "scheduler.write_scheduler", {"flow_shift": shift, "steps": steps})
