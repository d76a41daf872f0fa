"""`videofer app`: the timeline in a browser, on this computer."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from videofer.builtin import BUILTIN
from videofer.cli.errors import DONE
from videofer.cli.model_line import tell_model
from videofer.cli.options import Faces, MinConfidence, Model, Smooth, TimelineKeys, WeightsDir

DEFAULT_FOLDER = Path("~/videofer-app")


def app(
    model: Model = BUILTIN,
    folder: Annotated[Path, typer.Option(help="Where uploads and results are kept.")] = DEFAULT_FOLDER,
    host: Annotated[
        str, typer.Option(help="Address to listen on; by default only this computer reaches the app.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    max_gigabytes: Annotated[float, typer.Option(min=0.001, help="Largest upload.")] = 4.0,
    formats: Annotated[str, typer.Option(help="As for `videofer timeline`.")] = "all",
    faces: Faces = "auto",
    pose: Annotated[str | None, typer.Option(help="Skeletons: none or onnx:POSE[,PERSON].")] = None,
    smooth: Smooth = None,
    min_confidence: MinConfidence = None,
    set_: TimelineKeys = None,
    blur: Annotated[str, typer.Option(help="Faces that nobody may see: none, others or all.")] = "none",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    weights_dir: WeightsDir = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes for one video.")] = None,
) -> int:
    """Drop a video into a page of the browser, see its report, download the tables.

    Nothing leaves the computer. The page's address holds a key: who has it may use the app.
    """
    from videofer.app.analysis import Plan, about, analyse
    from videofer.app.gate import hosts_for
    from videofer.app.library import Library
    from videofer.app.server import make_app
    from videofer.app.worker import Worker
    from videofer.cli.timeline_options import products_of, settings_of
    from videofer.export import load_model
    from videofer.timeline.prepare import spec_for

    settings = settings_of(set_ or [], modality=None, smooth=smooth, min_confidence=min_confidence)
    wanted, options = products_of(
        formats, video="auto", blur=blur, focus=None, skeleton=False, weights_dir=weights_dir
    )
    if pose == "sidecar":
        raise typer.BadParameter(
            "--pose sidecar: keypoint files cannot be dropped in; say onnx:POSE[,PERSON]"
        )
    loaded = load_model(model)
    tell_model(loaded)
    plan = Plan(
        model=loaded,
        spec=spec_for(loaded, faces, pose),
        settings=settings,
        formats=tuple(dict.fromkeys([*wanted, "html"])),  # there is always a report to open
        options=options,
        weights_dir=weights_dir,
        num_workers=workers,
    )
    library = Library(folder.expanduser().resolve())
    worker = Worker(library, lambda video, place, report: analyse(plan, video, place, report))
    max_bytes = int(max_gigabytes * 1e9)
    key = secrets.token_urlsafe(24)
    listening = _listen(host, port)
    served = make_app(
        library, worker, key=key, hosts=hosts_for(host), about=about(plan, library.folder, max_bytes),
        max_bytes=max_bytes, shows_originals=blur == "none",
    )  # fmt: skip
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/?key={key}"
    typer.echo(f"videofer app: {address}")
    typer.echo(f"videos and results: {library.folder}")
    if host not in ("127.0.0.1", "localhost", "::1"):
        typer.echo(
            "other computers can reach this app, unencrypted; who has the key sees all videos", err=True
        )
    if open_browser:
        webbrowser.open(address)
    _serve(served, listening)
    return DONE


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections, which then wait for the server: who opens the printed address at once
    is not refused. An address in use is said before anything is printed.
    """
    from cache.errors import UserError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UserError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    return listening


def _serve(served: object, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(served, log_level="warning", lifespan="on", timeout_graceful_shutdown=3)  # type: ignore[arg-type]
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
