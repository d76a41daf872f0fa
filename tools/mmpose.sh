#!/usr/bin/env bash
# mmpose in the environment, for `--pose mmpose:CONFIG`. Compiles what has no usable wheel (mmcv with its
# operators, xtcocotools), keeps the wheels for the next time, and changes no package that is there already.
#
#   make mmpose        (or: tools/mmpose.sh path/to/python)
#   VIDEOFER_WHEELS    where built wheels are kept; else ~/.cache/videofer/wheels
#   MAX_JOBS           compilers at once; else as many as there are cores
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}
list=tools/mmpose-requirements.txt

say() { echo "mmpose: $*" >&2; }
stop() { say "$*"; exit 1; }

"$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null ||
  stop "$python has no torch: run 'make setup' first"
works() {
  "$python" -W ignore -c 'import mmpose.apis, mmdet.models, mmcv.ops, xtcocotools._mask' 2>&1 | tail -n 1
  return "${PIPESTATUS[0]}"
}

# What is missing of the list: a package that is there in the pinned version is left alone, another version stops us.
missing=$("$python" - "$list" <<'PY'
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for line in Path(sys.argv[1]).read_text("utf-8").split("\n"):
    name, exact, wanted = line.partition("#")[0].strip().partition("==")
    if not name:
        continue
    try:
        found = version(name)
    except PackageNotFoundError:
        print(name + exact + wanted)
        continue
    if name in ("mmcv", "mmdet", "mmengine", "mmpose", "xtcocotools") and found != wanted:
        sys.exit(f"mmpose: {name} {found} is installed, {wanted} is needed: pip uninstall {name}, then again")
PY
)
if [ -z "$missing" ]; then
  if reason=$(works); then
    say "1.3.2 is there"
    exit 0
  fi
  say "1.3.2 is there but does not load ($reason): mmcv and xtcocotools anew, for this torch"
  missing=$(grep -oE '^(mmcv|xtcocotools)==[0-9.]+' "$list")
fi

# A compiled wheel serves one torch, one Python and one platform.
key=$("$python" -c 'import sys, sysconfig, torch
print("cp%d%d-torch%s-%s" % (*sys.version_info[:2], torch.__version__, sysconfig.get_platform()))')
wheels=${VIDEOFER_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/videofer/wheels}/$key
mkdir -p "$wheels"
work=$(mktemp -d "$wheels/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

make_build_tools() { # a venv of its own that sees the packages of the environment: the wheel is built against its torch
  [ -x "$work/build/bin/python" ] && return
  "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    stop "compiling needs Python's headers: apt-get install python3-dev"
  command -v c++ >/dev/null || stop "compiling needs a C++ compiler: apt-get install g++ (conda: gxx_linux-64)"
  "$python" -m venv "$work/build"
  "$python" -c 'import sys; print(*[path for path in sys.path if path.endswith("-packages")], sep="\n")' \
    >"$("$work/build/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/environment.pth"
  "$work/build/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-installed \
    'setuptools<80' wheel packaging ninja psutil cython
}

build() { # NAME==VERSION: from source into the folder of wheels, with lines of progress
  make_build_tools
  local time=''
  [ "${1%%=*}" != mmcv ] || time=', about 12 minutes of one core'
  say "compiling $1$time, to be kept in $wheels"
  local log=$wheels/${1%%=*}.log
  # The GPU is hidden: the operators compiled for it take an hour and pose networks use none of them. For the
  # same reason they are compiled with few optimisations, in half of the time. pip's own cache of wheels is not
  # used: it does not know for which torch a wheel was built.
  CUDA_VISIBLE_DEVICES='' FORCE_CUDA=0 MMCV_WITH_OPS=1 CFLAGS='-O1 -g0' PATH="$work/build/bin:$PATH" \
    MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} \
    nice -n 10 "$work/build/bin/python" -m pip wheel --verbose --disable-pip-version-check --no-deps \
    --no-cache-dir --no-build-isolation --no-binary "${1%%=*}" --wheel-dir "$work/new" "$1" 2>&1 | tee "$log" | progress ||
    stop "compiling $1 failed: $(grep -m 1 -iE 'error:' "$log" || tail -n 1 "$log") (all of it: $log)"
  mv "$work"/new/*.whl "$wheels/" # only a whole wheel is ever there
  rm -f "$log"
}

progress() { # of ninja's lines, "[16/77] c++ ...", each eighth is said
  sed -nuE 's/^ *\[([0-9]+)\/([0-9]+)\] .*/\1 \2/p' | while read -r done all; do
    if [ $((done % 8)) = 0 ] || [ "$done" = "$all" ]; then say "  $done of $all files"; fi
  done
}

built_wheel() { # NAME==VERSION: its wheel, if there is one
  find "$wheels" -maxdepth 1 -name "${1%%=*}-${1##*=}-*.whl" | head -n 1
}

plain=()
built=()
for requirement in $missing; do
  case $requirement in
    mmcv==* | xtcocotools==*)
      wheel=$(built_wheel "$requirement")
      if [ -z "$wheel" ]; then
        build "$requirement"
        wheel=$(built_wheel "$requirement")
      else
        say "using $wheel"
      fi
      built+=("$wheel")
      ;;
    *) plain+=("$requirement") ;;
  esac
done

# No package brings others with it, so that the versions of what is there stay as they are.
install=("$python" -m pip install --quiet --disable-pip-version-check --no-deps)
if [ ${#plain[@]} -gt 0 ]; then "${install[@]}" "${plain[@]}"; fi
if [ ${#built[@]} -gt 0 ]; then "${install[@]}" --force-reinstall "${built[@]}"; fi
reason=$(works) || stop "installed, but it does not load: $reason"
say "1.3.2 is installed; try: videofer doctor"
