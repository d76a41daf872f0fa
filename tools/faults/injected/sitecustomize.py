"""Faults of single files, for tests only: on PYTHONPATH of a run, every one of its processes loads this.

What a file's name tells happens while it is decoded, in the middle of the stream:
hang: never returns, other threads live on - spin: never returns and lets no other thread run -
eat: takes memory without end - poison: its process gets SIGKILL - crash: its process gets SIGSEGV.
With FAULTS_SHARD_SECONDS=S in the environment, shards are sealed when they are S seconds old.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import signal
import sys
import threading
import time

FAULTY = re.compile(r"(?:^|[-_])(hang|spin|eat|poison|crash)(?:[-_.\d]|$)")
PACKETS_BEFORE = 12


def _act(fault):
    if fault == "hang":
        time.sleep(1e6)
    elif fault == "spin":
        re.match(r"(a+)+$", "a" * 60 + "b")  # exponential, in one call that keeps the lock of the interpreter
    elif fault == "eat":
        kept = []
        while True:
            kept.append(bytearray(os.urandom(1 << 20)) * 16)
            time.sleep(0.02)
    elif fault == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "crash":
        signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)  # this thread, as a bad pointer would


class _Container:
    """An open container that lets its fault loose after some packets or pictures."""

    def __init__(self, container, fault):
        self._container, self._fault = container, fault

    def __getattr__(self, name):
        return getattr(self._container, name)

    def demux(self, *streams, **options):
        return self._faulty(self._container.demux(*streams, **options))

    def decode(self, *streams, **options):
        return self._faulty(self._container.decode(*streams, **options))

    def _faulty(self, items):
        for number, item in enumerate(items):
            if number == PACKETS_BEFORE:
                _act(self._fault)
            yield item


def _open_with_faults(av):
    """Put the faults between PyAV and whoever opens files."""
    opened = av.open

    def open_faulty(file, *args, **options):
        container = opened(file, *args, **options)
        name = pathlib.Path(str(getattr(file, "name", file))).name
        mode = args[0] if args else options.get("mode", "r")
        found = FAULTY.search(name) if mode in (None, "r") else None
        return _Container(container, found[1]) if found else container

    av.open = open_faulty


def _seal_often(shard):
    """Shards of some seconds, so that commits are spread over a short run as over a long one."""
    seconds = os.environ.get("FAULTS_SHARD_SECONDS")
    if seconds:
        shard.ShardWriter.__init__.__kwdefaults__["max_age_seconds"] = float(seconds)


PATCHES = {"av": _open_with_faults, "cache.shard": _seal_often}


class _Loader(importlib.abc.Loader):
    """Loads a module as usual, then patches it."""

    def __init__(self, loader, patch):
        self._loader, self._patch = loader, patch

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, PATCHES[name])
        return spec


sys.meta_path.insert(0, _Finder())

# Another sitecustomize that this one hides must still be loaded.
with contextlib.suppress(ImportError):
    here = pathlib.Path(__file__).resolve().parent
    hidden = importlib.machinery.PathFinder.find_spec(
        "sitecustomize", [place for place in sys.path if pathlib.Path(place).resolve() != here]
    )
    if hidden is not None and hidden.loader is not None:
        hidden.loader.exec_module(importlib.util.module_from_spec(hidden))
