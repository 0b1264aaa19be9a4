"""How fast millions of posts are labelled, and with how much memory.

`deepselfie model label --skip-photos` as a process of its own: it reads and checks a table of posts, labels
and divides them, and writes labelled.parquet. The peer, in the same run, is numpy: it reads the same table,
labels the posts by sorting whole columns in memory, and writes them; it checks nothing and divides nothing.
Both must agree on every label.

    python -m benchmarks.labels [--posts N] [--json]
"""

# Nothing heavy is imported here: a process's peak of memory counts what its parent had when it was started.
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POSTS = 5_000_000
PARTS = ("make", "peer", "compare")

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=POSTS, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object: label's and the peer's figures, and the ratio"
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        {"make": make, "peer": peer, "compare": compare}[options.part](options.folder, options.posts)
        return
    found = measure(options.posts)
    print(json.dumps(found) if options.json else words(found))


def measure(posts: int) -> dict[str, float | Figures]:
    with tempfile.TemporaryDirectory() as scratch:

        def part(name: str) -> Figures:
            return process("benchmarks.labels", "--part", name, "--folder", scratch, "--posts", str(posts))

        part("make")
        ours = process("bot", "model", "label", scratch, "--skip-photos", "--json")
        numpy = part("peer")
        part("compare")
    rate = posts / ours["seconds"]
    return {
        "posts": posts,
        **ours,
        "posts_per_second": rate,
        "peer": numpy,
        "ratio": ours["seconds"] / numpy["seconds"],
    }


def process(module: str, *arguments: str) -> Figures:
    """Run a module and measure the process: from its start to its end, imports too."""
    begin = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{module} {' '.join(arguments)} ended with status {child.returncode}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_megabytes": kilobytes / 1024,
    }


def make(folder: Path, posts: int) -> None:
    """Write a table of posts like those of a real network: few have many followers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from model.dataset.posts import write

    lot = np.random.default_rng(0)
    ids = pc.utf8_lpad(pa.array(np.arange(posts)).cast(pa.string()), 9, "0")
    author = lot.integers(0, max(posts // 10, 1), posts)
    followers = np.exp(lot.normal(np.log(600), 1.3, max(posts // 10, 1))).astype(np.int64)[author]
    age = (lot.exponential(200, posts) * 86400).astype(np.int64)
    columns = {
        "id": ids,
        "photo": pc.binary_join_element_wise("photos/", ids, ".jpg", ""),
        "author": pc.binary_join_element_wise("@", pa.array(author).cast(pa.string()), ""),
        "followers": followers,
        "likes": lot.poisson(followers * 0.1 * np.exp(lot.normal(0, 0.8, posts))),
        "tags": lot.poisson(4, posts),
        "posted_at": pa.array(1_700_000_000 - age).cast(pa.timestamp("s", "UTC")),
    }
    write(pa.table(columns), folder)


def peer(folder: Path, _posts: int) -> None:
    """Label the same table with whole columns in memory; its ids are in order, and so need no comparing."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "posts.parquet")
    followers, likes, tags = (table[name].to_numpy() for name in ("followers", "likes", "tags"))
    seconds = table["posted_at"].cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    old = seconds < seconds.max() - 30 * 86400
    kept = np.flatnonzero(old & (followers >= 100) & (followers <= 20_000) & (tags <= 15))
    order = kept[np.argsort(followers[kept] * (100 + 5 * tags[kept]), kind="stable")]
    groups = order[: len(order) // 100 * 100].reshape(-1, 100)
    groups = np.take_along_axis(groups, np.lexsort((groups, likes[groups]), axis=1), axis=1)
    rows, label = groups.ravel(), np.tile(np.repeat([0, 1], 50), len(groups))
    pq.write_table(
        table.take(rows).append_column("label", [label]), folder / "peer.parquet", compression="zstd"
    )


def compare(folder: Path, _posts: int) -> None:
    import pyarrow.parquet as pq

    ours, theirs = (
        pq.read_table(folder / name, columns=["id", "label"]).sort_by("id")
        for name in ("labelled.parquet", "peer.parquet")
    )
    assert ours.equals(theirs), "label and its peer do not agree"


def words(found: dict[str, float | Figures]) -> str:
    def row(name: str, figures: object) -> str:
        assert isinstance(figures, dict)
        return (
            f"  {name:8} {figures['seconds']:7.1f} s {figures['cpu_seconds']:8.1f} CPU s "
            f"{figures['peak_megabytes']:8.0f} MB"
        )

    return (
        f"{found['posts']:,} posts labelled and written, {found['posts_per_second']:,.0f} a second\n\n"
        f"{row('label', found)}\n{row('numpy', found['peer'])}\n\n  ratio    {found['ratio']:7.1f}"
    )


if __name__ == "__main__":
    main()
