"""What every generator shares: determinism, random tensors, the writer and the manifest."""

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

BASE_SEED = 20250728
MAX_FILE_BYTES = 2_000_000
MAX_TOTAL_BYTES = 29_000_000

PACKAGES = ("torch", "diffusers", "transformers", "tokenizers", "torchao", "ml_dtypes", "ftfy",
            "sentencepiece", "safetensors", "comfy-kitchen", "numpy", "pillow", "regex")


def make_deterministic():
    """One thread, the math attention, no autograd: a second run gives the same bytes."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_math_sdp(True)


def generator(*key):
    """A torch CPU generator whose seed depends on BASE_SEED and the key only."""
    digest = hashlib.sha256(repr((BASE_SEED,) + key).encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:6], "little"))


def randn(shape, *key):
    """Standard normal fp32 tensor named by its key."""
    return torch.randn(shape, generator=generator(*key))


def numpy_rng(*key):
    """A numpy Generator whose seed depends on BASE_SEED and the key only."""
    digest = hashlib.sha256(repr((BASE_SEED,) + key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


class Writer:
    """Writes golden files below one folder and remembers which function made them."""

    def __init__(self, root):
        self.root = Path(root)
        self.generators = {}

    def path(self, name, made_by):
        """Registers `name` (relative to the root) and returns where to write it."""
        self.generators[name] = made_by
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def tensors(self, name, tensors, made_by, info=None):
        """Safetensors file. `info` goes into the metadata as one JSON text, because the
        order of several metadata keys is not deterministic."""
        contiguous = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
        metadata = {"info": json.dumps(info, ensure_ascii=False, sort_keys=True)} if info else None
        save_file(contiguous, self.path(name, made_by), metadata=metadata)

    def text(self, name, text, made_by):
        self.path(name, made_by).write_text(text, encoding="utf-8")

    def json(self, name, value, made_by, indent=1):
        text = json.dumps(value, ensure_ascii=True, indent=indent, sort_keys=False)
        self.text(name, text + "\n", made_by)

    def folder(self, name, made_by):
        """Registers every file below the folder `name`, written by somebody else."""
        for file in sorted((self.root / name).rglob("*")):
            if file.is_file():
                self.generators[str(file.relative_to(self.root))] = made_by

    def write_manifest(self):
        """Merges what this run made into MANIFEST.json, and enforces the size limits."""
        manifest_path = self.root / "MANIFEST.json"
        old = json.loads(manifest_path.read_text())["files"] if manifest_path.exists() else {}
        files, total = {}, 0
        for file in sorted(self.root.rglob("*")):
            name = str(file.relative_to(self.root))
            if not file.is_file() or name in ("MANIFEST.json", "README.md"):
                continue
            data = file.read_bytes()
            if len(data) >= MAX_FILE_BYTES:
                raise SystemExit(f"{name}: {len(data)} bytes, limit {MAX_FILE_BYTES}")
            total += len(data)
            made_by = self.generators.get(name) or old.get(name, {}).get("made_by")
            if made_by is None:
                raise SystemExit(f"{name}: no generator makes this file; delete it")
            files[name] = {"made_by": made_by, "bytes": len(data),
                           "sha256": hashlib.sha256(data).hexdigest()}
        if total >= MAX_TOTAL_BYTES:
            raise SystemExit(f"golden files take {total} bytes, limit {MAX_TOTAL_BYTES}")
        manifest = {
            "tool": "tools/make_golden.py",
            "seed": BASE_SEED,
            "python": platform.python_version(),
            "packages": {p: importlib.metadata.version(p) for p in PACKAGES},
            "total_bytes": total,
            "files": files,
        }
        manifest_path.write_text(json.dumps(manifest, indent=1) + "\n")
