"""Faults of whole machines: the driver killed and started again, a node of a cluster lost."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

from tools.faults.bed import REPOSITORY, Bed, Result
from tools.faults.processes import Household, actors, descendants, kill_tree
from tools.faults.workers import unexpected

SHARD_SECONDS = 2.0  # instead of 300, so that commits are spread over the short run
MOMENTS = ("starting", "working", "committing")


def killed_driver(bed: Bed, num_kills: int) -> Result:
    """SIGKILL for `videofer preprocess`, again and again, and a new one at once each time, without a pause.

    By turns: while it starts, while workers work, and in the moment when commit records are being written.
    """
    out, began = bed.folder / "driver", time.monotonic()
    moments: list[str] = []
    with Household() as household:
        while True:
            run = bed.start_command(household, [bed.videos], out, shard_seconds=SHARD_SECONDS)
            if len(moments) == num_kills:
                break
            wanted = MOMENTS[len(moments) % len(MOMENTS)]
            if wanted == "starting":
                run.until(lambda: (out / "store.json").exists())
                time.sleep(bed.rng.uniform(0.0, 1.5))
            elif wanted == "working":
                run.until(lambda: _partials(out) > 0)
                time.sleep(bed.rng.uniform(0.0, 2.0))
            else:
                run.until(lambda: any((out / "commits").glob(".*.tmp")))
            if run.is_over:
                break
            run.kill()
            moments.append(wanted)
        run.wait()
        problems = [] if run.exit_code == 0 else [f"the last start ended with: {run.text()[-500:]}"]
        if len(moments) < num_kills:
            problems.append(f"all was done after {len(moments)} of {num_kills} kills: give it more videos")
        done = ", ".join(f"{moments.count(moment)} while {moment}" for moment in MOMENTS)
        return bed.conclude(
            "driver killed and started again",
            f"{len(moments)} SIGKILL: {done}",
            household,
            out,
            began,
            problems=problems,
        )


def lost_node(bed: Bed) -> Result:
    """Every process of the second of two nodes gets SIGKILL while its workers work, as at a power cut."""
    out, began = bed.folder / "node", time.monotonic()
    with Household() as household:
        env = bed.environment(injected=False) | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 32}
        cluster = Cluster(household, bed.folder, env)
        try:
            cluster.start(num_cpus=(1, bed.workers - 1))
            run = bed.start(household, [bed.videos], out, env=env, ray_address=cluster.address)
            seen = run.until(lambda: bool(cluster.workers(1)) and _partials(out) >= bed.workers)
            time.sleep(bed.rng.uniform(0.0, 0.5))
            num_workers = len(cluster.workers(1))
            cluster.lose(1)
            report = run.wait()
            problems = unexpected(report, failed=set())
            if not seen or num_workers == 0:
                problems.append("no workers were on the node when it was lost")
        finally:
            cluster.close()
        return bed.conclude(
            "a node of two is lost",
            f"a node with {num_workers} workers, {report.get('num_workers_lost')} workers replaced",
            household,
            out,
            began,
            problems=problems,
        )


class Cluster:
    """Ray nodes on this machine, each a process tree of its own."""

    def __init__(self, household: Household, folder: Path, env: dict[str, str]) -> None:
        self._household, self._env = household, env
        self._folder = folder / "ray"
        import ray

        # not the loopback address: Ray puts this one in its place
        self._ip = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        with socket.create_server((self._ip, 0)) as server:
            self._port = server.getsockname()[1]
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"{self._ip}:{self._port}"

    def start(self, num_cpus: tuple[int, ...]) -> None:
        """A head and further nodes with so many cores each; returns when the head answers."""
        for number, count in enumerate(num_cpus):
            place = (
                ["--head", f"--port={self._port}", "--include-dashboard=false", f"--temp-dir={self._folder}"]
                if number == 0
                else [f"--address={self.address}"]
            )
            command = [str(Path(sys.executable).parent / "ray"), "start", "--block", *place]
            command += [f"--num-cpus={count}", "--object-store-memory=80000000", "--disable-usage-stats"]
            self._nodes.append(
                self._household.start(
                    command,
                    env=self._env,
                    cwd=REPOSITORY,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            if number == 0:
                self._wait_for_head()

    def workers(self, node: int) -> list[int]:
        """Processes of our actors on a node."""
        return actors(self._nodes[node].pid)

    def lose(self, node: int) -> None:
        """SIGKILL for all of a node at once."""
        kill_tree(self._nodes[node].pid)
        self._nodes[node].wait()

    def close(self) -> None:
        """End what is left."""
        for node in self._nodes:
            if node.poll() is None:
                below = descendants(node.pid)
                node.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.wait(10)
                for process in below:
                    kill_tree(process.pid)
                node.kill()
                node.wait()

    def _wait_for_head(self) -> None:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and self._nodes[0].poll() is None:
            try:
                socket.create_connection((self._ip, self._port), timeout=1).close()
            except OSError:
                time.sleep(0.2)
            else:
                time.sleep(2)  # the node itself registers after its head answers
                return
        raise RuntimeError("the head of the test cluster did not start")


def _partials(out: Path) -> int:
    return len(list((out / "shards").glob("*.partial")))
