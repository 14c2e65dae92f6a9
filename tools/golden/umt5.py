"""UMT5 encoder goldens: ids, stages and final output for prompts of several lengths."""

from contextlib import ExitStack

import torch
from diffusers import WanPipeline

from golden import checkpoints
from golden.recorder import Recorder

VARIANT = "t2v-a14b"
MAX_LENGTH = 512

PROMPTS = {
    "empty": "",
    "word": "fox",
    "english": "Two cats wearing bright boxing gloves fight on a stage.",
    "mixed": "A small fox 一只小猫在雪地里慢慢地走 и лиса идёт по снегу 😀 in 4k, 24 fps; "
             "Kamera schwenkt über den See.",
    "long": " ".join(["The camera pans across a quiet lake while the mountains reflect in the"
                      " water, slow motion, film grain."] * 6),
    "truncated": " ".join(["An astronaut rides a white horse on the moon; neon signs, rain."] * 60),
}


def _hook_encoder(encoder, record):
    record.output(encoder.embed_tokens, "embedding")
    for index, block in enumerate(encoder.block):
        record.output(block, f"block{index}.output", 0)
    attention, feed_forward = encoder.block[0].layer
    record.output(attention.layer_norm, "block0.attn.norm")
    for name in "qkvo":
        record.output(getattr(attention.SelfAttention, name), f"block0.attn.{name}")
    record.output(attention, "block0.after_attn", 0)
    record.output(feed_forward.layer_norm, "block0.ffn.norm")
    record.output(feed_forward.DenseReluDense, "block0.ffn.out")
    record.output(encoder.final_layer_norm, "final_norm")


def encode(model, ids, stages):
    """One unpadded sequence through the encoder."""
    with ExitStack() as stack:
        record = Recorder(stack)
        if stages:
            _hook_encoder(model.encoder, record)
        output = model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))
    return {**record.tensors, "output": output.last_hidden_state}


def position_bias(model, length):
    """Relative bias rows of the first and the last query, [layer, head, 2, key]."""
    rows = [block.layer[0].SelfAttention.compute_bias(length, length)[0, :, [0, length - 1], :]
            for block in model.encoder.block]
    return torch.stack(rows)


def write_umt5(writer):
    pipe = checkpoints.load_pipeline(writer, VARIANT, WanPipeline)
    model = pipe.text_encoder.eval()
    for name, prompt in PROMPTS.items():
        embeds, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False,
                                       max_sequence_length=MAX_LENGTH)
        ids = pipe.tokenizer(prompt, truncation=True, max_length=MAX_LENGTH).input_ids
        rows = len(ids)
        if embeds[0, rows:].count_nonzero() != 0:
            raise SystemExit(f"umt5 {name}: rows past the prompt are not zero")
        tensors = {"ids": torch.tensor(ids), "encode_prompt": embeds[0, :rows]}
        if rows < 200:
            tensors.update(encode(model, ids, stages=True))
        else:
            tensors["output"] = encode(model, ids, stages=False)["output"]
        if rows < MAX_LENGTH:
            tensors["bias"] = position_bias(model, rows)
        writer.tensors(f"umt5/{name}.safetensors", tensors, "umt5.write_umt5",
                       {"variant": VARIANT, "prompt": prompt, "rows": rows})
