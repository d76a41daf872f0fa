"""Exit codes, and errors of one line: users see what to change, never a traceback (unless --debug)."""

from __future__ import annotations

import sys

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
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    if result == INTERRUPTED:  # typer's answer to Ctrl-C as well
        print("videofer: interrupted; what was finished is kept", file=sys.stderr)
    return result if isinstance(result, int) else DONE


def _complain(message: str) -> int:
    print("videofer: error: " + " ".join(message.split()), file=sys.stderr)
    return USAGE
