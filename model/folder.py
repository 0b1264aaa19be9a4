"""A folder of judges: the file that was written, or touched, last is the judge in use.

"Last" goes by the time of modification, which `cp`, `touch` and an export set, and which `chmod -R`,
`chown -R`, hard links, `tar` and `rsync -a` leave alone: so a listing tells every process, on every machine,
the same, after a restore too, and no file has to say which. Times are compared with each other only: the
folder may be a server's, and a time may lie in the future.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from model.files import replacing

SUFFIX = ".onnx"
SHADOW = "shadow"
"""The sub-folder of the judge that is only compared with the one in use."""

# What makes a name lead nowhere. Anything else that goes wrong is the volume's fault, and will pass.
_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES}
# tar, and some file systems, keep no less.
_SECOND = 10**9
_TRIES = 3
# Clocks of machines that are well kept differ by less.
_SKEW = 60 * _SECOND


class NotChosen(Exception):
    """A file could not be made the last; the message says why and what to do."""


@dataclass(frozen=True)
class Entry:
    """A judge's file as it lay in the folder; another content, or another choice, makes it another entry.

    Inode numbers are no part of it: some network file systems make them up anew.
    """

    file: Path
    put: int
    """When it was written, touched, or linked to: nanoseconds since 1970 by the file system's clock."""
    size: int
    written: int
    """When its content was written, or touched, likewise."""
    changed: int = field(compare=False)
    """When anything about it changed, such as who may read it, likewise."""

    @property
    def turn(self) -> tuple[int, str]:
        """Which of two comes first: the one with more. Of two of one moment it is the later name."""
        return self.put, self.file.name

    @property
    def dated(self) -> str:
        """When it was put, ISO 8601."""
        try:
            return datetime.fromtimestamp(self.put // _SECOND, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return f"{self.put // _SECOND} s after 1970"

    @property
    def is_ahead(self) -> bool:
        """Whether its date is ahead of this machine's clock: to `touch` another is not enough then."""
        return self.put > time.time_ns() + _SKEW


def entries(folder: Path) -> list[Entry]:
    """The judges' files in a folder, the one in use first.

    Names that begin with "." or "~", such as those of files that are still being copied, folders, and links
    that lead nowhere are passed over.

    Raises:
        OSError: The folder is missing, unreadable or, just now, not mounted.
    """
    with os.scandir(folder) as items:
        found = [entry for item in items if _is_judges(item.name) and (entry := entry_of(Path(item.path)))]
    return sorted(found, key=lambda entry: entry.turn, reverse=True)


def entry_of(file: Path) -> Entry | None:
    """A file as it is now; None if there is none.

    Raises:
        OSError: Its volume is in trouble.
    """
    try:
        if not file.is_file():
            return None
        # A link counts as put there when it was made, or when what it leads to was written.
        name, content = file.lstat(), file.stat()
    except OSError as error:
        if error.errno in _NOWHERE:
            return None
        raise
    put = max(name.st_mtime_ns, content.st_mtime_ns)
    changed = max(name.st_ctime_ns, content.st_ctime_ns)
    return Entry(file, put, content.st_size, content.st_mtime_ns, changed)


def copy(file: Path, folder: Path, name: str) -> Entry:
    """Put a copy of a file into a folder, whole or not at all, as the last.

    Raises:
        OSError: It cannot be read or written.
        NotChosen: The name is none for a judge, or another file stays before it.
    """
    if not _is_judges(name):
        raise NotChosen(f"{name!r} is passed over in a judges' folder; give it a name that ends in {SUFFIX}")
    target = folder / name
    with replacing(target) as draft:
        shutil.copyfile(file, draft)
        # The workers are often another user; a judge is no secret.
        draft.chmod(0o644)
        _date(draft, _latest_besides(target))
    return _make_last(target)


def touch(file: Path) -> Entry:
    """Choose a file that lies in its folder already.

    Raises:
        OSError: This user may not.
        NotChosen: Another file stays before it.
    """
    _date(file, _latest_besides(file))
    return _make_last(file)


def _make_last(file: Path) -> Entry:
    for _ in range(_TRIES):
        found = entries(file.parent)
        if file.name not in {entry.file.name for entry in found}:
            raise NotChosen(f"{file}: it was removed again; try again")
        first = found[0]
        if first.file.name == file.name:
            return first
        if first.file.samefile(file):
            raise NotChosen(f"{file}: {first.file.name} is a second name of this file, and the one in use")
        # Somebody else was at it at the same time.
        _date(file, _latest_besides(file))
    raise NotChosen(
        f"{file}: {first.file.name} stays before it, dated {first.dated}; "
        "try again, or `touch` that one first"
    )


def _latest_besides(file: Path) -> int:
    return max((entry.put for entry in entries(file.parent) if entry.file.name != file.name), default=0)


def _date(file: Path, latest: int) -> None:
    """Date a file now, or as much in the future as it takes; in a later second than the latest of the others.

    What lies in one second is in another order after a backup that keeps whole seconds only.
    """
    wanted = (latest // _SECOND + 1) * _SECOND
    # Whatever comes next has a later date only if this one has none in the future.
    if 0 < (wait := wanted - time.time_ns()) <= _SECOND:
        time.sleep(wait / _SECOND)
    try:
        os.utime(file)
        if file.stat().st_mtime_ns < wanted:
            os.utime(file, ns=(wanted, wanted))
    except OSError as error:
        # Python leaves the name out here.
        raise OSError(error.errno, error.strerror, str(file)) from None


def _is_judges(name: str) -> bool:
    # What is no printable text could forge a line of a log, and has no place in JSON.
    return name.endswith(SUFFIX) and name[0] not in ".~" and name.isprintable()
