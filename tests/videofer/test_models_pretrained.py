from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from cache.errors import UserError
from preprocessing.weights import Registry, locate
from tests.preprocessing.weights_server import Served, serve
from videofer.models import pretrained
from videofer.models.pretrained import resnet18_weights
from videofer.models.resnet import ResNet18Trunk


@pytest.fixture(scope="module")
def source() -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = resnet18(weights=None).state_dict()
    return weights


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "wrapped.pt"])
def test_weights_of_a_file(tmp_path: Path, source: dict[str, torch.Tensor], name: str) -> None:
    path = tmp_path / name
    if name == "weights.safetensors":
        save_file(source, path)
    else:
        torch.save({"state_dict": source, "epoch": 3} if name == "wrapped.pt" else source, path)
    weights = resnet18_weights(str(path))
    assert weights.keys() == source.keys()
    assert all(torch.equal(value, source[key]) for key, value in weights.items())
    ResNet18Trunk(64).load_resnet18(weights)


def test_a_pickle_that_runs_code_fails(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "harm"),)

    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(UserError, match=r"weights\.pth holds more than weights"):
        resnet18_weights(str(path))
    torch.save({"conv1.weight": Attack()}, path)
    with pytest.raises(UserError, match=r"weights\.pth holds more than weights"):
        resnet18_weights(str(path))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_damaged_file_fails(tmp_path: Path, source: dict[str, torch.Tensor], name: str) -> None:
    path = tmp_path / name
    for content in (b"", b"not weights at all", b"PK\x03\x04" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=name) as error:
            resnet18_weights(str(path))
        assert "\n" not in str(error.value)


def test_a_file_without_a_state_dict_fails(tmp_path: Path) -> None:
    for content in ([torch.zeros(2)], {"epoch": 3, "weight": torch.zeros(2)}):
        torch.save(content, tmp_path / "weights.pth")
        with pytest.raises(UserError, match="does not hold a state dict"):
            resnet18_weights(str(tmp_path / "weights.pth"))


def test_unknown_sources_fail(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"must be 'imagenet' or a file .safetensors, .pth, .pt, not 'vggface'"
    ):
        resnet18_weights("vggface")
    with pytest.raises(UserError, match=r"there is no file .*none\.pth"):
        resnet18_weights(str(tmp_path / "none.pth"))


@pytest.fixture
def imagenet(
    tmp_path: Path, source: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Served, bytes]]:
    """A server that has torchvision's file, which is of other numbers here, and a machine without it."""
    content = io.BytesIO()
    torch.save(source, content)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with serve() as served:
        weight = served.weight("resnet18-f37072fd.pth", content.getvalue(), name="resnet18-imagenet")
        for module in (pretrained, locate):
            monkeypatch.setattr(module, "REGISTRY", Registry([weight]))
        yield served, content.getvalue()


def test_imagenet_is_downloaded_once(
    imagenet: tuple[Served, bytes], source: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _ = imagenet
    monkeypatch.setenv("VIDEOFER_OFFLINE", "0")
    for _ in range(2):
        assert torch.equal(resnet18_weights("imagenet")["conv1.weight"], source["conv1.weight"])
    assert len(served.asked) == 1


def test_imagenet_is_taken_from_what_is_here_only_when_offline(
    imagenet: tuple[Served, bytes],
    tmp_path: Path,
    source: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served, content = imagenet
    monkeypatch.setenv("VIDEOFER_OFFLINE", "1")
    with pytest.raises(
        UserError,
        match=r"are missing: `videofer weights fetch resnet18-imagenet`.*\$VIDEOFER_OFFLINE",
    ) as error:
        resnet18_weights("imagenet")
    assert "\n" not in str(error.value)
    for folder in (tmp_path / "torch" / "hub" / "checkpoints", tmp_path / "mine"):
        monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path / "mine"))
        folder.mkdir(parents=True)
        (folder / "resnet18-f37072fd.pth").write_bytes(content)
        assert torch.equal(resnet18_weights("imagenet")["conv1.weight"], source["conv1.weight"])
        (folder / "resnet18-f37072fd.pth").write_bytes(content[:-100])
        with pytest.raises(UserError, match="is not the published file"):
            resnet18_weights("imagenet")
    assert served.asked == []
