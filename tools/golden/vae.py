"""VAE goldens: encode and decode for several frame counts, stages of the chunks, tiling."""

from contextlib import ExitStack

import torch

from golden import checkpoints
from golden.common import randn
from golden.recorder import Recorder

# Form -> variant whose VAE it is, and the pixel size (height, width); not square, and not a
# multiple of any tile.
FORMS = {"2.1": ("t2v-a14b", (24, 40)), "2.2": ("ti2v-5b", (32, 80))}
FRAMES = (1, 5, 9)
STAGE_FRAMES = 5  # the case that also stores intermediates of the first two chunks
TILED_FRAMES = 5

# Form -> (height, width) in pixels, tile size, tile stride; all in pixels.
TILED = {"2.1": ((56, 72), 32, 24), "2.2": ((64, 48), 32, 16)}


def video(form, frames, size):
    """Smooth random video in [-1, 1], [1,3,F,H,W]: noise of two coarse scales, upsampled."""
    height, width = size
    coarse = randn((3, frames, height // 8, width // 8), "vae", form, frames, size, "coarse")
    fine = randn((3, frames, height, width), "vae", form, frames, size, "fine")
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear",
                                             align_corners=False)
    return torch.clamp(0.5 * smooth + 0.15 * fine, -1, 1).unsqueeze(0)


def latent(form, frames, size):
    """Random latent of the size that belongs to the pixel size, [1,z,F',H/s,W/s]."""
    variant = checkpoints.VARIANTS[FORMS[form][0]]
    scale = variant.vae.get("scale_factor_spatial", 8)
    shape = (1, variant.vae["z_dim"], (frames - 1) // 4 + 1, size[0] // scale, size[1] // scale)
    return randn(shape, "vae", form, frames, size, "latent")


class ChunkRecorder(Recorder):
    """A Recorder that counts chunks: conv_in of the hooked half starts a new one."""

    def __init__(self, stack, half):
        super().__init__(stack)
        self.chunk = -1

        def start(_module, _args):
            self.chunk += 1
        stack.callback(half.conv_in.register_forward_pre_hook(start).remove)

    def save(self, name, value):
        if self.chunk < 2:
            super().save(f"chunk{self.chunk}.{name}", value)


def _hook_half(half, record, blocks_name):
    record.output(half.conv_in, "conv_in")
    for index, block in enumerate(getattr(half, blocks_name)):
        record.output(block, f"{blocks_name}.{index}")
    record.output(half.mid_block.resnets[0], "mid_block.resnets.0")
    record.output(half.mid_block.attentions[0], "mid_block.attentions.0")
    record.output(half.mid_block, "mid_block")
    record.output(half.norm_out, "norm_out")
    record.output(half.conv_out, "conv_out")


def encode(model, pixels, stages):
    """Posterior mode before normalisation, and the stages if asked for."""
    with ExitStack() as stack:
        record = ChunkRecorder(stack, model.encoder)
        if stages:
            _hook_half(model.encoder, record, "down_blocks")
        mode = model.encode(pixels).latent_dist.mode()
    return {"input": pixels, "output": mode, **record.tensors}


def decode(model, latents, stages):
    """Clamped output frames, and the stages if asked for."""
    with ExitStack() as stack:
        record = ChunkRecorder(stack, model.decoder)
        if stages:
            _hook_half(model.decoder, record, "up_blocks")
            stack.callback(model.post_quant_conv.register_forward_hook(
                lambda _m, _a, out: record.tensors.update({"post_quant_conv": out})).remove)
        pixels = model.decode(latents).sample
    return {"input": latents, "output": pixels, **record.tensors}


def _check_range(name, pixels):
    """Guards against a random decoder whose output is clamped nearly everywhere."""
    clamped = (pixels.abs() >= 1).float().mean().item()
    if clamped > 0.4:
        raise SystemExit(f"{name}: {clamped:.0%} of the output is clamped")


def write_vae(writer):
    for form, (variant, size) in FORMS.items():
        model = checkpoints.load_vae(writer, variant)
        for frames in FRAMES:
            info = {"variant": variant, "frames": frames, "size": size}
            stages = frames == STAGE_FRAMES
            writer.tensors(f"vae/{form}_encode_f{frames}.safetensors",
                           encode(model, video(form, frames, size), stages), "vae.write_vae", info)
            tensors = decode(model, latent(form, frames, size), stages)
            _check_range(f"{form}_decode_f{frames}", tensors["output"])
            writer.tensors(f"vae/{form}_decode_f{frames}.safetensors", tensors, "vae.write_vae",
                           info)
        write_tiled(writer, model, form, variant)


def write_tiled(writer, model, form, variant):
    """Tiled runs of the same model: tile sizes as enable_tiling takes them, in pixels."""
    size, tile, stride = TILED[form]
    info = {"variant": variant, "frames": TILED_FRAMES, "size": size, "tile": tile,
            "stride": stride}
    pixels = video(form, TILED_FRAMES, size)
    latents = latent(form, TILED_FRAMES, size)
    plain = {"encode": encode(model, pixels, False), "decode": decode(model, latents, False)}
    model.enable_tiling(tile, tile, stride, stride)
    tiled = {"encode": encode(model, pixels, False), "decode": decode(model, latents, False)}
    for direction, tensors in tiled.items():
        if direction == "encode":
            tensors["untiled"] = plain[direction]["output"]
        writer.tensors(f"vae/{form}_{direction}_tiled.safetensors", tensors, "vae.write_tiled",
                       info)
    model.disable_tiling()
