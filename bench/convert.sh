#!/bin/bash
# quantize and repack from disk to disk on a transformer of the true Wan2.2-TI2V-5B sizes (random
# weights, 10 GB), beside cp of the bytes that they write and of those that they read; then both in
# a memory cgroup. The time allowed is what cat and cp (and sync) take for the same bytes: for repack
# cp of its input; for quantize cat of the input while cp writes as many bytes as it does, from the
# page cache. 'reached' is allowed / actual.
# Prints a table; figures of each run go to standard error as they come.
#
# Every file is dropped from the page cache before a run, and every run ends with its bytes on the
# disk. A pause before it lets a disk with a cache of its own finish what the run before left there.
# Runs take turns with the copies, so that other load of the machine meets both.
#
# usage: bench/convert.sh [DIRECTORY]     (default build/bench-convert; 45 GB; removed at the end)
# environment: BUILD_DIR (build/release), RUNS (3), PAUSE (20: seconds), KEEP (empty: remove DIRECTORY),
#              PHASES ("speed memory"), LAYOUTS ("modelslim comfy": of quantize, of repack)
set -euo pipefail
cd "$(dirname "$0")/.."

build_dir=${BUILD_DIR:-build/release}
runs=${RUNS:-3}
pause=${PAUSE:-20}
phases=${PHASES:-speed memory}
work=${1:-build/bench-convert}
source_dir=$work/source
quantized=$work/quantized
repacked=$work/repacked
back=$work/back
copied=$work/copied
results=$work/results

# transformer.blocks.N.ffn.net.0.proj.weight, BF16: the largest tensor of the model.
largest_tensor_bytes=$((14336 * 3072 * 2))
memory_limit=$((3 * largest_tensor_bytes + 512 * 1024 * 1024))

cleanup() {
  if [ -z "${KEEP:-}" ]; then rm -rf "$work"; fi
  if [ -n "${cgroup:-}" ]; then rmdir "$cgroup" 2>/dev/null || true; fi
}
trap cleanup EXIT

weights() { find "$1" -name '*.safetensors'; }
bytes_of() { weights "$1" | xargs -d '\n' stat -c %s | awk '{ sum += $1 } END { printf "%.0f", sum }'; }

drop_from_cache() {
  sync
  weights "$work" | while IFS= read -r file; do
    dd if="$file" iflag=nocache count=0 status=none
  done
}

# timed NAME BYTES-READ BYTES-WRITTEN COMMAND…; with $cached, a directory that is in the page cache.
timed() {
  local name=$1 read_bytes=$2 written_bytes=$3
  shift 3
  drop_from_cache
  sleep "$pause"
  if [ -n "${cached:-}" ]; then read_weights "$cached" >/dev/null; fi
  local start end
  start=$(date +%s.%N)
  "$@" >/dev/null
  end=$(date +%s.%N)
  echo "$name $read_bytes $written_bytes $(echo "$end $start" | awk '{ print $1 - $2 }')" |
    tee -a "$results" >&2
}

copy() {
  mkdir -p "$2"
  cp --reflink=never -r "$1" "$2"
  sync -f "$2"
}

read_weights() { weights "$1" | xargs -d '\n' cat; }

# READ COPIED TO
read_beside_copy() {
  read_weights "$1" &
  copy "$2" "$3"
  wait $!
}

quantize() {
  "$build_dir/mxvideo" quantize --model-path "$source_dir" --layout modelslim --progress none \
    --output "$quantized"
}
repack() { # FROM LAYOUT TO
  "$build_dir/mxvideo" repack --quant-path "$1" --layout "$2" --progress none --output "$3"
}

measure_speed() {
  local in_bytes out_bytes
  in_bytes=$(bytes_of "$source_dir")
  if [ ! -d "$quantized" ]; then quantize; fi
  out_bytes=$(bytes_of "$quantized")
  for ((run = 0; run < runs; ++run)); do
    rm -rf "$repacked" "$copied"
    timed cp-read "$in_bytes" "$in_bytes" copy "$source_dir" "$copied"
    rm -rf "$copied" "$quantized"
    timed quantize "$in_bytes" "$out_bytes" quantize
    cached=$quantized timed cat+cp "$in_bytes" "$out_bytes" \
      read_beside_copy "$source_dir" "$quantized" "$copied"
    rm -rf "$copied"
    timed cp-written "$out_bytes" "$out_bytes" copy "$quantized" "$copied"
    rm -rf "$copied"
    timed repack "$out_bytes" "$out_bytes" repack "$quantized" comfy "$repacked"
  done
}

