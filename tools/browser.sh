#!/usr/bin/env bash
# The browser that the tests marked `browser` drive: says which one there is, or installs Debian's Chromium, see
# tools/apt.sh. Never fails: without a browser these tests are skipped, and say so.
#
#   tools/browser.sh
set -uo pipefail

what=browser tests="the tests marked 'browser'"
find_it() {
  local name
  for name in "${VIDEOFER_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name"; then return 0; fi
  done
  return 1
}
source "$(dirname "$0")/apt.sh"

done_if_found
[ -z "${VIDEOFER_CHROMIUM:-}" ] || none "VIDEOFER_CHROMIUM is $VIDEOFER_CHROMIUM, which is no program"
apt_install chromium \
  "install Chromium or Chrome, or set VIDEOFER_CHROMIUM to its path" \
  "run 'sudo apt-get install chromium', or set VIDEOFER_CHROMIUM to a browser's path" \
  "no such program is in PATH" \
  "; Ubuntu has it as a snap only: set VIDEOFER_CHROMIUM to a browser's path"
