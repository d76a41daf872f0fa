"""Fixtures for all tests. No test may touch the network or the user's own caches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.browser import browse, chromium, screenshots  # noqa: F401  # fixtures

assert torch is not None  # loaded here: where decord comes first, torch's convolutions crash the process

os.environ["VIDEOFER_OFFLINE"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in videofer.cli: spinning threads stall each other

# A machine that is busy with other things makes no test fail: examples have no time limit.
settings.register_profile("videofer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("videofer")

DATA = Path(os.environ.get("VIDEOFER_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def isolated_user_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "user-cache"))
    monkeypatch.delenv("VIDEOFER_WEIGHTS", raising=False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums come out the same, and small networks are faster so."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real videos and weights that are not part of the repository."""
    if not (DATA / "videos").is_dir():
        pytest.skip(f"no test data at {DATA} (set VIDEOFER_TEST_DATA)")
    return DATA


@pytest.fixture(scope="session")
def shared_fer2013(shared_data: Path) -> Path:
    """Folder of the packed files of FER2013, whole and small."""
    if not (shared_data / "fer2013" / "fer2013_mini_test.npz").is_file():
        pytest.skip(f"no FER2013 at {shared_data / 'fer2013'}")
    return shared_data / "fer2013"


@pytest.fixture(scope="session")
def shared_weights(shared_data: Path) -> Path:
    """Folder of ONNX weights for tests."""
    if not (shared_data / "weights").is_dir():
        pytest.skip(f"no weights at {shared_data / 'weights'}")
    return shared_data / "weights"
