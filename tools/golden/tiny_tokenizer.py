"""Trains the tiny UMT5-like tokenizer and saves it in the layout of the real directories."""

import io
import json
import shutil
import tempfile
from pathlib import Path

import sentencepiece
from transformers import T5TokenizerFast

from golden import corpus

EXTRA_IDS = 10
VOCAB_PIECES = 1200


def train_sentencepiece():
    """Unigram with byte pieces and nmt_nfkc; ids as in UMT5: pad 0, eos 1, unk 2, no bos.
    Returns the bytes of the model; no path gets into them."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus.sentences()), model_writer=model, model_type="unigram",
        vocab_size=VOCAB_PIECES, hard_vocab_limit=False, character_coverage=0.9995,
        byte_fallback=True, normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, num_threads=1, split_digits=False, minloglevel=2)
    return model.getvalue()


def _special(content):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False,
            "single_word": False}


def make_tokenizer():
    """Returns (tokenizer, spiece.model bytes). The tokenizer is what the pipelines load."""
    spiece = train_sentencepiece()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spiece.model"
        path.write_bytes(spiece)
        tokenizer = T5TokenizerFast.from_pretrained(folder, extra_ids=EXTRA_IDS)
    tokenizer.name_or_path = ""
    tokenizer.init_kwargs.pop("vocab_file", None)
    return tokenizer, spiece


def save_tokenizer(tokenizer, spiece, folder):
    """The four files of a real `tokenizer/` directory."""
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer.save_pretrained(folder)
    for extra in folder.iterdir():
        if extra.name not in ("tokenizer.json", "tokenizer_config.json"):
            extra.unlink()
    (folder / "spiece.model").write_bytes(spiece)
    extra_tokens = [f"<extra_id_{i}>" for i in range(EXTRA_IDS)]
    special = {"additional_special_tokens": extra_tokens, "eos_token": _special("</s>"),
               "pad_token": _special("<pad>"), "unk_token": _special("<unk>")}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config = {k: v for k, v in sorted(config.items())
              if k not in ("_spm_precompiled_charsmap", "vocab", "unk_id", "is_local",
                           "local_files_only", "backend", "added_tokens_decoder",
                           "extra_special_tokens")}
    ids = {0: "<pad>", 1: "</s>", 2: "<unk>"}
    ids.update({tokenizer.convert_tokens_to_ids(t): t for t in extra_tokens})
    config["added_tokens_decoder"] = {str(i): {**_special(t), "special": True}
                                      for i, t in sorted(ids.items())}
    config["tokenizer_class"] = "T5Tokenizer"
    config["additional_special_tokens"] = extra_tokens
    config["extra_ids"] = EXTRA_IDS
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
