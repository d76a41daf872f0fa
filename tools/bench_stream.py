"""How late the rows of a live stream are: a video is published at its own pace and followed.

    python -m tools.bench_stream --model RUN VIDEO

A process publishes the video's own packets as an MPEG transport stream over a TCP connection of this machine,
each when it is due, as a camera's gateway would. `videofer timeline tcp://... --follow` reads it. Printed are
the fixed lag, how late rows came by the clock on the wall, and the share of one core that the follower took.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

PUBLISHER = """
import sys, time, av
path, address = sys.argv[1:]
with av.open(path) as source:
    stream = source.streams.video[0]
    with av.open(address + "?listen=1", "w", format="mpegts", options={"flush_packets": "1"}) as container:
        copy = container.add_stream_from_template(stream)
        began = first = None
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            seconds = float(packet.dts * stream.time_base)
            if began is None:
                began, first = time.monotonic(), seconds
            time.sleep(max(0.0, began + seconds - first - time.monotonic()))
            packet.stream = copy
            container.mux(packet)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a run")
    parser.add_argument("video", type=Path, help="a file, as H.264 in MP4")
    arguments = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen([sys.executable, "-c", PUBLISHER, str(arguments.video), address]):
        time.sleep(1.0)  # until it listens; the video begins when somebody connects
        code = "from videofer.cli import main; main()"
        follow = [
            sys.executable,
            "-c",
            code,
            "timeline",
            address,
            "--follow",
            "--model",
            str(arguments.model),
        ]
        done = subprocess.run(follow, stdout=subprocess.PIPE, text=True, check=True)
    end = json.loads(done.stdout.splitlines()[-1])
    start = json.loads(done.stdout.splitlines()[0])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"lag            {start['lag_seconds']:.2f} s of media time, fixed")
    print(f"rows came      {_text(end['lag_seconds'])} s of media time after their end")
    print(f"by the clock   {_text(end['latency_seconds'])} s after the frame at their end")
    print(f"frames dropped {end['frames_dropped']} of {end['num_frames']}")
    seconds = used.ru_utime + used.ru_stime
    print(f"processor      {seconds:.1f} s for {end['duration_seconds']:.1f} s of video, start included")


def _text(figures: dict[str, float]) -> str:
    return f"{figures['p50']:.2f} (median), {figures['p95']:.2f} (95 %), {figures['max']:.2f} (most)"


if __name__ == "__main__":
    main()
