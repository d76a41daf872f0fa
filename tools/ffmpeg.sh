#!/usr/bin/env bash
# FFmpeg's libraries, which torchcodec decodes with: says which there are, or installs Debian's, see tools/apt.sh.
# Never fails: without them the tests of torchcodec are skipped, and say so.
#
#   tools/ffmpeg.sh
set -uo pipefail

what=ffmpeg tests="the tests of torchcodec"
find_it() { ldconfig -p 2>/dev/null | grep -oE 'libavcodec\.so\.(58|59|60|61|62|63)' | sort -u | tail -n 1 | grep .; }
source "$(dirname "$0")/apt.sh"

done_if_found
apt_install ffmpeg \
  "install FFmpeg 4 to 9 with its shared libraries, e.g. conda install -c conda-forge ffmpeg" \
  "run 'sudo apt-get install ffmpeg', or conda install -c conda-forge ffmpeg" \
  "the loader knows no libavcodec of version 58 to 63"
