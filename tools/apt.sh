# shellcheck shell=bash
# Sourced by tools/browser.sh and tools/ffmpeg.sh: something that some tests need is said to be there, or Debian's
# package of it is installed where this may be done (as root, with apt-get). Nothing here fails: without it those
# tests are skipped, and say so. Before it: what=NAME tests=WHICH, and a function find_it that prints what there is.

none() {
  echo "$what: none, $tests are SKIPPED: $1" >&2
  exit 0
}

# Ends the script where it is there.
done_if_found() {
  local found
  if found=$(find_it); then
    echo "$what: $found"
    exit 0
  fi
}

# PACKAGE, WITHOUT_APT and WITHOUT_ROOT: what a person can do then, AFTERWARDS: why it may not be found even so,
# and what to know where apt-get fails.
apt_install() {
  local package=$1 without_apt=$2 without_root=$3 afterwards=$4 hint=${5:-} log
  command -v apt-get >/dev/null || none "$without_apt"
  [ "$(id -u)" = 0 ] || none "$without_root"
  echo "$what: installing $package with apt-get" >&2
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2064  # the name of now
  trap "rm -f '$log'" EXIT
  { apt-get update && apt-get install --yes --no-install-recommends "$package"; } >"$log" 2>&1 ||
    none "apt-get could not install $package ($(grep -E '^(E|Err)' "$log" | tail -n 1))$hint"
  done_if_found
  none "apt-get installed $package, but $afterwards"
}
