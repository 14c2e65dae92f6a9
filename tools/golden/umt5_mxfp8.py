"""UMT5 with MXFP8 linears, emulated in PyTorch as in dit_mxfp8.py.

The linears of every block take quantised weights and quantise their input per call; one whose
rows are no whole number of blocks of 32 stays as it is (the output projection of the tiny model).
"""

import math

import torch
from diffusers import WanPipeline

from golden import checkpoints
from golden.dit_mxfp8 import DRAWS, RoundingNoise, _distance, _emulate
from golden.umt5 import MAX_LENGTH, PROMPTS, VARIANT

BLOCK = 32
CASES = ("word", "english", "mixed", "long")


def emulate_mxfp8(model, noise):
    """Replaces the forward of every linear that MXFP8 can hold; returns how many."""
    count = 0
    for block in model.encoder.block:
        for linear in block.modules():
            if isinstance(linear, torch.nn.Linear) and linear.in_features % BLOCK == 0:
                _emulate(linear, noise)
                count += 1
    return count


@torch.no_grad()
def write_umt5_mxfp8(writer):
    pipe = checkpoints.load_pipeline(writer, VARIANT, WanPipeline)
    model = pipe.text_encoder.eval()

    def run(ids):
        mask = torch.ones(1, len(ids), dtype=torch.int64)
        return model(torch.tensor([ids]), mask).last_hidden_state[0]

    all_ids = {name: pipe.tokenizer(PROMPTS[name], truncation=True,
                                    max_length=MAX_LENGTH).input_ids for name in CASES}
    exact = {name: run(ids) for name, ids in all_ids.items()}
    noise = RoundingNoise()
    layers = emulate_mxfp8(model, noise)
    for name, ids in all_ids.items():
        noise.begin(None)
        output = run(ids)
        worst = 0.0
        for draw in range(DRAWS):
            noise.begin(draw)
            worst = max(worst, _distance(run(ids), output))
        writer.tensors(f"umt5_mxfp8/{name}.safetensors", {"output": output},
                       "umt5_mxfp8.write_umt5_mxfp8",
                       {"variant": VARIANT, "rule": "rceil", "layers": layers,
                        "sqnr_db": -20 * math.log10(_distance(output, exact[name])),
                        "sensitivity": worst})
