"""Exit codes, and errors of one line: users see what to change, never a traceback (unless --debug)."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from cache.errors import UserError

DONE = 0
USAGE = 2
SOME_FAILED = 3
INTERRUPTED = 130

# typer carries click under a private name; its public BadParameter is a UsageError is a ClickException.
ClickException: type[Exception] = typer.BadParameter.__mro__[2]


def one_line_errors(app: typer.Typer, arguments: list[str], *, debug: bool = False) -> int:
    """Run the app; returns its exit code."""
    try:
        result = app(args=arguments, prog_name="videofer", standalone_mode=False)
    except ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error)
            return USAGE
        return _complain(error.format_message())  # type: ignore[attr-defined]
    except (typer.Abort, KeyboardInterrupt):
        result = INTERRUPTED
    except UserError as error:
        if debug:
            raise
        return _complain(str(error))
    except OSError as error:
        if debug:
            raise
        return _complain(_words_of(error))
    if result == INTERRUPTED:  # typer's answer to Ctrl-C as well
        print("videofer: interrupted; what was finished is kept", file=sys.stderr)
    return result if isinstance(result, int) else DONE


def _words_of(error: OSError) -> str:
    """The file, and what is wrong with it."""
    where = f"{error.filename}: " if error.filename else ""
    if isinstance(error, FileExistsError) and Path(str(error.filename)).is_file():
        return f"{where}is a file, not a folder"  # what the system says, "File exists", helps nobody
    if isinstance(error, NotADirectoryError) and error.filename:
        file = next((above for above in Path(str(error.filename)).parents if above.is_file()), None)
        return f"{where}cannot be, as {file} is a file, not a folder" if file else f"{where}is no folder"
    return f"{where}{error.strerror or error}"


def _complain(message: str) -> int:
    print("videofer: error: " + " ".join(message.split()), file=sys.stderr)
    return USAGE
