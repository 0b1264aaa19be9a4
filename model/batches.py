"""Which numbers of photos make a batch: few enough that a judge can be warmed up for each of them."""

from __future__ import annotations


def sizes(most: int) -> tuple[int, ...]:
    """All sizes that a batch may have, ascending: 1, 2, 3, 4, 6, 8, 12, 16 and so on, and `most`."""
    doubled = {step << times for step in (2, 3) for times in range(most.bit_length())}
    return tuple(sorted({1, most} | {size for size in doubled if size < most}))


def fitting(count: int, most: int) -> int:
    """The largest size for so many photos, of which there is at least one."""
    return max(size for size in sizes(most) if size <= max(1, count))
