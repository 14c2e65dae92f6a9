"""Tokenizer goldens: prompts, what prompt_clean makes of them, and their token ids."""

import json

from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from transformers import T5TokenizerFast

from golden import prompt_texts

MODEL = "t2v-a14b"
MAX_LENGTH = 512
MIN_PROMPTS = 600


def _entry(tokenizer, category, raw):
    """`ids` belong to `clean`. `ids_raw` belong to `raw`, where that is another text: they
    show the tokenizer alone on what cleaning would have removed."""
    clean = prompt_clean(raw)

    def encode(text):
        return tokenizer(text, truncation=True, max_length=MAX_LENGTH,
                         add_special_tokens=True).input_ids

    entry = {"category": category, "raw": raw, "clean": clean, "ids": encode(clean)}
    if raw != clean:
        entry["ids_raw"] = encode(raw)
    return entry


def write_tokenizer(writer):
    tokenizer = T5TokenizerFast.from_pretrained(writer.root / "models" / MODEL / "tokenizer")
    entries, seen = [], set()
    for category, texts in prompt_texts.CATEGORIES.items():
        for raw in texts:
            if raw not in seen:
                seen.add(raw)
                entries.append(_entry(tokenizer, category, raw))
    if len(entries) < MIN_PROMPTS:
        raise SystemExit(f"only {len(entries)} prompts, want {MIN_PROMPTS}")
    head = {"tokenizer": f"models/{MODEL}/tokenizer", "max_length": MAX_LENGTH,
            "count": len(entries)}
    lines = ",\n".join(json.dumps(e, ensure_ascii=True, separators=(",", ":")) for e in entries)
    text = json.dumps(head)[:-1] + ', "prompts": [\n' + lines + "\n]}\n"
    json.loads(text)
    writer.text("tokenizer/prompts.json", text, "prompts.write_tokenizer")
