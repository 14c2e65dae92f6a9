#!/usr/bin/env python3
"""Checks the include rules of DESIGN.md: the layer order, one folder per model, and that every
header of src/ is self-sufficient in the sense of starting with #pragma once.

usage: check_layers.py [SOURCE_DIR]; exit status 1 and one line per violation.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
# Test and bench files may look at anything; they are not part of a layer.
OUTSIDE = re.compile(r"(^|_)(test|bench)\.cpp$")


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
    found = violations(source.resolve())
    for line in found:
        print(line)
    print(f"{len(found)} violations of the layer rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
