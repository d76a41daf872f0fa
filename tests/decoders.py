"""The decoders that tests run, each skipped with its reason where it cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from preprocessing.decode import DECODERS


def engine_param(name: str) -> Any:
    """For `parametrize`."""
    why = DECODERS[name].usable()
    return pytest.param(name, marks=pytest.mark.skipif(why is not None, reason=why or ""))


ENGINES = [engine_param(name) for name in DECODERS if name != "torchcodec:cuda"]
"""Those of the processor. What they have in common does not depend on the machine."""
OTHERS = [param for param in ENGINES if param.values != ("pyav",)]
"""Those that are held against the default."""
