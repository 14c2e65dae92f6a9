#!/bin/sh
# Installs the Debian packages that mxvideo builds with. Works as root or through sudo, says what it
# does, and does nothing when nothing is missing.
set -eu

packages="
  build-essential cmake ninja-build pkg-config python3 python3-numpy git
  libhwy-dev libdnnl-dev libsentencepiece-dev nlohmann-json3-dev libcli11-dev libfmt-dev
  libavfilter-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
  libpng-dev libjpeg62-turbo-dev libwebp-dev libicu-dev libssl-dev
  gnuplot-nox
  libgtest-dev libbenchmark-dev libsimde-dev
"
# Only for `make lint`, `make format` and the presets clang, tsan and fuzz.
developer_packages="clang clang-format clang-tidy libclang-rt-14-dev libomp-14-dev shellcheck"

if [ "${1:-}" = "--developer" ]; then
  packages="$packages $developer_packages"
elif [ $# -gt 0 ]; then
  echo "usage: tools/setup.sh [--developer]" >&2
  exit 2
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  case "$status" in
    ii*) ;;
    *) missing="$missing $package" ;;
  esac
done

if [ -z "$missing" ]; then
  echo "setup: every package is installed"
  exit 0
fi

run=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: not root and no sudo; install these yourself:$missing" >&2
    exit 1
  fi
  run=sudo
fi
echo "setup: installing$missing"
$run apt-get update -qq
# shellcheck disable=SC2086
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
