"""The one download there is: checked before it is used, whole or not there at all."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
import urllib.request
from pathlib import Path

from preprocessing.weights.registry import Weight, WeightsError

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 5.0
DOWNLOAD_TIMEOUT_SECONDS = 60.0


def download(known: Weight, target: Path) -> Path:
    """Fetches, checks and only then renames: whatever happens, `target` is either whole or not there."""
    assert known.url is not None and known.num_bytes is not None
    assert known.sha256 is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    logger.info("downloading %s", known.url)
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_SECONDS
    content = bytearray()
    with urllib.request.urlopen(known.url, timeout=CONNECT_TIMEOUT_SECONDS) as response:  # noqa: S310 (our own constant)
        while block := response.read(1 << 16):
            content += block
            if len(content) > known.num_bytes:
                raise WeightsError(
                    f"{known.url} is longer than the published {known.num_bytes} bytes; not used"
                )
            if time.monotonic() > deadline:
                raise TimeoutError(f"not finished after {DOWNLOAD_TIMEOUT_SECONDS:.0f} s")
    if len(content) < known.num_bytes:
        raise OSError(f"broke off after {len(content)} of {known.num_bytes} bytes")
    found = hashlib.sha256(content).hexdigest()
    if found != known.sha256:
        raise WeightsError(
            f"{known.url} has SHA-256 {found[:16]}..., expected {known.sha256[:16]}...; not used"
        )
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, delete=False) as file:
        partial = Path(file.name)
    try:
        partial.write_bytes(content)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
