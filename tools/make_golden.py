#!/usr/bin/env python3
"""Makes the golden files below tests/golden with diffusers, transformers and torchao.

    python tools/make_golden.py [--out DIR] [--only GROUP ...]

Needs the packages of tools/requirements-golden.txt, in a virtual environment outside of the
source tree; tests/golden/README.md tells how. Building, testing and running mxvideo never
needs it: its output is committed.
"""

import argparse
import importlib
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["DIFFUSERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

TOOLS = Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS))

# Order matters: the models come first, most of the others load them.
GROUPS = {
    "models": ("checkpoints", "write_models"),
    "dit": ("dit", "write_dit"),
    "dit_mxfp8": ("dit_mxfp8", "write_dit_mxfp8"),
    "vae": ("vae", "write_vae"),
    "umt5": ("umt5", "write_umt5"),
    "umt5_mxfp8": ("umt5_mxfp8", "write_umt5_mxfp8"),
    "pipeline": ("pipelines", "write_pipelines"),
    "tokenizer": ("prompts", "write_tokenizer"),
    "noise": ("noise", "write_noise"),
    "scheduler": ("scheduler", "write_scheduler"),
    "image": ("image", "write_image"),
    "checkpoint": ("checkpoint_files", "write_checkpoint_files"),
    "formats": ("formats", "write_formats"),
    "linear": ("linear", "write_linear"),
    "offline": ("offline", "write_offline"),
    "evaluation": ("evaluation", "write_evaluation"),
    "fidelity": ("fidelity", "write_fidelity"),
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=TOOLS.parent / "tests" / "golden",
                        help="folder to write to (default: tests/golden)")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS),
                        help="groups to make (default: all)")
    return parser.parse_args()


def main():
    args = parse_args()
    from golden import common
    common.make_deterministic()
    from diffusers.utils import logging
    logging.disable_progress_bar()
    from transformers.utils import logging as transformers_logging
    transformers_logging.disable_progress_bar()
    writer = common.Writer(args.out)
    for group in GROUPS:
        if group in args.only:
            module, function = GROUPS[group]
            print(f"make_golden: {group}", flush=True)
            getattr(importlib.import_module(f"golden.{module}"), function)(writer)
    writer.write_manifest()


if __name__ == "__main__":
    main()
