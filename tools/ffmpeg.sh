#!/usr/bin/env bash
# FFmpeg's libraries, which torchcodec decodes with: says which there are, or installs Debian's where this may be
# done (as root, with apt-get). Never fails: without them the tests of torchcodec are skipped, and say so.
#
#   tools/ffmpeg.sh
set -uo pipefail

find_ffmpeg() { ldconfig -p 2>/dev/null | grep -oE 'libavcodec\.so\.(58|59|60|61|62|63)' | sort -u | tail -n 1 | grep .; }

none() {
  echo "ffmpeg: none, the tests of torchcodec are SKIPPED: $1" >&2
  exit 0
}

if found=$(find_ffmpeg); then
  echo "ffmpeg: $found"
  exit 0
fi
command -v apt-get >/dev/null || none "install FFmpeg 4 to 9 with its shared libraries, e.g. conda install -c conda-forge ffmpeg"
[ "$(id -u)" = 0 ] || none "run 'sudo apt-get install ffmpeg', or conda install -c conda-forge ffmpeg"

echo "ffmpeg: installing ffmpeg with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update && apt-get install --yes --no-install-recommends ffmpeg; } >"$log" 2>&1 ||
  none "apt-get could not install ffmpeg ($(grep -E '^(E|Err)' "$log" | tail -n 1))"
if found=$(find_ffmpeg); then
  echo "ffmpeg: $found"
else
  none "apt-get installed ffmpeg, but the loader knows no libavcodec of version 58 to 63"
fi
