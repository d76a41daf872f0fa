"""The command line. Every command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from types import TracebackType
from typing import Any


def _debug() -> bool:
    return "--debug" in sys.argv or os.environ.get("VIDEOFER_DEBUG") == "1"


def _is_ours(module: str | None) -> bool:
    return module is None or module.partition(".")[0] in ("videofer", "preprocessing", "cache")


def _unfinished(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A package that is not there, and Ctrl-C while modules are imported: one line here as well."""
    if isinstance(error, ModuleNotFoundError) and not _is_ours(error.name) and not _debug():
        line = f"videofer: error: {error}; `python -m videofer.doctor` says what mends it"
        print(line, file=sys.stderr, flush=True)
        os._exit(2)
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("videofer: interrupted; what was finished is kept", file=sys.stderr, flush=True)
    os._exit(130)


def _interrupted_unseen(ignored: Any) -> None:
    """Ctrl-C during a callback whose errors Python drops (a lock of imports has one): it comes again."""
    if not issubclass(ignored.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(ignored)
        return
    again = threading.Timer(0.02, _thread.interrupt_main)
    again.daemon = True
    again.start()


if sys.excepthook is sys.__excepthook__:  # else it is somebody else's program
    sys.excepthook = _unfinished
if sys.unraisablehook is sys.__unraisablehook__:
    sys.unraisablehook = _interrupted_unseen

import typer

# Before torch is imported: its threads spin while they wait, and on a shared machine spinning threads keep
# each other from working (a training step: 20 s instead of 0.4 s at load 9 on 4 cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from videofer.cli import (
    agree,
    annotations_command,
    app_command,
    compare,
    crosscorpus,
    crossval,
    datasets_command,
    demo,
    doctor_command,
    evaluate,
    export,
    init,
    plan,
    preprocess,
    reproduce,
    store,
    table,
    timeline,
    train,
    tune,
    weights_command,
)
from videofer.cli.errors import one_line_errors

app = typer.Typer(
    name="videofer",
    help="Folders of video in, emotion timelines out. Labels mean perceived expression, not felt emotion.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("preprocess")(preprocess.preprocess)
app.command("plan")(plan.plan)
app.add_typer(store.app, name="store")
app.add_typer(datasets_command.app, name="datasets")
app.add_typer(weights_command.app, name="weights")
app.command("train")(train.train)
app.command("crossval")(crossval.crossval)
app.command("crosscorpus")(crosscorpus.crosscorpus)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("table")(table.table)
app.command("reproduce")(reproduce.reproduce)
app.command("tune")(tune.tune)
app.command("export")(export.export)
app.command("timeline")(timeline.timeline)
app.command("app")(app_command.app)
app.command("annotations")(annotations_command.import_annotations)
app.command("agree")(agree.agree)
app.command("demo")(demo.demo)
app.command("doctor")(doctor_command.doctor)
app.command("init")(init.init)


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    code = one_line_errors(app, [a for a in arguments if a != "--debug"], debug=_debug())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said; the interpreter may end in peace
    sys.exit(code)
