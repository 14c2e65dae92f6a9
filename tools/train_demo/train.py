#!/usr/bin/env python3
"""Trains and exports the demo model models/wan-tiny-ti2v.

    python tools/train_demo/train.py --work DIR [--threads N] [--output DIR]

Every stage leaves its result in DIR (outside of the source tree) and is skipped when it is there,
so that an interrupted run goes on where it stopped.
"""

import argparse
import multiprocessing
import os
import random
import sys
import time
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["DIFFUSERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from PIL import Image  # noqa: E402

import autoencoder  # noqa: E402
import clips  # noqa: E402
import denoiser  # noqa: E402
import export  # noqa: E402
import vocabulary  # noqa: E402

AUTOENCODER_STEPS = 1400
DECODER_STEPS = 1600
CLIPS_PER_SCENE = 2
CAPTIONS_PER_CLIP = 6
DENOISER_STEPS = 1250
PREVIEW_PROMPTS = 6
PREVIEW_STEPS = 12


class Progress:
    """Lines `stage step: what, seconds` on standard output."""

    def __init__(self, stage):
        self.stage, self.start = stage, time.time()

    def __call__(self, step, line):
        print(f"{self.stage} {step}: {line}, {time.time() - self.start:.0f} s", flush=True)


def save(value, path):
    torch.save(value, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def tokenizer_stage(work):
    folder = work / "tokenizer"
    return vocabulary.load(folder) if folder.exists() else vocabulary.train(folder)


def autoencoder_stage(work, name, train):
    """`train(progress)` returns the model of the stage unless its file is there."""
    path = work / f"{name}.pt"
    if not path.exists():
        save(train(Progress(name)).state_dict(), path)
    model = autoencoder.make().eval()
    model.load_state_dict(torch.load(path))
    return model


def decoder_stage(work, threads):
    """The autoencoder with its refined decoder; a process of its own, beside the denoiser."""
    torch.set_num_threads(threads)
    autoencoder_stage(work, "decoder", lambda progress: autoencoder.refine_decoder(
        autoencoder_stage(work, "autoencoder", None), DECODER_STEPS, progress))


def _prepare_encoder(weights):
    """What a process of the latents' pool does first."""
    global _encoder
    torch.set_num_threads(1)
    _encoder = autoencoder.make().eval()
    _encoder.load_state_dict(weights)


def _encode_clip(job):
    """Latents [z, f, h, w] of one drawn clip; runs in a process of the latents' pool."""
    scene, index = job
    with torch.no_grad():
        return autoencoder.encode(_encoder, clips.draw(scene, random.Random(index))[None])[0].numpy()


def latents_stage(work, model, tokenizer, processes):
    """Latents of drawn clips and tokens of their captions."""
    path = work / "latents.pt"
    if path.exists():
        return torch.load(path)
    progress = Progress("latents")
    scenes = [scene for scene in clips.training_scenes() for _ in range(CLIPS_PER_SCENE)]
    latents = []
    with multiprocessing.get_context("spawn").Pool(processes, _prepare_encoder,
                                                   (model.state_dict(),)) as pool:
        for latent in pool.imap(_encode_clip, zip(scenes, range(len(scenes))), chunksize=8):
            latents.append(torch.from_numpy(latent))
            if len(latents) % 200 == 0:
                progress(len(latents), f"of {len(scenes)}")
    latents = torch.stack(latents)
    rng = random.Random(3)
    captions = [clips.training_caption(scene, rng) for scene in scenes
                for _ in range(CAPTIONS_PER_CLIP)]
    tokens = tokenizer(captions, padding=True, return_tensors="pt")
    shape = (len(scenes), CAPTIONS_PER_CLIP, -1)
    mean, std = latents.mean((0, 2, 3, 4)), latents.std((0, 2, 3, 4))
    values = {"mean": mean.tolist(), "std": std.tolist(),
              "latents": (latents - mean.view(-1, 1, 1, 1)) / std.view(-1, 1, 1, 1),
              "ids": tokens.input_ids.view(shape), "mask": tokens.attention_mask.view(shape)}
    save(values, path)
    return values


def preview(pipe, path):
    """A contact sheet of held-out prompts: a row each, five frames."""
    rows = []
    for index, scene in enumerate(clips.held_out_scenes()[:PREVIEW_PROMPTS]):
        video = pipe(clips.caption(scene), height=clips.SIZE, width=clips.SIZE,
                     num_frames=clips.FRAMES, num_inference_steps=PREVIEW_STEPS,
                     guidance_scale=3.0, generator=torch.Generator().manual_seed(index),
                     output_type="pt").frames[0]
        rows.append(torch.cat(list(video[::4]), 2))
    sheet = (torch.cat(rows, 1).permute(1, 2, 0) * 255).byte().numpy()
    Image.fromarray(sheet).save(path)


def denoiser_stage(work, data, vae, tokenizer, steps, preview_every):
    path = work / "denoiser.pt"
    trainer = denoiser.Trainer(data["latents"], data["ids"], data["mask"], vocabulary.ROWS)
    progress = Progress("denoiser")
    first = 1
    if path.exists():
        state = torch.load(path, weights_only=False)
        trainer.load_state_dict(state["trainer"])
        first = state["step"] + 1
    mean_loss = None
    for step in range(first, steps + 1):
        loss = trainer.step(step, steps)
        mean_loss = loss if mean_loss is None else 0.98 * mean_loss + 0.02 * loss
        if step % 20 == 0 or step == steps:
            progress(step, f"of {steps}, loss {mean_loss:.4f}")
        if step % 100 == 0 or step == steps:
            save({"trainer": trainer.state_dict(), "step": step}, path)
        if preview_every and step % preview_every == 0:
            transformer, encoder = trainer.averaged()
            pipe = export.pipeline(transformer, encoder, vae, tokenizer)
            pipe.set_progress_bar_config(disable=True)
            preview(pipe, work / f"preview-{step:05d}.png")
    return trainer.averaged()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of intermediate results")
    parser.add_argument("--output", type=Path,
                        default=Path(__file__).resolve().parents[2] / "models" / "wan-tiny-ti2v")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--denoiser-steps", type=int, default=DENOISER_STEPS)
    parser.add_argument("--preview-every", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)

    tokenizer = tokenizer_stage(args.work)
    model = autoencoder_stage(args.work, "autoencoder", lambda progress: autoencoder.train(
        AUTOENCODER_STEPS, progress))
    data = latents_stage(args.work, model, tokenizer, args.threads)
    vae = autoencoder.make(data["mean"], data["std"]).eval()
    vae.load_state_dict(model.state_dict())
    # Both need the latents only, so they share the processors.
    threads = max(1, args.threads // 2)
    decoder = multiprocessing.get_context("spawn").Process(
        target=decoder_stage, args=(args.work, threads), daemon=True)
    decoder.start()
    torch.set_num_threads(threads)
    transformer, encoder = denoiser_stage(args.work, data, vae, tokenizer, args.denoiser_steps,
                                          args.preview_every)
    decoder.join()
    if decoder.exitcode != 0:
        sys.exit(f"train.py: the decoder's training ended with exit code {decoder.exitcode}")
    vae.load_state_dict(torch.load(args.work / "decoder.pt"))
    pipe = export.pipeline(transformer, encoder, vae, tokenizer)
    size = export.write(pipe, args.work / "tokenizer", args.output)
    print(f"wrote {args.output}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
