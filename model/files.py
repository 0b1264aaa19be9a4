"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Write a file under another name beside it; it takes its place when all is written, and is gone if not.

    Args:
        file: What is to be there in the end.

    Yields:
        Where to write it.
    """
    # Not named by the process: in containers that share a folder, many have the same number.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
