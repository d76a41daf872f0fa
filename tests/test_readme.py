"""The README's six lines for one's own videos, run as they stand there; and its links and test command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = [
    "training.epochs=1", "training.samples_per_epoch=8", "training.batch_size=4", "model.face.width=4",
    "model.face.input_size=48", "data.eval_windows=1",
]  # fmt: skip


def own_videos_commands() -> list[list[str]]:
    section = re.search(r"## On your own videos\n(.*?)\n## ", README, re.DOTALL)
    assert section is not None
    blocks = re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


@pytest.mark.slow
@pytest.mark.ray
def test_the_six_lines_work(tmp_path: Path) -> None:
    from videofer.synthetic.dataset import make_dataset

    data = make_dataset(tmp_path / "data", num_subjects=4, takes_per_class=1, take_seconds=1.6)
    data.videos.rename(tmp_path / "videos")
    data.long_video.rename(tmp_path / "videos" / "interview.mp4")
    commands = own_videos_commands()
    assert len(commands) == 6
    for command in commands:
        assert command[0] == "videofer"
        program = [sys.executable, "-c", "from videofer.cli import main; main()", *command[1:]]
        if command[1] == "preprocess":
            program += ["--pose", "sidecar"]  # as `init` says, for there are keypoint files here
        if command[1] == "train":
            program += [word for setting in QUICK for word in ("--set", setting)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}: {result.stdout}\n{result.stderr}"
        if command[1] == "init":
            fill_in(tmp_path / "videos" / "manifest.csv")
    assert (tmp_path / "evaluation" / "confusion_fused.png").stat().st_size > 10_000
    assert (tmp_path / "first" / "interview.html").stat().st_size > 50_000
    table = pd.read_csv(tmp_path / "timelines" / "interview.csv")
    assert table["t_start"].iloc[0] == 0 and table["t_end"].iloc[-1] == pytest.approx(30.0)
    assert (tmp_path / "timelines" / "interview.html").stat().st_size > 50_000


def fill_in(manifest: Path) -> None:
    """What a person does after `videofer init`, here from the names of the files."""
    table = pd.read_csv(manifest).astype(object)
    assert list(table.columns) == ["name", "label", "subject", "start", "end", "split"]
    for row, name in table["name"].items():
        if "/" in name:
            subject, take = name.split("/")
            table.loc[row, ["subject", "label"]] = [subject, take.split("_")[0]]
            table.loc[row, "split"] = "test" if subject == "s03" else "train"
    table.to_csv(manifest, index=False)


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_commands_of_the_documentation_exist() -> None:
    """Every `videofer X` and `make X` that a page names is there."""
    from videofer.cli import app

    commands = {entry.name for entry in (*app.registered_commands, *app.registered_groups)}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))
        assert set(re.findall(r"^videofer ([a-z]+)", blocks, re.MULTILINE)) <= commands, page.name
        assert set(re.findall(r"^make ([a-z]+)", blocks, re.MULTILINE)) <= targets, page.name


def options_of_commands() -> dict[str, set[str]]:
    """Command -> its options."""
    from typer.main import get_command

    from videofer.cli import app

    found: dict[str, set[str]] = {}

    def walk(command: Any, name: str) -> None:
        if hasattr(command, "commands"):
            for word, below in command.commands.items():
                walk(below, f"{name} {word}".strip())
        else:
            words = (word for parameter in command.params for word in parameter.opts)
            found[name] = {word for word in words if word.startswith("--")} | {"--help", "--debug"}

    walk(get_command(app), "")
    return found


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))


def strange_options(text: str, options: dict[str, set[str]]) -> set[tuple[str, str]]:
    """(command, option) of each `videofer COMMAND ... --option` whose command has no such option."""
    found = set()
    for line in text.replace("\\\n", " ").splitlines():
        for words in re.findall(r"\bvideofer ([a-z][^`#|]*)", line):
            name = next((name for name in options if f"{words} ".startswith(f"{name} ")), None)
            found |= {(name, word) for word in options_in(words) if name and word not in options[name]}
    return found


def test_options_of_the_documentation_are_those_of_the_commands() -> None:
    options = options_of_commands()
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    texts = {page.name: page.read_text(encoding="utf-8") for page in pages}
    for name, text in texts.items():
        assert strange_options(text, options) == set(), name
    named = options_in("\n".join(texts.values())) | {"--help", "--debug"}
    assert {name: there - named for name, there in options.items() if there - named} == {}
    assert strange_options("`videofer store merge a b \\\n --onto c`", options) == {("store merge", "--onto")}


def anchors_of(text: str) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain}


def test_links_into_pages_lead_to_headings() -> None:
    assert anchors_of("# A `b`: c's\n```\n# no\n```\n## [D](e.md) f") == {"a-b-cs", "d-f"}
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            there = page.parent / link if link else page
            assert anchor in anchors_of(there.read_text(encoding="utf-8")), f"{page.name}: {link}#{anchor}"
