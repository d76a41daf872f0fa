"""Faults of disks: no space left, and files that cannot be read. The kernel makes them, so it needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tools.faults.bed import Bed, Result, Run
from tools.faults.corpus import write_clip
from tools.faults.processes import Household
from tools.faults.workers import unexpected

BLOCK = 4096  # of the file system
SHARES = (0.02, 0.3, 0.6, 0.97)  # of what the store needs


class NotPossibleError(Exception):
    """This machine does not allow a fault to be made; the message says what is missing."""


def full_disk(bed: Bed, shares: Sequence[float] = SHARES) -> Result:
    """A file system that is full in the middle of a run, several times, and then has room again."""
    mount = bed.folder / "small"
    mount.mkdir(exist_ok=True)
    needed = sum(path.stat().st_size for path in (bed.folder / "undisturbed").rglob("*") if path.is_file())
    began, problems = time.monotonic(), []
    _do("mount", "-t", "tmpfs", "-o", f"size={int(needed * shares[0])}", "tmpfs", mount)
    try:
        out = mount / "store"
        with Household() as household:
            for share in shares:
                _do("mount", "-o", f"remount,size={int(needed * share)}", mount)
                run = bed.start_command(household, [bed.videos], out, shard_seconds=1.0)
                run.wait()
                problems += [f"disk of {share:.0%}: {text}" for text in _not_said(run)]
            _do("mount", "-o", f"remount,size={needed * 3}", mount)
            report = bed.start(household, [bed.videos], out).wait()
            problems += unexpected(report, failed=set())
            return bed.conclude(
                "disk full, then space again",
                f"tmpfs of {', '.join(f'{share:.0%}' for share in shares)} of what is needed, then enough",
                household,
                out,
                began,
                problems=problems,
            )
    finally:
        _do("umount", "-l", mount)


def _not_said(run: Run) -> list[str]:
    """What is wrong about how a run on a full disk ended."""
    text = run.text()
    problems = []
    if run.exit_code != 2:
        problems.append(f"exit code {run.exit_code}, not 2: {text[-300:]}")
    if "Traceback" in text:
        problems.append(f"a traceback: {text[-300:]}")
    if "No space left on device" not in text:
        problems.append(f"it does not say that the disk is full: {text[-300:]}")
    return problems


def read_errors(bed: Bed) -> Result:
    """Good files whose disk fails (EIO) or that shrink while they are read; later all is as it was again.

    Both happen between hashing and decoding, at the worst moment: the key is that of the whole file.
    """
    out, began = bed.folder / "unreadable", time.monotonic()
    folder = bed.folder / "unreadable-videos"
    folder.mkdir()
    whole = write_clip(bed.folder / "whole.mp4", 9200, 1500, 200)
    disk = FailingDisk(bed.folder, write_clip(bed.folder / "z-dying.mp4", 9201, 1500, 200))
    shrinking = folder / "y-shrinking.mp4"
    shutil.copy(whole, shrinking)
    size, mtime_ns = whole.stat().st_size, shrinking.stat().st_mtime_ns
    try:
        with Household() as household:
            inputs = [bed.videos, folder, disk.file]
            run = bed.start(household, inputs, out)
            run.until(lambda: disk.file.name in _text(out / "hashes.jsonl"))
            os.truncate(shrinking, size // 2)
            disk.fail()
            report = run.wait()
            names = {shrinking.name, disk.file.name}
            problems = unexpected(report, failed=names)
            reasons = [f"{f['name']}: {f['stage']}: {f['reason']}" for f in report.get("failures", [])]
            shutil.copy(whole, shrinking)
            os.utime(shrinking, ns=(mtime_ns, mtime_ns))
            disk.mend()
            report = bed.start(household, inputs, out, retry_failed=True).wait()
            problems += [f"when all could be read again: {p}" for p in unexpected(report, failed=set())]
            expected = {**bed.expected, **_digests_of(bed, household, [folder, disk.file])}
            return bed.conclude(
                "read errors in the source, then none",
                f"EIO and a file that shrinks, both after hashing ({'; '.join(reasons)})",
                household,
                out,
                began,
                expected=expected,
                problems=problems,
            )
    finally:
        disk.close()


class FailingDisk:
    """One file on a file system of its own whose second half the kernel cannot read any more (EIO)."""

    def __init__(self, folder: Path, content: Path) -> None:
        self._image, self._mount = folder / "disk.img", folder / "disk"
        self._mount.mkdir()
        self._num_bytes = 2 * content.stat().st_size + (4 << 20)
        with self._image.open("wb") as image:
            image.truncate(self._num_bytes)
        _do("mkfs.ext4", "-q", "-F", "-O", "^has_journal", self._image)
        _do("mount", "-o", "loop", self._image, self._mount)
        self.file = self._mount / content.name
        shutil.copyfile(content, self.file)
        _do("umount", self._mount)
        whole, data = content.read_bytes(), self._image.read_bytes()
        middle = len(whole) // 2 // BLOCK * BLOCK
        self._fails_at = data.find(whole[middle : middle + BLOCK])
        if self._fails_at < 0:
            raise NotPossibleError("the file system does not keep the file in one piece")
        self._tail = data[self._fails_at :]
        _do("mount", "-o", "loop,ro", self._image, self._mount)

    def fail(self) -> None:
        """From now on reading the second half gives EIO: its blocks are gone, and no cache has them."""
        os.truncate(self._image, self._fails_at)
        self._forget_cached()

    def mend(self) -> None:
        """As it was."""
        with self._image.open("r+b") as image:
            image.seek(self._fails_at)
            image.write(self._tail)
        self._forget_cached()

    def close(self) -> None:
        _do("umount", "-l", self._mount)

    def _forget_cached(self) -> None:
        with self.file.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _digests_of(bed: Bed, household: Household, inputs: list[Path]) -> dict[str, str]:
    """What an undisturbed run makes of the given files."""
    from tools.faults.judge import digests

    out = bed.folder / "undisturbed-more"
    bed.start(household, inputs, out, injected=False).wait()
    return digests(out)


def _do(*command: object) -> None:
    """Run a system program. NotPossibleError where it is missing or refused."""
    try:
        subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise NotPossibleError(f"there is no program {command[0]}") from None
    except subprocess.CalledProcessError as error:
        raise NotPossibleError(f"{command[0]} is refused: {error.stderr.strip()[:200]}") from None


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
