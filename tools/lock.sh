#!/usr/bin/env bash
# Writes requirements.lock and environment.yaml from what a fresh installation of the extras below resolves to.
#     make lock            (or: tools/lock.sh python3.11)
# The lock holds names and versions only: where packages come from is the machine's own setting.
#
# Left out is opencv-python. face-alignment asks for it, but opencv-python-headless is the same module without
# windows; beside each other they overwrite one another's files, and the one with windows needs libGL. So the lock
# is installed without resolution (make setup does), and environment.yaml, whose packages conda has pip resolve,
# leaves out face-alignment as well.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
extras=dev,face-alignment,torchcodec
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check ".[$extras]"
{
    echo "# Exact versions of everything, for Linux x86_64; made by 'make lock', installed without resolution."
    "$work/venv/bin/python" -m pip freeze --exclude videofer --exclude setuptools --exclude pip |
        grep -E '^[A-Za-z0-9._-]+==[^ +]+$' | grep -v '^opencv-python=='
    echo 'setuptools==81.0.0; python_version >= "3.12"'  # venvs of 3.11 have one; torch and tensorboard ask for it
} >"$work/requirements.lock"

{
    echo "# conda env create --file environment.yaml; the pip section is requirements.lock, less face-alignment,"
    echo "# which would bring a second OpenCV. Afterwards, for its engines: pip install --no-deps $(grep ^face.alignment "$work/requirements.lock")"
    echo "name: videofer"
    echo "channels: [conda-forge]"
    echo "dependencies:"
    echo "  - python=3.11"
    echo "  - pip"
    echo "  - ffmpeg>=5,<9 # for the decoder torchcodec"
    echo "  - pip:"
    grep -vE '^#|^face.alignment==|;' "$work/requirements.lock" | sed 's/^/      - /'
} >"$work/environment.yaml"

cp "$work/requirements.lock" "$work/environment.yaml" .
echo "requirements.lock: $(grep -c == requirements.lock) packages"
