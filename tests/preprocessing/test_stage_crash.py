"""What a process that crashes leaves behind, and what is read from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from preprocessing.stage.worker import take_crash

CRASHES = """
import faulthandler, os, signal, sys, threading, time
faulthandler.enable(open(sys.argv[1], "w"))
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def decode_badly():
    os.kill(os.getpid(), signal.SIGSEGV)

threading.Thread(target=decode_badly).start()
time.sleep(60)
"""


def test_the_place_is_that_of_the_thread_that_crashed(tmp_path: Path) -> None:
    program, note = tmp_path / "decoder.py", tmp_path / "crash.txt"
    program.write_text(CRASHES)
    subprocess.run([sys.executable, program, note], stderr=subprocess.DEVNULL, timeout=60, check=False)
    assert note.read_text().count("File ") > 2, "several threads are in it"
    assert take_crash(note).startswith("Segmentation fault in ")
    assert not note.exists()


def test_the_thread_that_crashed_need_not_be_the_first(tmp_path: Path) -> None:
    note = tmp_path / "crash.txt"
    note.write_text(
        "Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n"
        '  File "/ray/worker.py", line 9 in main_loop\n\nCurrent thread 0x2 (most recent call first):\n'
        '  File "/x/pyav_engine.py", line 80 in frames\n'
    )
    assert take_crash(note) == "Segmentation fault in pyav_engine.py, line 80"


def test_a_process_that_was_killed_tells_nothing(tmp_path: Path) -> None:
    note = tmp_path / "crash.txt"
    note.touch()
    assert take_crash(note) == "" and take_crash(tmp_path / "none.txt") == ""
