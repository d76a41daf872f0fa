#!/usr/bin/env bash
# The browser that the tests marked `browser` drive: says which one there is, or installs Debian's Chromium where
# this may be done (as root, with apt-get). Never fails: without a browser these tests are skipped, and say so.
#
#   tools/browser.sh
set -uo pipefail

find_browser() {
  local name
  for name in "${VIDEOFER_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name"; then return 0; fi
  done
  return 1
}

none() {
  echo "browser: none, the tests marked 'browser' are SKIPPED: $1" >&2
  exit 0
}

if found=$(find_browser); then
  echo "browser: $found"
  exit 0
fi
[ -z "${VIDEOFER_CHROMIUM:-}" ] || none "VIDEOFER_CHROMIUM is $VIDEOFER_CHROMIUM, which is no program"
command -v apt-get >/dev/null || none "install Chromium or Chrome, or set VIDEOFER_CHROMIUM to its path"
[ "$(id -u)" = 0 ] || none "run 'sudo apt-get install chromium', or set VIDEOFER_CHROMIUM to a browser's path"

echo "browser: installing chromium with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update && apt-get install --yes --no-install-recommends chromium; } >"$log" 2>&1 ||
  none "apt-get could not install chromium ($(grep -E '^(E|Err)' "$log" | tail -n 1)); Ubuntu has it as a snap only: set VIDEOFER_CHROMIUM to a browser's path"
if found=$(find_browser); then
  echo "browser: $found"
else
  none "apt-get installed chromium, but no such program is in PATH"
fi
