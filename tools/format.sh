#!/bin/sh
# Formats the C++ sources in place with clang-format 14 and the .clang-format of the root; with
# --check changes nothing and lists what is not formatted. Exit status: 0, 1 when --check found
# something, 77 (skipped, for ctest) when clang-format is not installed.
# Tables (.inc) are left alone: programs write them.
set -eu
cd "$(dirname "$0")/.."

mode=format
if [ "${1:-}" = "--check" ]; then
  mode=check
elif [ $# -gt 0 ]; then
  echo "usage: tools/format.sh [--check]" >&2
  exit 2
fi

# Other versions format differently.
clang_format=""
for name in clang-format-14 clang-format; do
  if "$name" --version 2>/dev/null | grep -q 'version 14\.'; then
    clang_format=$name
    break
  fi
done
if [ -z "$clang_format" ]; then
  echo "format: skipped, clang-format 14 is not installed (tools/setup.sh --developer installs it)" >&2
  exit 77
fi

sources() {
  find src tests bench tools \( -name '*.h' -o -name '*.cpp' \) -type f -print | sort
}

if [ "$mode" = format ]; then
  sources | xargs "$clang_format" -i --style=file
  exit 0
fi

unformatted=$(sources | xargs "$clang_format" --dry-run --style=file 2>&1 |
  sed -n 's/^\([^: ]*\):.*clang-format-violations.*/  \1/p' | sort -u)
count=$(sources | wc -l)
if [ -n "$unformatted" ]; then
  echo "format: not formatted (make format does it):
$unformatted" >&2
  exit 1
fi
echo "format: $count files are formatted"
