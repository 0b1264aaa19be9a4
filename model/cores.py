"""How many cores this process really has: what it may run on, and what its container may use of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MINE = Path("/proc/self/cgroup")


def cores(cgroups: Path = CGROUPS, mine: Path = MINE) -> int:
    """How many cores this process may use, at least 1.

    A quota of one and a half cores counts as two: what is left over would be lost, and the kernel only makes
    the second one wait now and then.

    Args:
        cgroups: Where Linux shows its control groups.
        mine: The file that says which of them this process is in.
    """
    return max(1, min([_allowed(), *(math.ceil(quota) for quota in _quotas(cgroups, mine))]))


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(cgroups: Path, mine: Path) -> Iterator[float]:
    """The quotas in cores of the groups this process is in, and of those around them, where there are any."""
    for line in _read(mine).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            for group in _around(cgroups, path):
                yield from _quota(*_read(group / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for group in _around(cgroups / controllers, path):
                files = (group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")
                yield from _quota(*(_read(file) for file in files))


def _around(root: Path, path: str) -> Iterator[Path]:
    """A group and all that contain it. In a container only the root is there, and is the container's own."""
    inside = Path(path.lstrip("/"))
    # A process that was moved out of its namespace sees a path that leads out of the root.
    for group in () if ".." in inside.parts else (inside, *inside.parents):
        yield root / group
    yield root


def _quota(quota: str = "", period: str = "") -> Iterator[float]:
    # "max" and -1 are none.
    if quota.strip().isdigit() and period.strip().isdigit() and int(period):
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
