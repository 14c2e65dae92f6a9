#!/usr/bin/env python3
"""Checks what README.md, DESIGN.md, CONTRIBUTING.md, CHANGELOG.md and docs/ say against the
repository. In code spans, code blocks and links:

- a repository path (known ending or trailing slash) exists, from the root or from src/; <name> and
  * match anything, and something must match;
- the target of every `make TARGET` is in the Makefile;
- every --flag of mxvideo or mxvideo-make-checkpoint is one that their sources define;
- the walk of a request in DESIGN.md is a call tree of existing files: a line's file defines the
  functions that the line names, and its caller, the line above with less indentation, includes a
  header of its folder; the landmarks come in order.

usage: check_docs.py [ROOT]; exit status 1 and one line per violation.
"""
import functools
import pathlib
import re
import sys

TOP_DOCS = ("README.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md")
ENDINGS = ("c", "cpp", "h", "inc", "py", "sh", "cmake", "md", "txt", "json", "png", "yml")
# What the examples write or read and what other projects have; nothing of this repository.
FOREIGN = re.compile(r"(build|frames|out|~)/|model_index\.json$|(scheduler_)?config\.json$|"
                     r"(report|complete)\.json$|quant_model_description|hf_quant_config|photo\.png$|DIR/")
# Commands that have flags of their own.
OTHER_COMMAND = re.compile(r"\s*(\$ )?(tools/\S+|ctest|cmake|git|hf|build/fuzz/\S+|"
                           r"build/release/bench/\S+)\s")
OWN_FLAG_SOURCES = ("src/cli/**/*.cpp", "tools/make_checkpoint/*.cpp")

WALK_HEADING = "## The walk of one request"
LANDMARKS = ("src/cli/commands/generate.cpp", "src/pipeline/run.cpp",
             "src/pipeline/stages/denoise.cpp", "src/models/wan_transformer/forward.cpp",
             "src/quantization/mx_linear.cpp", "src/kernels/gemm_mx/gemm_mx.cpp",
             "src/kernels/gemm_mx/cpu/blocked.cpp", "src/kernels/gemm_mx/cpu/avx2.cpp")

SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#]+)\)")
PATH = re.compile(r"[A-Za-z0-9_.<>*~-]*(?:/[A-Za-z0-9_.<>*-]*)+|[A-Za-z0-9_.<>*-]+\.[a-z]+")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*")
MAKE = re.compile(r"\bmake ([a-z][a-z0-9_-]*)")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
WALK_LINE = re.compile(r"( *)(src/\S+)\s*(.*)")
FUNCTION = re.compile(r"([A-Za-z_0-9]+)\(\)")


def code_of(text):
    """(line number, code, whether it is a link) of every code span, code line and link target."""
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield number, line, False
        else:
            for code in SPAN.findall(line):
                yield number, code, False
            for target in LINK.findall(line):
                if not target.startswith("https://"):
                    yield number, target, True


def is_repository_path(token):
    name = token.rstrip("/").rsplit("/", 1)[-1]
    if FOREIGN.match(token) or FOREIGN.match(name) or token.startswith("/"):
        return False
    return token.endswith("/") or ("." in name and name.rsplit(".", 1)[-1] in ENDINGS)


def exists(root, token):
    pattern = re.sub(r"<[^>]*>", "*", token).rstrip("/")
    for base in (root, root / "src"):
        found = base.glob(pattern) if "*" in pattern else [base / pattern]
        if any(path.is_dir() if token.endswith("/") else path.is_file() for path in found):
            return True
    return False


def check_code(root, name, targets, flags):
    for number, code, is_link in code_of((root / name).read_text()):
        where = f"{name}:{number}"
        for token in PATH.findall(code):
            token = re.sub(r"^(\.\./)+", "", token.rstrip("."))
            if (is_link or is_repository_path(token)) and not exists(root, token):
                yield f"{where}: there is no {token}"
        for target in MAKE.findall(code):
            if target not in targets:
                yield f"{where}: the Makefile has no target {target}"
        if not OTHER_COMMAND.match(code + " "):
            for flag in FLAG.findall(code):
                if flag not in flags:
                    yield f"{where}: neither mxvideo nor its tools have the flag {flag}"


def documents(root):
    """Names of the documents that are checked, from the root."""
    below = sorted(f"docs/{path.name}" for path in (root / "docs").glob("*.md"))
    return [name for name in TOP_DOCS if (root / name).is_file()] + below


def make_targets(root):
    return set(re.findall(r"^([a-z][a-z0-9_-]*):", (root / "Makefile").read_text(), re.MULTILINE))


def own_flags(root):
    flags = {"--help"}
    table = (root / "src/pipeline/request/request_fields.cpp").read_text()
    for name in re.findall(r'\brow\("([a-z0-9_]+)"', table):
        flags.add("--" + name.replace("_", "-"))
    for aliases in re.findall(r"\.aliases = \{([^}]*)\}", table):
        flags.update("--" + alias for alias in re.findall(r'"([^"]+)"', aliases))
    for pattern in OWN_FLAG_SOURCES:
        for path in root.glob(pattern):
            for option in re.findall(r'"((?:-[A-Za-z],)?--[^" ]+)"', path.read_text()):
                flags.update(flag for flag in option.split(",") if flag.startswith("--"))
    return flags


def walk_lines(text):
    """(line number, indentation, file, rest) of the code block below the heading of the walk."""
    inside = fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("## "):
            inside = line == WALK_HEADING
        elif inside and line.startswith("```"):
            fenced = not fenced
        elif inside and fenced:
            match = WALK_LINE.fullmatch(line)
            if match:
                yield number, len(match[1]), match[2], match[3]


@functools.lru_cache(maxsize=None)
def includes(source, file):
    """Headers that a file of src/ includes, directly or through other headers."""
    path = source / file
    if not path.is_file():
        return frozenset()
    found = set(INCLUDE.findall(path.read_text()))
    for header in list(found):
        found |= includes(source, header)
    return frozenset(found)


def check_walk(root):
    stack = []
    files = []
    for number, indentation, file, rest in walk_lines((root / "DESIGN.md").read_text()):
        where = f"DESIGN.md:{number}"
        files.append(file)
        if not (root / file).is_file():
            yield f"{where}: there is no {file}"
            continue
        text = (root / file).read_text()
        for function in FUNCTION.findall(rest):
            if not re.search(rf"\b{function}\b", text):
                yield f"{where}: {file} has no {function}"
        while stack and stack[-1][0] >= indentation:
            stack.pop()
        if stack:
            caller = stack[-1][1]
            folder = str(pathlib.PurePath(file).parent.relative_to("src"))
            reached = {str(pathlib.PurePath(header).parent)
                       for header in includes(root / "src", caller.removeprefix("src/"))}
            if folder not in reached | {str(pathlib.PurePath(caller).parent.relative_to("src"))}:
                yield f"{where}: {caller} includes nothing of src/{folder}"
        stack.append((indentation, file))
    rest = iter(files)
    for landmark in LANDMARKS:
        if landmark not in rest:
            yield f"DESIGN.md: the walk does not reach {landmark} in its order"
            return


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parent.parent
    targets = make_targets(root)
    flags = own_flags(root)
    found = [line for name in documents(root) for line in check_code(root, name, targets, flags)]
    found += check_walk(root)
    for line in found:
        print(line)
    print(f"{len(found)} statements of the documents that do not hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
