"""Files that people write or edit themselves are kept when an export takes their place.

Somebody who corrects our tiers in ELAN saves them under our name; a video may have subtitles and a table of
somebody's annotations beside it. What an export replaces there is not lost: it stays as `talk.eaf.1`,
`talk.eaf.2`, and so on. Our own tables are made anew; they are large. So are our pictures, pages
and films, which carry a mark; those of others that have their names are kept, too.
"""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from cache.atomic import atomic_write
from videofer.timeline.ours import is_ours

EDITED_BY_PEOPLE = (".eaf", ".TextGrid", ".vtt", ".srt", ".csv")

_OUR_TABLE = b"person,person_name,t_start,t_end,state,"
_DATE = re.compile(rb' DATE="[^"]*"')  # of an ELAN file: when it was written


def keep_old(path: Path, content: bytes) -> Path | None:
    """Copy what is at `path` beside it, where it says something else than `content`; the copy's path."""
    if not path.exists():
        return None
    old = path.read_bytes()
    if old.startswith(_OUR_TABLE):
        return None
    if _DATE.sub(b"", old, count=1) == _DATE.sub(b"", content, count=1):
        return None
    copy = _free_name(path)
    with atomic_write(copy) as file:
        file.write(old)
    return copy


def keep_foreign(path: Path) -> Path | None:
    """Move what is at `path` to a name beside it, unless it is a picture, page or film of ours; the new path.

    It is not read: it may be large.
    """
    if not path.is_file() or is_ours(path):
        return None
    return path.rename(_free_name(path))


def _free_name(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return next(one for one in numbered if not one.exists())
