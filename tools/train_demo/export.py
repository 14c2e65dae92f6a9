"""Writes the trained parts as a Diffusers model directory in bfloat16."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline

import clips
from denoiser import FLOW_SHIFT


# What mxvideo takes as this model's defaults; Diffusers has its own and takes arguments.
GENERATION = {"width": clips.SIZE, "height": clips.SIZE, "num_frames": clips.FRAMES, "fps": 8,
              "num_inference_steps": 20, "guidance_scale": 1.5, "negative_prompt": ""}


def pipeline(transformer, encoder, vae, tokenizer):
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
        flow_shift=FLOW_SHIFT)
    return WanPipeline(tokenizer=tokenizer, text_encoder=encoder, vae=vae, scheduler=scheduler,
                       transformer=transformer, expand_timesteps=True)


def write(pipe, tokenizer_folder, folder):
    """`pipe` becomes bfloat16. The tokenizer's files are those of `tokenizer_folder`."""
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    pipe.to(torch.bfloat16)
    pipe.save_pretrained(folder, safe_serialization=True)
    shutil.rmtree(folder / "tokenizer")
    shutil.copytree(tokenizer_folder, folder / "tokenizer")
    (folder / "generation_config.json").write_text(json.dumps(GENERATION, indent=2) + "\n")
    (folder / "evaluation.json").write_text(clips.evaluation_document())
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return size
