"""Finds the configuration files that come with videofer: in the checkout, or where pip put them."""

from __future__ import annotations

import sys
from pathlib import Path


def config_path(name: str) -> Path:
    """`config_path("train/demo.yaml")`; FileNotFoundError where the installation lacks it."""
    checkout = Path(__file__).resolve().parents[1] / "configs" / name
    installed = Path(sys.prefix) / "share" / "videofer" / "configs" / name
    for path in (checkout, installed):
        if path.is_file():
            return path
    raise FileNotFoundError(2, "this installation of videofer lacks its configuration file", str(installed))