print_speed() {
  echo
  echo "best of $runs runs, $(nproc) cores, $(date -u +%F)"
  printf '%-12s %9s %9s %9s %9s %10s %8s\n' \
    command read_GB write_GB best_s worst_s allowed_s reached
  awk '
    !($1 in best) || $4 < best[$1] { best[$1] = $4 }
    !($1 in worst) || $4 > worst[$1] { worst[$1] = $4 }
    { read[$1] = $2; written[$1] = $3 }
    END {
      allowed["quantize"] = best["cat+cp"]
      allowed["repack"] = best["cp-written"]
      count = split("cp-read cp-written cat+cp quantize repack", names, " ")
      for (i = 1; i <= count; ++i) {
        n = names[i]
        printf "%-12s %9.2f %9.2f %9.1f %9.1f", n, read[n] / 1e9, written[n] / 1e9, best[n], worst[n]
        if (n in allowed) printf " %10.1f %7.0f%%", allowed[n], 100 * allowed[n] / best[n]
        printf "\n"
      }
    }' "$results"
}

# A cgroup of version 1 or 2 with the limit; empty where this user may make none.
make_cgroup() {
  local parent=/sys/fs/cgroup file=memory.max
  if [ -d $parent/memory ]; then parent=$parent/memory file=memory.limit_in_bytes; fi
  cgroup=$parent/mxvideo-bench-$$
  if ! mkdir "$cgroup" 2>/dev/null || ! echo "$memory_limit" 2>/dev/null >"$cgroup/$file"; then
    rmdir "$cgroup" 2>/dev/null || true
    cgroup=
  fi
}

# limited NAME COMMAND…: prints the peak of the resident memory, mapped pages of files included.
limited() {
  local name=$1 status=0
  shift
  drop_from_cache
  local peak_file=$work/peak
  (
    if [ -n "$cgroup" ]; then echo "$BASHPID" >"$cgroup/cgroup.procs"; fi
    "$@" >/dev/null &
    child=$!
    while kill -0 $child 2>/dev/null; do
      awk '/^VmHWM/ { print $2 * 1024 }' "/proc/$child/status" 2>/dev/null >"$peak_file.next" || true
      if [ -s "$peak_file.next" ]; then mv "$peak_file.next" "$peak_file"; fi
      sleep 0.1
    done
    wait $child
  ) || status=$?
  awk -v name="$name" -v status=$status -v limit="$memory_limit" \
    '{ printf "%-18s exit %d, peak RSS %6.0f MB, allowed %6.0f MB\n", name, status, $1 / 1e6, limit / 1e6 }' \
    "$peak_file"
  return $status
}

measure_memory() {
  make_cgroup
  echo
  if [ -n "$cgroup" ]; then
    echo "in a memory cgroup of $memory_limit bytes (three of the largest tensor and 512 MiB):"
  else
    echo "this user may make no memory cgroup: peaks only"
  fi
  rm -rf "$quantized" "$repacked" "$back" "$copied"

  limited quantize exec_mxvideo quantize --model-path "$source_dir" --layout modelslim \
    --output "$quantized"
  limited "repack to comfy" exec_mxvideo repack --quant-path "$quantized" --layout comfy \
    --output "$repacked"
  limited "repack back" exec_mxvideo repack --quant-path "$repacked"/*.safetensors \
    --layout modelslim --output "$back"
  # Back again are the same bytes.
  (cd "$quantized" && sha256sum -- *.safetensors) | (cd "$back" && sha256sum --check --quiet)
}

exec_mxvideo() { exec "$build_dir/mxvideo" "$@" --progress none; }

mkdir -p "$work"
: >"$results"
if [ ! -d "$source_dir" ]; then
  "$build_dir/mxvideo-make-checkpoint" --variant ti2v-5b --preset full --components transformer \
    --output "$source_dir" >&2
fi
for phase in $phases; do
  case $phase in
    speed) measure_speed && print_speed ;;
    memory) measure_memory ;;
    *) echo "convert.sh: unknown phase '$phase'; expected speed or memory" >&2 && exit 2 ;;
  esac
done
