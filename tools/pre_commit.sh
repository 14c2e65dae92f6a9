#!/bin/sh
# The checks that need no build. All of them, or the one that is named:
#   tools/pre_commit.sh [format|layers|docs|whitespace|size|shell]
# ctest runs each as lint_NAME, so the hook and CI cannot differ. As a git hook:
#   ln -s ../../tools/pre_commit.sh .git/hooks/pre-commit
# Exit status: 0, 1 when something was found, 77 when the one named check needs a program that is
# not installed. Without a name such a check is announced and left out.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

skipped=77
max_file_bytes=2097152
max_model_bytes=16777216  # of one file below models/
max_source_lines=500

check_format() { tools/format.sh --check; }
check_layers() { python3 tools/check_layers.py; }
check_docs() { python3 tools/check_docs.py; }

# Tracked files, and new ones that are not ignored.
tracked() {
  if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    echo "pre_commit: skipped, this is no git checkout that git accepts" >&2
    return "$skipped"
  fi
  git ls-files --cached --others --exclude-standard -- "$@"
}

# Data of other programs keeps its bytes.
check_whitespace() {
  files=$(tracked . ':!tests/golden' ':!tests/fuzz/corpus' ':!LICENSE') || return $?
  found=$(echo "$files" | while IFS= read -r file; do
    [ -f "$file" ] || continue
    grep -nHI '[[:blank:]]$' "$file" || true
  done)
  if [ -n "$found" ]; then
    echo "whitespace: blanks at the end of a line:" >&2
    echo "$found" >&2
    return 1
  fi
  echo "whitespace: no blanks at the end of a line"
}

check_size() {
  files=$(tracked .) || return $?
  found=$(echo "$files" | while IFS= read -r file; do
    [ -f "$file" ] || continue
    bytes=$(wc -c < "$file")
    case "$file" in
      models/*) allowed=$max_model_bytes ;;
      *) allowed=$max_file_bytes ;;
    esac
    if [ "$bytes" -gt "$allowed" ]; then
      echo "  $file: $bytes bytes, at most $allowed"
    fi
    case "$file" in
      *.h | *.cpp)
        lines=$(wc -l < "$file")
        if [ "$lines" -gt "$max_source_lines" ]; then
          echo "  $file: $lines lines, at most $max_source_lines"
        fi ;;
    esac
  done)
  if [ -n "$found" ]; then
    echo "size: too large:" >&2
    echo "$found" >&2
    return 1
  fi
  echo "size: every file is within the limits"
}

check_shell() {
  if ! command -v shellcheck >/dev/null; then
    echo "shell: skipped, shellcheck is not installed (tools/setup.sh --developer installs it)" >&2
    return "$skipped"
  fi
  shellcheck tools/*.sh .ci/run && echo "shell: shellcheck has nothing to say"
}

if [ $# -eq 1 ]; then
  case "$1" in
    format | layers | docs | whitespace | size | shell) "check_$1"; exit $? ;;
  esac
fi
if [ $# -gt 0 ]; then
  echo "usage: tools/pre_commit.sh [format|layers|docs|whitespace|size|shell]" >&2
  exit 2
fi

failed=""
for check in format layers docs whitespace size shell; do
  status=0
  "check_$check" || status=$?
  if [ "$status" -ne 0 ] && [ "$status" -ne "$skipped" ]; then failed="$failed $check"; fi
done
if [ -n "$failed" ]; then
  echo "pre_commit: failed:$failed" >&2
  exit 1
fi
