"""The demo model's own SentencePiece vocabulary, learned from the training sentences."""

import io
import json
from pathlib import Path

import sentencepiece
from transformers import T5TokenizerFast

import clips

EXTRA_IDS = 4
PIECES = 440      # 256 of them are bytes, so that any text has tokens
ROWS = 448        # of the embedding table


def train(folder):
    """Writes a `tokenizer` directory: unigram with byte pieces; pad 0, eos 1, unk 2, no bos, as
    in UMT5."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(clips.all_captions()), model_writer=model, model_type="unigram",
        vocab_size=PIECES, hard_vocab_limit=False, byte_fallback=True,
        normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        num_threads=1, minloglevel=2)
    (folder / "spiece.model").write_bytes(model.getvalue())
    extra = [f"<extra_id_{i}>" for i in range(EXTRA_IDS)]
    tokenizer = T5TokenizerFast.from_pretrained(folder, extra_ids=EXTRA_IDS)
    assert len(tokenizer) <= ROWS, len(tokenizer)
    ids = {0: "<pad>", 1: "</s>", 2: "<unk>"}
    ids.update({tokenizer.convert_tokens_to_ids(token): token for token in extra})
    decoder = {str(i): dict(content=token, special=True, **_PLAIN)
               for i, token in sorted(ids.items())}
    _write(folder / "tokenizer_config.json", {
        "added_tokens_decoder": decoder, "additional_special_tokens": extra, "eos_token": "</s>",
        "extra_ids": EXTRA_IDS, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>"})
    special = {name: dict(content=token, **_PLAIN) for name, token in
               (("eos_token", "</s>"), ("pad_token", "<pad>"), ("unk_token", "<unk>"))}
    _write(folder / "special_tokens_map.json",
           {"additional_special_tokens": extra, **special})
    return load(folder)


_PLAIN = dict(lstrip=False, normalized=False, rstrip=False, single_word=False)


def _write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def load(folder):
    return T5TokenizerFast.from_pretrained(folder)
