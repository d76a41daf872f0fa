# make demo    everything, once, before your eyes: synthetic videos, preprocessing, training, timeline
# make test    the tests; Chromium and FFmpeg are installed first where they may be (root on Debian)
# make test-ray      those that start a real Ray
# make test-faults   kills, lost nodes, full disks, stuck, poison and broken videos against real runs
# make mmpose        adds mmpose for `--pose mmpose:CONFIG`: compiles for some minutes where no built wheel is kept
# make test-mmpose   runs its engine for real
# make lint    ruff, mypy and hadolint
# make bench   speed, side by side in one run
# make bench-train   speed of training and timelines, on a GPU where there is one
# make bench-gpu     preprocessing and training with a GPU, end to end; into docs/benchmarks.md
# make lock    requirements.lock anew from pyproject.toml
# make setup   only make .venv; the others do it by themselves when it is missing or stale

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO_OUT  ?= demo
DEMO_ARGS ?=

.PHONY: setup demo test test-ray test-faults mmpose test-mmpose lint bench bench-train bench-gpu lock clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("videofer needs Python 3.11 to 3.13, $(PYTHON) is %d.%d: make PYTHON=python3.11" % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] < (3, 14) else 0)'
	@echo "making $(VENV): about 5 GB, some minutes"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --disable-pip-version-check --editable .
	@touch $@

demo: $(STAMP)
	$(BIN)/videofer demo --out $(DEMO_OUT) $(DEMO_ARGS)

test: $(STAMP)
	@tools/browser.sh
	@tools/ffmpeg.sh
	$(BIN)/python -m pytest

test-ray: $(STAMP)
	$(BIN)/python -m pytest -m 'ray and not faults'

test-faults: $(STAMP)
	$(BIN)/python -m pytest -m faults tests/faults
	$(BIN)/python tools/fuzz.py --cases 1200 --workers 3

mmpose: $(STAMP)
	tools/mmpose.sh $(BIN)/python

test-mmpose: mmpose
	$(BIN)/python -m pytest -m mmpose tests/mmpose

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

bench: $(STAMP)
	$(BIN)/python -m tools.bench
	$(BIN)/python -m tools.bench_store

bench-train: $(STAMP)
	$(BIN)/python tools/bench_train.py

bench-gpu: $(STAMP)
	$(BIN)/python tools/bench_gpu.py --write

lock:
	tools/lock.sh $(PYTHON)
	@$(MAKE) setup

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
