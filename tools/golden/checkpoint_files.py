"""Checkpoint goldens: a file of the safetensors library, and the names of every tensor.

names_*.tsv pair the original Wan name of a tensor with its Diffusers or transformers name, for the
real model sizes. They need the original sources, named by MXVIDEO_WAN_SOURCE (a checkout of
github.com/Wan-Video/Wan2.2); without it the committed lists stay as they are. The pairs of the
transformers and of VAE 2.1 are those of diffusers' own converters. Those of UMT5 and VAE 2.2 are
proved here: a tiny random original model and the renamed Hugging Face model give the same output.
"""

import importlib.util
import os
import sys
import types
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.loaders import single_file_utils
from safetensors.numpy import save_file
from transformers import UMT5Config, UMT5EncoderModel

MADE_BY = "checkpoint_files.write_checkpoint_files"


def write_checkpoint_files(writer):
    _write_library_file(writer)
    source = os.environ.get("MXVIDEO_WAN_SOURCE")
    if source is None:
        print("make_golden: MXVIDEO_WAN_SOURCE is not set, checkpoint/names_* kept")
        for file in sorted((writer.root / "checkpoint").glob("names_*.tsv")):
            writer.path(f"checkpoint/{file.name}", MADE_BY)
        return
    wan = _load_wan(Path(source))
    _write_names(writer, "transformer_a14b", _transformer_pairs(wan, 5120, 13824, 40, 40, 16, 16))
    _write_names(writer, "transformer_5b", _transformer_pairs(wan, 3072, 14336, 24, 30, 48, 48))
    _write_names(writer, "vae_2_1", _vae_2_1_pairs(wan))
    _check_vae_2_2(wan)
    _write_names(writer, "vae_2_2", _vae_2_2_pairs(wan))
    _check_umt5(wan)
    _write_names(writer, "umt5", _umt5_pairs(wan))


def _write_library_file(writer):
    """One tensor of each numpy type, an empty one, a scalar, names that need escapes."""
    tensors = {
        "f32": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "f16": np.array([1.5, -2.0, 65504.0], np.float16),
        "f64": np.array([[0.1]], np.float64),
        "u8": np.arange(5, dtype=np.uint8),
        "i8": np.array([-1, 1], np.int8),
        "i16": np.array([-300], np.int16),
        "u16": np.array([60000], np.uint16),
        "i32": np.array([-70000, 70000], np.int32),
        "u32": np.array([4000000000], np.uint32),
        "i64": np.array([-(2**40)], np.int64),
        "u64": np.array([2**63], np.uint64),
        "bool": np.array([True, False, True]),
        "empty": np.zeros((0, 4), np.float32),
        "scalar": np.array(7.0, np.float32),
        'a "quoted" \\ name\t': np.array([1], np.float32),
        "größe.重み": np.array([2], np.float32),
    }
    path = writer.path("checkpoint/library.safetensors", MADE_BY)
    save_file(tensors, path, metadata={"info": 'made by safetensors, "quoted" \\ é'})


def _write_names(writer, name, pairs):
    path = writer.path(f"checkpoint/names_{name}.tsv", MADE_BY)
    path.write_text("".join(f"{wan}\t{other}\n" for wan, other in sorted(pairs.items())))


def _load_wan(source):
    """The model files of the original sources, without the imports of their package."""
    package = types.ModuleType("wan_modules")
    package.__path__ = [str(source / "wan" / "modules")]
    sys.modules["wan_modules"] = package
    torch.cuda.current_device = lambda: "cpu"  # a default argument over there
    names = ("attention", "tokenizers", "model", "t5", "vae2_1", "vae2_2")
    for name in names:
        spec = importlib.util.spec_from_file_location(
            f"wan_modules.{name}", source / "wan" / "modules" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[f"wan_modules.{name}"] = module
        spec.loader.exec_module(module)
        setattr(package, name, module)
    return package


def _require_same_names(pairs, model):
    expected = set(model.state_dict())
    got = list(pairs.values())
    if len(got) != len(set(got)) or set(got) != expected:
        raise SystemExit(f"{type(model).__name__}: names differ: {set(got) ^ expected}")
    return pairs


def _tagged(names):
    """A state dict whose tensors carry their position, to recognise them after a conversion."""
    return {name: torch.tensor([i]) for i, name in enumerate(names)}


def _converted_pairs(names, convert):
    names = list(names)
    converted = convert(_tagged(names))
    return {names[int(tag)]: name for name, tag in converted.items()}


def _transformer_pairs(wan, dim, ffn_dim, heads, layers, in_dim, out_dim):
    with torch.device("meta"):
        original = wan.model.WanModel(model_type="t2v", dim=dim, ffn_dim=ffn_dim, num_heads=heads,
                                      num_layers=layers, in_dim=in_dim, out_dim=out_dim)
        diffusers = WanTransformer3DModel(
            num_attention_heads=heads, ffn_dim=ffn_dim, num_layers=layers, in_channels=in_dim,
            out_channels=out_dim)
    pairs = _converted_pairs(original.state_dict(),
                             single_file_utils.convert_wan_transformer_to_diffusers)
    return _require_same_names(pairs, diffusers)


def _vae_2_1_pairs(wan):
    with torch.device("meta"):
        original = wan.vae2_1.WanVAE_(dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
                                      attn_scales=[], temperal_downsample=[False, True, True])
        diffusers = AutoencoderKLWan()
    pairs = _converted_pairs(original.state_dict(), single_file_utils.convert_wan_vae_to_diffusers)
    return _require_same_names(pairs, diffusers)


def _vae_2_2_models(wan, dim, dec_dim, z_dim):
    original = wan.vae2_2.WanVAE_(dim=dim, dec_dim=dec_dim, z_dim=z_dim, dim_mult=[1, 2, 4, 4],
                                  num_res_blocks=2, temperal_downsample=[False, True, True])
    diffusers = AutoencoderKLWan(
        base_dim=dim, decoder_base_dim=dec_dim, z_dim=z_dim, dim_mult=[1, 2, 4, 4],
        num_res_blocks=2, temperal_downsample=[False, True, True], is_residual=True,
        in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16,
        latents_mean=[0.0] * z_dim, latents_std=[1.0] * z_dim)
    return original.eval(), diffusers.eval()


def _vae_2_2_name(name):
    parts = name.split(".")
    if parts[0] in ("conv1", "conv2"):
        return ".".join([{"conv1": "quant_conv", "conv2": "post_quant_conv"}[parts[0]]] + parts[1:])
    side, block, rest = parts[0], parts[1], parts[2:]
    residual = {"0": "norm1", "2": "conv1", "3": "norm2", "6": "conv2"}
    if block == "conv1":
        return ".".join([side, "conv_in"] + rest)
    if block == "head":
        return ".".join([side, {"0": "norm_out", "2": "conv_out"}[rest[0]]] + rest[1:])
    if block == "middle":
        place = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}[rest[0]]
        if rest[1] == "residual":
            rest = rest[:1] + [residual[rest[2]]] + rest[3:]
        return ".".join([side, "mid_block", place] + rest[1:])
    kind = {"downsamples": "down", "upsamples": "up"}[block]
    outer, inner, rest = rest[0], rest[2], rest[3:]
    if rest[0] == "residual":
        return ".".join([side, f"{kind}_blocks", outer, "resnets", inner, residual[rest[1]]] +
                        rest[2:])
    if rest[0] == "shortcut":
        return ".".join([side, f"{kind}_blocks", outer, "resnets", inner, "conv_shortcut"] +
                        rest[1:])
    return ".".join([side, f"{kind}_blocks", outer, f"{kind}sampler"] + rest)


