"""The folder behind the app: one sub-folder a video, all of it in plain files that one can find and delete.

    FOLDER/<id>/item.json      name, state, and what went wrong
              video/<name>     the upload, as it came
              store/           what was preprocessed
              results/         timelines, report, exports

The folder is the truth: the app may be stopped at any time and goes on with what lies there.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from cache.atomic import atomic_write_text
from cache.errors import UserError

State = Literal["waiting", "working", "done", "failed"]
STATES: tuple[State, ...] = ("waiting", "working", "done", "failed")

_ID = re.compile(r"[0-9a-f]{16}")
_MARK = "videofer-app.txt"
_MARK_TEXT = (
    "Videos that were dropped into `videofer app`, and their results.\nIt is safe to delete this folder.\n"
)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One uploaded video."""

    id: str
    name: str  # as the user's computer called it; never a path, only shown
    file: str  # its safe name on disk
    num_bytes: int
    added: float  # seconds since 1970
    state: State = "waiting"
    stage: str = ""  # what is being done
    share: float = 0.0  # of all that is to be done, in [0, 1]
    reason: str = ""  # why it failed, one line
    report: str = ""  # name of the report in results/, once it is there


class Library:
    """Items in a folder. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder holds other things than ours."""
        self.folder = folder
        if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
            raise UserError(f"{folder} is not empty and not a folder of `videofer app`; name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(folder / _MARK, _MARK_TEXT)
        self._lock = threading.Lock()
        self._items: dict[str, Item] = {}
        for path in folder.iterdir():
            if _ID.fullmatch(path.name):
                item = _read(path)
                if item is None:  # an upload that was cut short
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    self._items[item.id] = item

    def items(self) -> list[Item]:
        """All items, the newest first."""
        with self._lock:
            return sorted(self._items.values(), key=lambda item: (-item.added, item.id))

    def get(self, item_id: str) -> Item | None:
        """An item, None where there is none of that id."""
        with self._lock:
            return self._items.get(item_id)

    def path(self, item_id: str) -> Path:
        """The folder of an item."""
        assert _ID.fullmatch(item_id), item_id
        return self.folder / item_id

    def begin(self) -> str:
        """A new id with an empty folder for the upload."""
        item_id = secrets.token_hex(8)
        (self.path(item_id) / "video").mkdir(parents=True)
        return item_id

    def video(self, item: Item) -> Path:
        """The uploaded file."""
        return self.path(item.id) / "video" / item.file

    def add(self, item_id: str, name: str, file: str, num_bytes: int) -> Item:
        """The upload is whole: from now on it waits for its turn."""
        item = Item(id=item_id, name=name, file=file, num_bytes=num_bytes, added=time.time())
        self._write(item)
        return item

    def update(self, item_id: str, **changes: object) -> Item | None:
        """Change fields of an item; None where it was deleted meanwhile.

        How far it is (`stage`, `share`) is kept in memory only.
        """
        with self._lock:
            before = self._items.get(item_id)
            if before is None:
                return None
            item = replace(before, **changes)  # type: ignore[arg-type]
            self._items[item_id] = item
            if item.state != before.state:
                self._save(item)
            return item

    def delete(self, item_id: str) -> None:
        """Remove an item with all its files."""
        self.hide(item_id)
        self.discard(item_id)

    def hide(self, item_id: str) -> None:
        """It is no item any more, but its files are still in use."""
        with self._lock:
            self._items.pop(item_id, None)
            if _ID.fullmatch(item_id):
                (self.path(item_id) / "item.json").unlink(missing_ok=True)

    def discard(self, item_id: str) -> None:
        """Remove the files of an id, whatever is there."""
        path = self.path(item_id)
        # The text goes first: what is left by a kill in the middle is no item any more.
        (path / "item.json").unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)

    def _write(self, item: Item) -> None:
        with self._lock:
            self._items[item.id] = item
            self._save(item)

    def _save(self, item: Item) -> None:
        path = self.path(item.id)
        if path.is_dir():
            atomic_write_text(path / "item.json", json.dumps(asdict(item), indent=2, ensure_ascii=False))


def _read(path: Path) -> Item | None:
    """What a folder says of its item.

    What was under way when the app ended in good order waits (the worker said so). When it was killed, or
    crashed, perhaps by this very video, it has failed: nobody's app shall crash at every start.
    """
    try:
        values = json.loads((path / "item.json").read_text(encoding="utf-8"))
        item = Item(**values)
    except (OSError, ValueError, TypeError):
        return None
    if item.id != path.name or item.state not in STATES or "/" in item.file:
        return None
    if item.state != "working":
        return item
    reason = "the app was ended while it analysed this video"
    return replace(item, state="failed", reason=reason, stage="", share=0.0)
