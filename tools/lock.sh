#!/usr/bin/env bash
# Writes requirements.lock and environment.yaml from what a fresh installation of `.[dev]` resolves to.
#     make lock            (or: tools/lock.sh python3.11)
# The lock holds names and versions only: where packages come from is the machine's own setting.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check ".[dev]"
{
    echo "# Exact versions of everything, for Linux x86_64; made by 'make lock', installed without resolution."
    "$work/venv/bin/python" -m pip freeze --exclude videofer --exclude setuptools --exclude pip |
        grep -E '^[A-Za-z0-9._-]+==[^ +]+$'
} >"$work/requirements.lock"

{
    echo "# conda env create --file environment.yaml; the pip section is requirements.lock."
    echo "name: videofer"
    echo "channels: [conda-forge]"
    echo "dependencies:"
    echo "  - python=3.11"
    echo "  - pip"
    echo "  - pip:"
    grep -v '^#' "$work/requirements.lock" | sed 's/^/      - /'
} >"$work/environment.yaml"

cp "$work/requirements.lock" "$work/environment.yaml" .
echo "requirements.lock: $(grep -c == requirements.lock) packages"
