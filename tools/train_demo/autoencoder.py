"""Trains the video autoencoder on drawn clips: AutoencoderKLWan in its Wan2.2 form (16x16x4)."""

import math
import random

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

import clips
from muon import Optimizers, trapezoid

Z_DIM = 16
CONFIG = dict(base_dim=8, decoder_base_dim=16, z_dim=Z_DIM, dim_mult=[1, 2, 4, 4],
              num_res_blocks=1, attn_scales=[], temperal_downsample=[False, True, True],
              dropout=0.0, is_residual=True, in_channels=12, out_channels=12, patch_size=2,
              scale_factor_temporal=4, scale_factor_spatial=16)
LATENT_NOISE = 0.1    # standard deviation of what the decoder must bear
LATENT_WEIGHT = 1e-3  # keeps the latents near unit size
MATRIX_LEARNING_RATE = 0.01
LEARNING_RATE = 1.5e-2
# (frames, side in pixels, windows per batch). Pictures first, which teach space at a small cost,
# then clips: mostly small windows around the shape, and now and then the whole picture, so that
# borders and distances occur too.
PICTURES = (1, 32, 24)
PICTURE_SHARE = 0.4  # of the steps
CLIPS = ((5, 32, 16), (9, 32, 8), (17, 32, 6), (5, 128, 1))
# For the decoder alone: as long as the clips that it will decode.
LONG_CLIPS = ((17, 32, 6), (17, 48, 3), (17, 32, 6), (17, 96, 1))
# Range of the standard deviation of the noise in a batch of latents: a decoder that has seen much
# of it mends what the denoiser leaves.
REFINEMENT_NOISE = (0.0, 0.3)


def make(mean=None, std=None):
    return AutoencoderKLWan(latents_mean=mean or [0.0] * Z_DIM, latents_std=std or [1.0] * Z_DIM,
                            **CONFIG)


def encode(model, batch):
    """Posterior means of clips [B,3,F,H,W], not normalized."""
    return model.encode(batch).latent_dist.mean


def _decode_unclamped(model, latents):
    """What decode() does short of its clamp, which has no gradient where colours saturate."""
    model.clear_cache()
    frames = []
    hidden = model.post_quant_conv(latents)
    for index in range(latents.shape[2]):
        model._conv_idx = [0]
        frames.append(model.decoder(hidden[:, :, index:index + 1], feat_cache=model._feat_map,
                                    feat_idx=model._conv_idx, first_chunk=index == 0))
    model.clear_cache()
    return unpatchify(torch.cat(frames, 2), patch_size=CONFIG["patch_size"])


def _batch(scenes, rng, frames, size, count):
    return torch.stack([
        clips.draw(rng.choice(scenes), rng,
                   lambda cx, cy: clips.window_near_shape(cx, cy, rng, frames, size))
        for _ in range(count)])


def _pixel_loss(error):
    # Mostly squared: absolute errors alone are content with a flat background for a long time.
    return error.square().mean() + 0.1 * error.abs().mean()


def _edge_loss(error):
    """For a decoder that already draws: absolute errors, and those of neighbours' differences."""
    edges = sum(torch.diff(error, dim=d).abs().mean() for d in (3, 4))
    return error.square().mean() + 0.5 * error.abs().mean() + 0.25 * edges


def _hidden_kernels(module):
    return [p for name, p in module.named_parameters()
            if p.ndim >= 4 and p.shape[1] > 1 and "conv_in" not in name and "conv_out" not in name]


def _run(optimizers, steps, loss_of_step, progress):
    """`loss_of_step(step)` returns the loss and the error of the pixels."""
    mean_error = None
    for step in range(1, steps + 1):
        loss, error = loss_of_step(step)
        optimizers.update(loss, trapezoid(step, steps))
        squared = error.detach().square().mean().item()
        mean_error = squared if mean_error is None else 0.95 * mean_error + 0.05 * squared
        if step % 20 == 0 or step == steps:
            psnr = 10 * math.log10(4 / mean_error)
            progress(step, f"of {steps}, loss {loss.item():.4f}, PSNR {psnr:.2f} dB")


def train(steps, progress):
    """Returns the trained model. `progress(step, line)` is called now and then."""
    torch.manual_seed(1)
    rng = random.Random(1)
    model = make().train()
    scenes = clips.training_scenes()

    def loss_of_step(step):
        pictures = step <= PICTURE_SHARE * steps
        batch = _batch(scenes, rng, *(PICTURES if pictures else CLIPS[step % len(CLIPS)]))
        latents = encode(model, batch)
        noisy = latents + LATENT_NOISE * torch.randn_like(latents)
        error = _decode_unclamped(model, noisy) - batch
        return _pixel_loss(error) + LATENT_WEIGHT * latents.square().mean(), error

    optimizers = Optimizers([model], _hidden_kernels(model), MATRIX_LEARNING_RATE, LEARNING_RATE)
    _run(optimizers, steps, loss_of_step, progress)
    return model.eval()


def refine_decoder(model, steps, progress):
    """Trains the decoder on, for sharper edges and over the whole length of a clip, while the
    latents stay what they are."""
    torch.manual_seed(4)
    rng = random.Random(4)
    scenes = clips.training_scenes()
    decoder = torch.nn.ModuleList([model.decoder, model.post_quant_conv])

    def loss_of_step(step):
        batch = _batch(scenes, rng, *LONG_CLIPS[step % len(LONG_CLIPS)])
        with torch.no_grad():
            latents = encode(model, batch)
            latents += rng.uniform(*REFINEMENT_NOISE) * torch.randn_like(latents)
        error = _decode_unclamped(model, latents) - batch
        return _edge_loss(error), error

    optimizers = Optimizers([decoder], _hidden_kernels(decoder), 0.5 * MATRIX_LEARNING_RATE,
                            0.5 * LEARNING_RATE)
    _run(optimizers, steps, loss_of_step, progress)
    return model.eval()
