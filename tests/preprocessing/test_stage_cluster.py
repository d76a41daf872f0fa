"""Cores and Ray: a real one of our own, a real cluster, and none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from typing import Any

import pytest

from cache.errors import UserError
from preprocessing.stage.cluster import running_ray, start_ray, usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be bound to cores here")
def test_cores_are_those_the_process_is_bound_to() -> None:
    code = (
        "import os; from preprocessing.stage.cluster import usable_cores; "
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n" and usable_cores() >= 1


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}"])
def test_where_nobody_listens_the_error_is_one_line(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = address.format(port=server.getsockname()[1])
    with pytest.raises(UserError, match=f"^no Ray cluster answers at {address}: .+$"):
        start_ray(address)


def policy_of_a_worker() -> Any:
    import ray

    return ray.get(ray.remote(lambda: os.environ.get("OMP_WAIT_POLICY")).remote())  # type: ignore[attr-defined]


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray")
def test_waiting_threads_of_workers_sleep_here_and_on_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.delenv("OMP_WAIT_POLICY")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with running_ray(cluster.address):
            assert policy_of_a_worker() == "PASSIVE" and "OMP_WAIT_POLICY" not in os.environ
            with running_ray(None):  # the one that runs, and it goes on
                assert ray.cluster_resources()["CPU"] == 1
            assert ray.is_initialized()
        assert not ray.is_initialized()
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)  # as on a machine of a cluster
        with running_ray(None, 2):
            assert policy_of_a_worker() == "PASSIVE" and ray.cluster_resources()["CPU"] == 2
    finally:
        cluster.shutdown()


@pytest.mark.ray
def test_a_cluster_without_tokens_and_a_client_with_one() -> None:
    """Ray itself lets the client in and ends its actors one by one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    environment["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    head = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}", "--num-cpus=1"]
    with tempfile.TemporaryDirectory(prefix="r") as folder:  # short: the path of a socket has a limit
        process = subprocess.Popen(
            [*head, "--include-dashboard=false", "--block", f"--temp-dir={folder}"],
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            token = environment | {"RAY_AUTH_TOKEN": "0" * 64}
            done = subprocess.run(
                [sys.executable, "-c", CLIENT, str(port)],
                env=token,
                capture_output=True,
                text=True,
                timeout=120,
            )
        finally:
            process.terminate()
            process.wait()
    assert "was started without tokens" in done.stdout and "RAY_AUTH_MODE=disabled" in done.stdout, done


CLIENT = """
import socket, sys, time
from cache.errors import UserError
from preprocessing.stage.cluster import start_ray
address = f"127.0.0.1:{sys.argv[1]}"
for _ in range(60):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
        break
    except OSError:
        time.sleep(0.5)
time.sleep(2)  # the node joins its own cluster a moment later
try:
    start_ray(address)
except UserError as error:
    print(error)
"""
