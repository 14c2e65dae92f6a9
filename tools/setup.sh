#!/bin/sh
# Installs the Debian packages that mxvideo builds with. Works as root or through sudo, says what it
# does, and does nothing when nothing is missing.
set -eu

packages="
  build-essential cmake ninja-build pkg-config python3 python3-numpy git
  libhwy-dev libdnnl-dev libsentencepiece-dev nlohmann-json3-dev libcli11-dev libfmt-dev
  libavfilter-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
  libpng-dev libjpeg62-turbo-dev libwebp-dev libavif-dev libheif-dev libicu-dev libssl-dev
  gnuplot-nox
  libgtest-dev libbenchmark-dev libsimde-dev
"
# Only for `make lint`, `make format` and the presets clang, tsan and fuzz.
developer_packages="clang clang-format clang-tidy libclang-rt-14-dev libomp-14-dev shellcheck"

# Only for the preset aarch64. Of oneDNN the library without its development package, which excludes
# that of another processor.
aarch64_packages="
  g++-aarch64-linux-gnu qemu-user libdnnl2:arm64 libgtest-dev:arm64 libhwy-dev:arm64 libssl-dev:arm64
"

architecture=""
for option in "$@"; do
  case "$option" in
    --developer) packages="$packages $developer_packages" ;;
    --aarch64)
      packages="$packages $aarch64_packages"
      architecture=arm64 ;;
    *)
      echo "usage: tools/setup.sh [--developer] [--aarch64]" >&2
      exit 2 ;;
  esac
done

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
if [ -n "$architecture" ]; then $run dpkg --add-architecture "$architecture"; fi
$run apt-get update -qq
# shellcheck disable=SC2086
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