def _vae_2_2_pairs(wan):
    with torch.device("meta"):
        original, diffusers = _vae_2_2_models(wan, 160, 256, 48)
    pairs = {name: _vae_2_2_name(name) for name in original.state_dict()}
    return _require_same_names(pairs, diffusers)


def _randomize(model):
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


@torch.no_grad()
def _check_vae_2_2(wan):
    original, diffusers = _vae_2_2_models(wan, 8, 12, 4)
    _randomize(original)
    diffusers.load_state_dict({_vae_2_2_name(k): v for k, v in original.state_dict().items()})
    video = torch.randn(1, 3, 5, 32, 48, generator=torch.Generator().manual_seed(2))
    latent = diffusers.encode(video).latent_dist.mode()
    _require_close("VAE 2.2 encoder", original.encode(video, [0.0, 1.0]), latent)
    _require_close("VAE 2.2 decoder", original.decode(latent, [0.0, 1.0]).clamp(-1, 1),
                   diffusers.decode(latent).sample)


def _umt5_name(name):
    parts = name.split(".")
    if parts[0] == "token_embedding":
        return "shared.weight"
    if parts[0] == "norm":
        return "encoder.final_layer_norm.weight"
    block, rest = f"encoder.block.{parts[1]}", ".".join(parts[2:])
    inner = {
        "norm1.weight": "layer.0.layer_norm.weight",
        "norm2.weight": "layer.1.layer_norm.weight",
        "pos_embedding.embedding.weight":
            "layer.0.SelfAttention.relative_attention_bias.weight",
        "ffn.gate.0.weight": "layer.1.DenseReluDense.wi_0.weight",
        "ffn.fc1.weight": "layer.1.DenseReluDense.wi_1.weight",
        "ffn.fc2.weight": "layer.1.DenseReluDense.wo.weight",
    }
    inner.update({f"attn.{x}.weight": f"layer.0.SelfAttention.{x}.weight" for x in "qkvo"})
    return f"{block}.{inner[rest]}"


def _umt5_models(wan, vocab, dim, dim_ffn, heads, layers):
    original = wan.t5.T5Encoder(vocab=vocab, dim=dim, dim_attn=dim, dim_ffn=dim_ffn,
                                num_heads=heads, num_layers=layers, num_buckets=32,
                                shared_pos=False)
    config = UMT5Config(vocab_size=vocab, d_model=dim, d_kv=dim // heads, d_ff=dim_ffn,
                        num_heads=heads, num_layers=layers, feed_forward_proj="gated-gelu")
    return original.eval(), UMT5EncoderModel(config).eval()


def _umt5_pairs(wan):
    with torch.device("meta"):
        original, hf = _umt5_models(wan, 256384, 4096, 10240, 64, 24)
    pairs = {name: _umt5_name(name) for name in original.state_dict()}
    tied = {"encoder.embed_tokens.weight"}  # the same tensor as shared.weight
    if set(pairs.values()) | tied != set(hf.state_dict()) | tied:
        raise SystemExit("UMT5: names differ")
    return pairs


@torch.no_grad()
def _check_umt5(wan):
    original, hf = _umt5_models(wan, 50, 32, 48, 4, 2)
    _randomize(original)
    state = {_umt5_name(k): v for k, v in original.state_dict().items()}
    state["encoder.embed_tokens.weight"] = state["shared.weight"]
    hf.load_state_dict(state)
    ids = torch.arange(1, 21)[None]
    mask = torch.ones_like(ids)
    _require_close("UMT5", original(ids, mask), hf(input_ids=ids, attention_mask=mask)[0])


def _require_close(what, expected, got):
    error = ((got - expected).norm() / expected.norm()).item()
    if not error < 1e-4:
        raise SystemExit(f"{what}: the renamed model differs, relative error {error}")
