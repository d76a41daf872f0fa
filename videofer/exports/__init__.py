"""Timelines as files that other programs open: tables, ELAN, Praat, subtitles, BIDS, OpenFace."""
