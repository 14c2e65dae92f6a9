#!/usr/bin/env python3
"""Checks rules of DESIGN.md: the layer order of includes, one folder per model, #pragma once in
every header of src/; that only the command line spells flags: below it, messages name a field
as field("num_frames") (src/base/text/field.h), and each such name is one that the command line has;
and that models and pipeline touch no element of a tensor, which may lie on another device.

usage: check_layers.py [SOURCE_DIR]; exit status 1 and one line per violation.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
# Test and bench files may look at anything; they are not part of a layer.
OUTSIDE = re.compile(r"(^|_)(test|bench)\.cpp$")
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"')
FLAG = re.compile(r"--([a-z][a-z0-9]*(?:[-_][a-z0-9]+)*)")
FIELD = re.compile(r'\bfield\("([^"]*)"\)')
# Lines that name a flag of another program.
FOREIGN_FLAGS = {
    "checkpoint/model_path.cpp": "hf download",
}


def code_lines(text: str):
    """Lines that are no comment, with their numbers."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.lstrip().startswith("//"):
            yield number, line


def known_fields(source: pathlib.Path) -> set[str]:
    """Fields that a front has: flags of src/cli and tools, rows of the request's table."""
    known = set()
    table = source / "pipeline/request/request_fields.cpp"
    if table.exists():
        known.update(re.findall(r'\brow\("([a-z0-9_]+)"', table.read_text()))
    for path in [*(source / "cli").rglob("*.cpp"), *(source.parent / "tools").rglob("*.cpp")]:
        if path.name == "peer_flags.cpp":  # those that there are not
            continue
        for literal in LITERAL.findall(path.read_text()):
            known.update(flag.replace("-", "_") for flag in FLAG.findall(literal))
    return known


def spelled_flags(source: pathlib.Path) -> list[str]:
    found = []
    known = known_fields(source)
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.suffix not in {".h", ".cpp", ".inc"} or path.name.endswith("test.cpp"):
            continue
        for number, line in code_lines(path.read_text()):
            where = f"src/{relative}:{number}"
            found += [f"{where}: no flag of a front is called {name}" for name in FIELD.findall(line)
                      if name not in known]
            foreign = FOREIGN_FLAGS.get(str(relative))
            if relative.parts[0] == "cli" or (foreign is not None and foreign in line):
                continue
            found += [f'{where}: {literal} spells a flag; field("…") names it'
                      for literal in LITERAL.findall(line) if FLAG.search(literal)]
    return found


# How elements of tensors are read and written.
ELEMENTS = re.compile(r"\bf32\(\)|\bvalues\(\)|\bdata\(\)|\bmemcpy\b|\bmemset\b")
# Where data of the host enters or leaves.
BOUNDARY = {
    "pipeline/image_preprocess.cpp": "bytes of pictures become a tensor",
    "pipeline/solver/torch_random.cpp": "the generator of noise fills a tensor",
    "pipeline/numerics_guard.cpp": "a word tells the host whether values are finite",
    "pipeline/text/text_cache.cpp": "embeddings go to files and come from them",
    "pipeline/text/text_encoder_identity.cpp": "headers of files; no tensors",
}


def element_accesses(source: pathlib.Path) -> list[str]:
    found = []
    for folder in ("models", "pipeline"):
        for path in sorted((source / folder).rglob("*")):
            relative = str(path.relative_to(source))
            if path.suffix not in {".h", ".cpp"} or OUTSIDE.search(path.name):
                continue
            if relative in BOUNDARY or path.stem.endswith("_test_support"):
                continue
            for number, line in enumerate(path.read_text().split("\n"), 1):
                if ELEMENTS.search(line.split("//")[0]):
                    found.append(f"src/{relative}:{number}: touches elements: {line.strip()}")
    return found


def violations(source: pathlib.Path) -> list[str]:
    names = [line for line in (source.parent / "tools/layers.txt").read_text().split("\n")
             if line and not line.startswith("#")]
    order = {name: rank for rank, name in enumerate(names)}
    found = []
    for folder in sorted(path.name for path in source.iterdir() if path.is_dir()):
        if folder not in order:
            found.append(f"src/{folder}: not in tools/layers.txt")
    found += [f"tools/layers.txt: there is no src/{name}" for name in names
              if not (source / name).is_dir()]
    for path in sorted(source.rglob("*")):
        if path.suffix not in {".h", ".cpp", ".inc"}:
            continue
        relative = path.relative_to(source)
        layer = relative.parts[0]
        text = path.read_text()
        if path.suffix == ".h" and "#pragma once" not in text and "-inl.h" not in path.name:
            found.append(f"src/{relative}: no #pragma once")
        if OUTSIDE.search(path.name):
            continue
        for include in INCLUDE.findall(text):
            target = include.split("/")[0]
            if target in order and order[target] > order.get(layer, 99):
                found.append(f"src/{relative}: layer {layer} may not include {include}")
            if target not in order and (source / include).exists():
                found.append(f"src/{relative}: {include} lies in no layer")
            if layer == target == "models" and include.split("/")[1] != relative.parts[1]:
                found.append(f"src/{relative}: one model may not include another: {include}")
    return found


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "src"
    found = (violations(source.resolve()) + spelled_flags(source.resolve()) +
             element_accesses(source.resolve()))
    for line in found:
        print(line)
    print(f"{len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
