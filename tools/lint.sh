#!/bin/bash
# clang-tidy over the compile database, then the checks of tools/pre_commit.sh (format, layers,
# sizes, shell and the rest). Prints a summary; fails on any finding.
#
# usage: tools/lint.sh [FILE.cpp…]    only these files through clang-tidy; the rest always runs
# environment: BUILD_DIR (build/dev)  a configured build folder, for its compile_commands.json
#              JOBS (2)               clang-tidy processes at a time
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build_dir=${BUILD_DIR:-build/dev}
jobs=${JOBS:-2}
log_dir=$build_dir/lint

if [ ! -f "$build_dir/compile_commands.json" ]; then
  echo "lint: $build_dir/compile_commands.json is missing; run: cmake --preset dev" >&2
  exit 1
fi
rm -rf "$log_dir"
mkdir -p "$log_dir"

# The compiled files below our folders, each once.
database_files() {
  python3 - "$build_dir/compile_commands.json" <<'PYTHON'
import json, pathlib, sys
root = pathlib.Path.cwd()
files = {pathlib.Path(entry["file"]) for entry in json.load(open(sys.argv[1]))}
for path in sorted(files):
    if path.is_relative_to(root):
        relative = path.relative_to(root)
        if relative.parts[0] in {"src", "bench", "tools", "tests"}:
            print(relative)
PYTHON
}

# clang-tidy's findings in one file, the Highway sources for one target only (they include themselves
# once per target). Standard error only counts suppressed warnings of the system's headers. A log
# stays when there is a finding, or when clang-tidy itself failed.
# shellcheck disable=SC2317  # xargs calls it
tidy_one() {
  local log="$2/${1//\//_}.log"
  clang-tidy --quiet -p "$3" --extra-arg=-DHWY_COMPILE_ONLY_STATIC --extra-arg=-Wno-unknown-warning-option "$1" >"$log" 2>"$log.stderr" && rm -f "$log"
  rm -f "$log.stderr"
}
export -f tidy_one

run_clang_tidy() {
  local files findings
  files=$(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else database_files; fi)
  echo "lint: clang-tidy over $(wc -l <<<"$files") files"
  xargs -P "$jobs" -I{} bash -c 'tidy_one "$@"' _ {} "$log_dir" "$build_dir" <<<"$files"
  if [ -z "$(ls "$log_dir")" ]; then
    echo "lint: clang-tidy has no findings"
    return 0
  fi
  # A finding in a header comes once per file that includes it.
  findings=$(cat "$log_dir"/*.log | grep -E ': (error|warning): ' | sort -u)
  printf '%s\n' "$findings"
  echo "lint: $(grep -c . <<<"$findings") findings of clang-tidy; whole text in $log_dir"
  return 1
}

status=0
run_clang_tidy "$@" || status=1
tools/pre_commit.sh || status=1
if [ "$status" -eq 0 ]; then echo "lint: passed"; else echo "lint: FAILED"; fi
exit "$status"
