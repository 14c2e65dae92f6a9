"""Tiny random checkpoints of the three Wan2.2 variants in the exact Diffusers layout."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import (AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline,
                       WanPipeline, WanTransformer3DModel)
from transformers import UMT5Config, UMT5EncoderModel

from golden import tiny_tokenizer
from golden.common import randn

SHIPPED_MODELS = Path(__file__).resolve().parents[2] / "models"
TEXT_DIM = 64
VOCAB_ROWS = 1216  # more rows than pieces, as in the real model

LATENTS_22_MEAN = [
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813,
    0.0891, 0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108,
    -0.2158, 0.2502, -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313,
    -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944,
    0.3573, -0.0548, -0.1681, -0.0667]
LATENTS_22_STD = [
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
    0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
    0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744]


@dataclass(frozen=True)
class Variant:
    """What distinguishes one tiny checkpoint. `dtype` is the stored one of the transformers and
    the text encoder; `dtype_2` that of transformer_2 where it differs. `mixed` keeps the modules
    that Diffusers keeps in fp32 as fp32 in transformer_2."""
    name: str
    pipeline: type
    dtype: torch.dtype
    transformer: dict
    vae: dict
    vae_dtype: torch.dtype
    flow_shift: float
    pipeline_config: dict
    experts: int = 1
    mixed: bool = False
    max_shard_bytes: int = 0
    dtype_2: torch.dtype = None
    extra: dict = field(default_factory=dict)


VAE_21 = dict(z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
              temperal_downsample=[False, True, True], dropout=0.0)
VAE_22 = dict(base_dim=4, decoder_base_dim=6, z_dim=48, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
              attn_scales=[], temperal_downsample=[False, True, True], dropout=0.0,
              latents_mean=LATENTS_22_MEAN, latents_std=LATENTS_22_STD, is_residual=True,
              in_channels=12, out_channels=12, patch_size=2, scale_factor_temporal=4,
              scale_factor_spatial=16)


def _transformer(in_channels, out_channels, heads, head_dim, ffn):
    return dict(patch_size=(1, 2, 2), num_attention_heads=heads, attention_head_dim=head_dim,
                in_channels=in_channels, out_channels=out_channels, text_dim=TEXT_DIM,
                freq_dim=256, ffn_dim=ffn, num_layers=2, cross_attn_norm=True,
                qk_norm="rms_norm_across_heads", eps=1e-6, image_dim=None,
                added_kv_proj_dim=None, rope_max_seq_len=1024, pos_embed_seq_len=None)


VARIANTS = {
    v.name: v for v in (
        Variant("t2v-a14b", WanPipeline, torch.bfloat16, _transformer(16, 16, 1, 128, 160),
                dict(base_dim=5, **VAE_21), torch.bfloat16, 3.0,
                dict(boundary_ratio=0.875, expand_timesteps=False), experts=2, mixed=True),
        Variant("i2v-a14b", WanImageToVideoPipeline, torch.float32,
                _transformer(36, 16, 3, 32, 160), dict(base_dim=3, **VAE_21), torch.float32, 3.0,
                dict(boundary_ratio=0.9, expand_timesteps=False), experts=2,
                max_shard_bytes=500_000, dtype_2=torch.bfloat16,
                extra=dict(image_encoder=None, image_processor=None)),
        Variant("ti2v-5b", WanPipeline, torch.float16, _transformer(48, 48, 4, 24, 224), VAE_22,
                torch.bfloat16, 5.0, dict(boundary_ratio=None, expand_timesteps=True)),
    )
}


def _random_value(name, param, *key):
    """Well-scaled random value: nothing is one, zero or symmetric by accident."""
    noise = randn(param.shape, *key, name)
    if name.endswith("attn2.norm_k.weight"):
        return 2.5 + 0.5 * noise  # peaked attention: few text rows of 512 are not zero
    if name.endswith(("gamma", "norm.weight", "norm1.weight", "norm2.weight", "norm3.weight",
                      "norm_q.weight", "norm_k.weight", "layer_norm.weight")):
        return 1.0 + 0.25 * noise
    if "scale_shift_table" in name:
        return 0.4 * noise
    if name.endswith("bias"):
        return 0.1 * noise
    if "relative_attention_bias" in name:
        return 0.7 * noise
    if "shared" in name or "embed_tokens" in name:
        return noise
    fan_in = param[0].numel()
    gain = 1.0
    if "SelfAttention.q" in name:
        gain = 0.4  # UMT5 does not divide the logits by sqrt(d_kv)
    elif "time_proj" in name:
        gain = 2.0
    elif "attn2.to_v" in name or "attn2.to_out" in name:
        gain = 2.0
    elif ".conv" in name or "resample" in name:
        gain = 1.3
    return gain * noise / fan_in**0.5


def randomize(model, dtype, *key):
    """Fills every parameter with random values that are exact in `dtype`."""
    for name, param in model.named_parameters():
        value = _random_value(name, param, *key).to(dtype).to(torch.float32)
        param.data.copy_(value)
    return model.to(dtype).eval()


def make_transformer(variant, expert):
    model = WanTransformer3DModel(**variant.transformer)
    dtype = variant.dtype_2 if expert == 1 and variant.dtype_2 else variant.dtype
    return randomize(model, dtype, variant.name, "transformer", expert)


def make_vae(variant):
    model = AutoencoderKLWan(**variant.vae)
    return randomize(model, variant.vae_dtype, variant.name, "vae")


def make_text_encoder(variant):
    config = UMT5Config(vocab_size=VOCAB_ROWS, d_model=TEXT_DIM, d_kv=16, d_ff=96, num_layers=2,
                        num_heads=3, relative_attention_num_buckets=32,
                        relative_attention_max_distance=128, dropout_rate=0.1,
                        layer_norm_epsilon=1e-6, feed_forward_proj="gated-gelu")
    return randomize(UMT5EncoderModel(config), variant.dtype, "text_encoder")


def make_scheduler(flow_shift):
    """scheduler_config.json of the real repositories, flow_shift apart."""
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True,
                                   flow_shift=flow_shift, num_train_timesteps=1000)


def _drop_machine_paths(folder):
    """Removes `_name_or_path` entries, which hold where this machine kept the model."""
    for file in sorted(folder.rglob("*.json")):
        value = json.loads(file.read_text())
        if isinstance(value, dict) and value.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(value, indent=2) + "\n")


def save_variant(variant, folder):
    """Writes one complete model directory."""
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer, spiece = tiny_tokenizer.make_tokenizer()
    transformers = [make_transformer(variant, i) for i in range(variant.experts)]
    pipeline = variant.pipeline(
        tokenizer=tokenizer, text_encoder=make_text_encoder(variant), vae=make_vae(variant),
        scheduler=make_scheduler(variant.flow_shift), transformer=transformers[0],
        transformer_2=transformers[1] if variant.experts == 2 else None,
        **variant.pipeline_config, **variant.extra)
    pipeline.save_pretrained(folder)
    tiny_tokenizer.save_tokenizer(tokenizer, spiece, folder / "tokenizer")
    if variant.max_shard_bytes:
        shutil.rmtree(folder / "transformer")
        transformers[0].save_pretrained(folder / "transformer",
                                        max_shard_size=variant.max_shard_bytes)
    if variant.mixed:
        mixed = WanTransformer3DModel.from_pretrained(folder / "transformer_2",
                                                      torch_dtype=variant.dtype)
        shutil.rmtree(folder / "transformer_2")
        mixed.save_pretrained(folder / "transformer_2")
    index = folder / "model_index.json"
    value = json.loads(index.read_text())
    value["tokenizer"] = ["transformers", "T5TokenizerFast"]
    index.write_text(json.dumps(value, indent=2) + "\n")
    _drop_machine_paths(folder)


def write_models(writer):
    for variant in VARIANTS.values():
        save_variant(variant, writer.root / "models" / variant.name)
        writer.folder(f"models/{variant.name}", "checkpoints.save_variant")


def load_pipeline(writer, name, cls):
    """The saved pipeline of a variant, or of a model that ships, with every parameter in fp32."""
    root = writer.root if name in VARIANTS else SHIPPED_MODELS.parent
    return cls.from_pretrained(root / "models" / name, torch_dtype=torch.float32)


def load_transformer(writer, name, subfolder="transformer"):
    folder = writer.root / "models" / name
    return WanTransformer3DModel.from_pretrained(folder, subfolder=subfolder,
                                                 torch_dtype=torch.float32).eval()


def load_vae(writer, name):
    folder = writer.root / "models" / name
    return AutoencoderKLWan.from_pretrained(folder, subfolder="vae",
                                            torch_dtype=torch.float32).eval()
