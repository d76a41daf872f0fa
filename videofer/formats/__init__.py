"""Timelines as files that other programs open: tables, ELAN, Praat, subtitles, BIDS, OpenFace."""

from videofer.formats.names import safe_stems
from videofer.formats.write import EXPORTS, FORMATS, check_formats, file_names, write_exports

__all__ = ["EXPORTS", "FORMATS", "check_formats", "file_names", "safe_stems", "write_exports"]
