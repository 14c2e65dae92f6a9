"""Stage goldens of the Wan transformer: every named intermediate of one forward."""

from contextlib import ExitStack
from unittest import mock

import torch
from diffusers.models.transformers import transformer_wan

from golden import checkpoints
from golden.common import randn
from golden.recorder import Recorder

# (variant, subfolder, case, latent [F,H,W], text rows, timesteps per sample)
# For ti2v the timesteps are (t of frame 0, t of the other frames).
CASES = (
    ("t2v-a14b", "transformer", "f3_6x10", (3, 6, 10), 512, (937,)),
    ("t2v-a14b", "transformer", "f1_4x6", (1, 4, 6), 7, (999,)),
    ("t2v-a14b", "transformer_2", "f3_4x10_batch2", (3, 4, 10), 33, (500, 17)),
    ("i2v-a14b", "transformer", "f3_6x10", (3, 6, 10), 77, (951,)),
    ("i2v-a14b", "transformer_2", "f1_10x6", (1, 10, 6), 19, (333,)),
    ("ti2v-5b", "transformer", "f3_6x10", (3, 6, 10), 60, (875.0, 875.0)),
    ("ti2v-5b", "transformer", "f1_6x4", (1, 6, 4), 7, (999.0, 999.0)),
    ("ti2v-5b", "transformer", "f3_10x6_i2v", (3, 10, 6), 45, (0.0, 621.0)),
)


def _hook_model(model, record):
    record.output(model.patch_embedding, "patch_embedding.conv")
    record.output(model.rope, "rope.cos", 0)
    record.output(model.rope, "rope.sin", 1)
    embedder = model.condition_embedder
    record.output(embedder.timesteps_proj, "time.sinusoid")
    record.output(embedder, "time.temb", 0)
    record.output(embedder, "time.timestep_proj", 1)
    record.output(embedder, "text.embedding", 2)
    record.input(model.blocks[0], "blocks.input")
    for index, block in enumerate(model.blocks):
        record.output(block, f"block{index}.output")
    record.output(model.norm_out, "head.norm_out")
    record.input(model.proj_out, "head.modulated")
    record.output(model.proj_out, "head.proj_out")


def _hook_block0(block, record):
    record.output(block.norm1, "block0.norm1")
    record.input(block.attn1, "block0.norm1_modulated")
    record.output(block.attn1, "block0.attn1.out")
    record.input(block.norm2, "block0.after_attn1")
    record.output(block.norm2, "block0.norm2")
    record.output(block.attn2, "block0.attn2.out")
    record.input(block.norm3, "block0.after_attn2")
    record.output(block.norm3, "block0.norm3")
    record.input(block.ffn, "block0.norm3_modulated")
    record.output(block.ffn.net[0], "block0.ffn.gelu")
    record.output(block.ffn, "block0.ffn.out")
    for name in ("attn1", "attn2"):
        attention = getattr(block, name)
        for linear in ("to_q", "to_k", "to_v"):
            record.output(getattr(attention, linear), f"block0.{name}.{linear}")
        record.output(attention.norm_q, f"block0.{name}.norm_q")
        record.output(attention.norm_k, f"block0.{name}.norm_k")
        record.input(attention.to_out[0], f"block0.{name}.heads")


def _record_attention_inputs(stack, record):
    """q, k, v as the attention sees them, after norm and rope, for block 0 only."""
    original = transformer_wan.dispatch_attention_fn
    calls = iter(("attn1", "attn2"))

    def wrapper(query, key, value, *args, **kwargs):
        name = next(calls, None)
        if name is not None:
            for letter, tensor in zip("qkv", (query, key, value)):
                record.save(f"block0.{name}.{letter}", tensor)
        return original(query, key, value, *args, **kwargs)

    stack.enter_context(mock.patch.object(transformer_wan, "dispatch_attention_fn", wrapper))


def make_timestep(variant, size, timesteps):
    """int64 [B] as the pipelines pass it; for ti2v fp32 [1, S], one per token."""
    if not variant.pipeline_config["expand_timesteps"]:
        return torch.tensor(timesteps, dtype=torch.int64)
    frames, height, width = size
    per_token = torch.full((frames, height // 2, width // 2), timesteps[1])
    per_token[0] = timesteps[0]
    return per_token.flatten().unsqueeze(0)


def run_case(model, variant, case, size, text_rows, timesteps):
    """One forward with every hook; returns the named tensors, inputs included."""
    batch = 1 if variant.pipeline_config["expand_timesteps"] else len(timesteps)
    channels = variant.transformer["in_channels"]
    inputs = {
        "hidden_states": randn((batch, channels, *size), variant.name, case, "latent"),
        "timestep": make_timestep(variant, size, timesteps),
        "encoder_hidden_states": randn((batch, text_rows, checkpoints.TEXT_DIM), variant.name,
                                       case, "text"),
    }
    if text_rows > 50:  # as after encode_prompt: zeros past the prompt
        inputs["encoder_hidden_states"][:, 21:] = 0
    with ExitStack() as stack:
        record = Recorder(stack)
        _hook_model(model, record)
        _hook_block0(model.blocks[0], record)
        _record_attention_inputs(stack, record)
        output = model(**inputs, return_dict=False)[0]
    tensors = {f"input.{name}": value for name, value in inputs.items()}
    tensors.update(record.tensors)
    tensors["output"] = output
    tokens = tensors["blocks.input"].shape[1]
    for name in ("rope.cos", "rope.sin"):
        tensors[name] = tensors[name].reshape(tokens, -1)
    return tensors


def drop_redundant(tensors):
    """Leaves out what the 512-row cases would otherwise store twice."""
    for name in ("patch_embedding.conv", "block0.attn1.v", "block0.attn2.v", "block0.attn2.q"):
        tensors.pop(name)  # equal to blocks.input, to_v, to_v and norm_q
    if tensors["input.encoder_hidden_states"].shape[1] == 512:
        for name in ("to_k", "norm_k", "k", "to_v"):
            tensors.pop(f"block0.attn2.{name}")
    return tensors


def write_dit(writer):
    for name, subfolder, case, size, text_rows, timesteps in CASES:
        variant = checkpoints.VARIANTS[name]
        model = checkpoints.load_transformer(writer, name, subfolder)
        tensors = drop_redundant(run_case(model, variant, case, size, text_rows, timesteps))
        info = {"variant": name, "subfolder": subfolder, "latent_size": size,
                "text_rows": text_rows, "timesteps": timesteps}
        writer.tensors(f"dit/{name}_{case}.safetensors", tensors, "dit.write_dit", info)
