"""Weight files of the engines: which are known, where they may lie, what they must hash to."""

from preprocessing.weights.choice import EngineChoice, WeightFile, sha256_of
from preprocessing.weights.known import REGISTRY
from preprocessing.weights.locate import find, missing, named, search_dirs, user_cache_dir
from preprocessing.weights.registry import Registry, Weight, WeightsError

__all__ = [
    "REGISTRY",
    "EngineChoice",
    "Registry",
    "Weight",
    "WeightFile",
    "WeightsError",
    "find",
    "missing",
    "named",
    "search_dirs",
    "sha256_of",
    "user_cache_dir",
]
