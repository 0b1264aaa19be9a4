"""Files that are there whole or not at all."""

from __future__ import annotations

import os
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
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
