"""Whether every current browser plays a video file as it is, at the very times that a timeline counts.

Chromium, Firefox and Safari agree on little: H.264 with 8 bits and 4:2:0 in MP4; VP8, VP9 and AV1 in WebM or
MP4; AAC, MP3, Opus and Vorbis sound. Where a file does not start at 0 they disagree on what time it is, and a
file with several video streams may show another one than that which was analysed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import UserError
from preprocessing.decode.container import open_container
from preprocessing.probe import probe
from preprocessing.types import InputError, Source

if TYPE_CHECKING:
    from videofer.timeline.timeline import Timeline

MP4_CODECS = {"h264": "H.264", "vp9": "VP9", "av1": "AV1"}
WEBM_CODECS = {"vp8": "VP8", "vp9": "VP9", "av1": "AV1"}
MP4_SOUND = frozenset({"aac", "mp3", "opus", "flac"})
WEBM_SOUND = frozenset({"opus", "vorbis"})
PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p"})
LATEST_START_SECONDS = 0.0005
UNEVEN = 1.5  # the longest picture by the median one; the last digit of a clock varies in many files
EBML_BYTES = 64  # the document type of Matroska is among them


@dataclass(frozen=True)
class Playability:
    """`reason`: why not, in words; empty where browsers play it."""

    reason: str
    has_sound: bool
    mime: str

    @property
    def is_playable(self) -> bool:
        return not self.reason


def damage_of(timeline: Timeline) -> str:
    """In words, that not all of a timeline's video could be decoded; empty where all was.

    Browsers stop at such a place, or never begin to play.
    """
    lost = (timeline.rows["state"] == "not_decoded").any()
    is_damaged = timeline.video.kind == "video" and (lost or timeline.provenance.get("warnings"))
    return "not all of the original could be decoded" if is_damaged else ""


def playability(media: Path, damage: str = "") -> Playability:
    """Judge a file by its headers, and by what is known of its damage. UserError where it is no video."""
    found = _by_headers(media)
    return replace(found, reason=damage) if damage and found.is_playable else found


def _by_headers(media: Path) -> Playability:
    try:
        found = probe(Source(media, media.name, "video"))
        with open_container(media, "probe") as container:
            kind = _container_kind(media, container.format.name, container.metadata.get("major_brand", ""))
            videos = [s for s in container.streams if s.type == "video" and not _is_cover(s)]
            sounds = [s for s in container.streams if s.type == "audio"]
            sound_codecs = {s.codec_context.codec.canonical_name for s in sounds if s.codec_context}
            is_uneven = _is_uneven(container.streams[found.stream_index])
    except InputError as error:
        raise UserError(f"{media}: {error.reason}") from error
    mime = "video/webm" if kind == "webm" else "video/mp4"
    codecs = WEBM_CODECS if kind == "webm" else MP4_CODECS
    known_sound = WEBM_SOUND if kind == "webm" else MP4_SOUND
    reason = ""
    if kind not in ("mp4", "webm"):
        reason = f"browsers do not open {kind}"
    elif found.codec not in codecs:
        reason = f"not every browser plays {found.codec}"
    elif found.pixel_format not in PIXEL_FORMATS:
        reason = f"browsers do not play the pixel format {found.pixel_format}"
    elif found.rotation or found.mirrored:
        reason = "the pictures lie on their side in the file"
    elif abs(found.presentation_start) > LATEST_START_SECONDS:
        reason = (
            f"it starts at {float(found.presentation_start):.3f} s, which browsers count in different ways"
        )
    elif len(videos) > 1:
        reason = "it has several video streams"
    elif is_uneven:
        reason = "browsers seek badly where the frame rate varies and pictures are coded out of order"
    elif not sound_codecs <= known_sound:
        reason = f"browsers do not play {', '.join(sorted(sound_codecs - known_sound))} sound"
    return Playability(reason, bool(sounds), mime)


def _container_kind(media: Path, format_name: str, brand: str) -> str:
    """mp4, webm, or what else to call it."""
    if "mp4" in format_name.split(","):
        return "QuickTime" if brand.strip() == "qt" else "mp4"
    if "matroska" in format_name:
        with media.open("rb") as file:
            return "webm" if b"webm" in file.read(EBML_BYTES) else "Matroska"
    return format_name.split(",")[0].upper()


def _is_uneven(stream: Any) -> bool:
    """Whether pictures are coded out of order and do not last alike, as the index of an MP4 file tells.

    Chromium takes how long a picture lasts from the one that is coded next: it then shows one too early.
    """
    if not stream.codec_context.has_b_frames:
        return False
    stamps = sorted(entry.timestamp for entry in stream.index_entries)
    lengths = sorted(after - before for before, after in pairwise(stamps))
    return bool(lengths) and lengths[-1] > UNEVEN * lengths[len(lengths) // 2]


def _is_cover(stream: Any) -> bool:
    import av

    extras = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return bool(stream.disposition & extras)
