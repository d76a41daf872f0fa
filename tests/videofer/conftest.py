"""Fixtures for the tests of data sets."""

from __future__ import annotations

import pytest

from tests.videofer.miniatures.media import Media


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Tiny videos and pictures, encoded once for all miniatures."""
    return Media(tmp_path_factory.mktemp("media"))
