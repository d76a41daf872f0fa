"""The bed of all scenarios: a corpus, what an undisturbed run makes of it, and runs as processes."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocessing.spec import PreprocessSpec
from tools.faults.corpus import SEGMENT_SECONDS, make_corpus
from tools.faults.judge import Verdict, digests, judge
from tools.faults.processes import Household, kill

REPOSITORY = Path(__file__).resolve().parents[2]
INJECTED = Path(__file__).parent / "injected"
ORPHAN_GRACE_SECONDS = 15.0
HELPER_GRACE_SECONDS = 150.0
RUN_SECONDS = 900.0  # a run that takes longer hangs: its driver is killed, and that is a finding


@dataclass
class Result:
    """One scenario: what was done to the run, and what it cost."""

    scenario: str
    done: str  # which faults, how many
    num_good: int
    verdict: Verdict
    num_orphans: int
    orphan_seconds: float  # until the last process of the run was gone
    seconds: float
    problems: list[str] = field(default_factory=list)  # all that must not be

    @property
    def passed(self) -> bool:
        return not self.problems


class Bed:
    """Work folder and rules of a series of scenarios. `close` removes it."""

    def __init__(
        self,
        num_videos: int,
        num_frames: int,
        size: int,
        *,
        workers: int = 3,
        seed: int = 0,
        keep: bool = False,
        patient: bool = False,
    ) -> None:
        """patient: wait until the last helper of Ray is gone as well, which may take minutes."""
        self.workers, self.keep, self.patient = workers, keep, patient
        self.rng = random.Random(seed)  # noqa: S311 - it chooses whom to kill
        # short: Ray's sockets lie below it, and their paths may have 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="flt"))
        self.videos = self.folder / "videos"
        can_cut = "segment_seconds" in PreprocessSpec.model_fields
        self.spec: dict[str, Any] = {"faces": "precropped", "pose": "sidecar"}
        if can_cut:
            self.spec["segment_seconds"] = SEGMENT_SECONDS
        self.good = [
            path.name for path in make_corpus(self.videos, num_videos, num_frames, size, with_long=can_cut)
        ]
        self.expected = self._undisturbed()

    def close(self) -> None:
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, *, injected: bool, shard_seconds: float | None = None) -> dict[str, str]:
        """Of every process of a run."""
        paths = [str(INJECTED), str(REPOSITORY)] if injected else [str(REPOSITORY)]
        env = {
            **os.environ,
            "VIDEOFER_OFFLINE": "1",
            "RAY_TMPDIR": str(self.folder),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        if shard_seconds is not None:
            env["FAULTS_SHARD_SECONDS"] = str(shard_seconds)
        return env

    def start(
        self,
        household: Household,
        inputs: list[Path],
        out: Path,
        *,
        watch: dict[str, float] | None = None,
        injected: bool = True,
        shard_seconds: float | None = None,
        env: dict[str, str] | None = None,
        **given: Any,
    ) -> Run:
        """Start the stage in a process of its own; `given` goes to `preprocess` as it is."""
        order = {
            "inputs": [str(path) for path in inputs],
            "out": str(out),
            "spec": self.spec,
            "workers": self.workers,
            "watch": watch or {},
            **given,
        }
        command = [sys.executable, "-m", "tools.faults.run_stage", json.dumps(order)]
        return Run(
            household, command, env or self.environment(injected=injected, shard_seconds=shard_seconds)
        )

    def start_command(
        self, household: Household, inputs: list[Path], out: Path, *, shard_seconds: float | None = None
    ) -> Run:
        """Start `videofer preprocess`, as a user does."""
        options = [f"--set={key}={value}" for key, value in self.spec.items() if key not in ("faces", "pose")]
        command = [str(Path(sys.executable).parent / "videofer"), "preprocess", *map(str, inputs)]
        command += ["--out", str(out), "--workers", str(self.workers), *options]
        command += ["--faces", self.spec["faces"], "--pose", self.spec["pose"]]
        return Run(household, command, self.environment(injected=True, shard_seconds=shard_seconds))

    def conclude(
        self,
        scenario: str,
        done: str,
        household: Household,
        out: Path,
        began: float,
        *,
        expected: dict[str, str] | None = None,
        problems: list[str] | None = None,
    ) -> Result:
        """Start once more, which must find nothing to do, and judge the store."""
        expected = self.expected if expected is None else expected
        problems = list(problems or [])
        orphans, orphan_seconds = household.orphans(ORPHAN_GRACE_SECONDS, helpers=False)
        again = self.start(household, [self.videos], out).wait()
        if again.get("num_jobs") != 0:
            problems.append(f"the next start still found something to do: {again}")
        if self.patient:
            late, orphan_seconds = household.orphans(HELPER_GRACE_SECONDS, helpers=True)
            orphans += late
        problems += [f"orphan process: {process.pid} {process.command[:80]}" for process in orphans]
        verdict = judge(out, expected)
        for name in ("lost", "doubled", "changed", "damaged", "left_over", "quarantined"):
            items: list[str] = getattr(verdict, name)
            problems += [f"{name}: {item}" for item in items[:5]]
            problems += [f"{name}: {len(items) - 5} more"] if len(items) > 5 else []
        return Result(
            scenario,
            done,
            len(expected),
            verdict,
            len(orphans),
            orphan_seconds,
            time.monotonic() - began,
            problems,
        )

    def _undisturbed(self) -> dict[str, str]:
        out = self.folder / "undisturbed"
        with Household() as household:
            report = self.start(household, [self.videos], out, injected=False).wait()
            if report.get("num_failed") != 0:
                raise RuntimeError(f"the undisturbed run failed: {report}")
            expected = digests(out)
        if sorted(expected) != sorted(self.good):
            raise RuntimeError(f"the undisturbed run stored {sorted(expected)}, not {sorted(self.good)}")
        return expected


class Run:
    """One running driver."""

    def __init__(self, household: Household, command: list[str], env: dict[str, str]) -> None:
        descriptor, name = tempfile.mkstemp(dir=env["RAY_TMPDIR"], suffix=".log")
        self._log = Path(name)
        self._process = household.start(
            command, env=env, cwd=REPOSITORY, stdout=descriptor, stderr=subprocess.STDOUT
        )
        os.close(descriptor)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def kill(self) -> None:
        """SIGKILL for the driver alone, which then is gone."""
        kill(self._process.pid)
        self._process.wait()

    def text(self) -> str:
        """All that it printed so far."""
        return self._log.read_text(errors="replace")

    def until(self, condition: Callable[[], bool], seconds: float = 120.0) -> bool:
        """Wait for a condition; False when the run ended before, or the time is over."""
        limit = time.monotonic() + seconds
        while not condition():
            if self.is_over or time.monotonic() > limit:
                return False
            time.sleep(0.005)
        return True

    def wait(self, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """Its report; for a driver that printed none, the end of what it printed as `error`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return {"error": f"hung: killed after {seconds:.0f} s: {self.text()[-500:]}"}
        lines = self.text().strip().splitlines()
        try:
            report = json.loads(lines[-1])
        except (IndexError, ValueError):
            report = None
        return report if isinstance(report, dict) else {"error": "\n".join(lines[-15:])}
