#!/bin/bash
# For somebody with an Ascend NPU: what only that machine can show, in one file to send back.
#   tools/ascend_check.sh [OUTPUT.tar.gz]
# Run it in a checkout that was set up (make setup), in a shell with CANN's environment. About 15
# minutes, most of them the build. A step that fails is in the file too; the script goes on.
set -u
cd "$(dirname "$0")/.." || exit 1
output=$(realpath -m "${1:-ascend_check.tar.gz}")
[ ! -e "$output" ] || { echo "$output exists; name another file" >&2; exit 2; }
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
build=build/dev
model=models/wan-tiny-ti2v

step() { # NAME COMMAND...: its output and status go to NAME.txt
  local name=$1 status
  shift
  echo "$name: $*"
  "$@" > "$results/$name.txt" 2>&1
  status=$?
  echo "exit status $status" >> "$results/$name.txt"
  [ "$status" = 0 ] || echo "$name: exit status $status, see $name.txt in the result" >&2
}

generate() { # SCHEME DEVICE
  step "generate-$1-$2" "$build/mxvideo" generate --device "$2" --model-path "$model" \
    --quantization "$1" --seed 7 --prompt "a red ball moves to the right on a white background" \
    --output "$results/$1-$2.y4m" --report "$results/$1-$2.json"
}

cmake --preset dev > /dev/null &&
  cmake --build "$build" -j "$(nproc)" --target mxvideo ascend_rows_test ascend_models_test ||
  exit 1
step machine sh -c 'uname -a; lscpu | head -20; git rev-parse HEAD; npu-smi info'
step doctor "$build/mxvideo" doctor --json
# The tests of the stand-in, on the NPU instead: every row against the reference, then the models.
export MXVIDEO_TEST_NPU=1
step rows "$build/tests/ascend/ascend_rows_test" --gtest_output="json:$results/rows.json"
step models "$build/tests/ascend/ascend_models_test" --gtest_output="json:$results/models.json"
for scheme in none mxfp8; do
  generate "$scheme" cpu
  generate "$scheme" ascend
done
sha256sum "$results"/*.y4m > "$results/videos.sha256"
tar -C "$results" -czf "$output" . && echo "send $output back"
