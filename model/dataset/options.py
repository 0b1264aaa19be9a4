"""What `deepselfie model label` can be told."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

ENGINES = ("duckdb", "spark")


def label_parser() -> argparse.ArgumentParser:
    """Build the parser of `deepselfie model label`."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model label",
        description="Label a dataset's photos: by likes for the audience that they had, by votes, by folders "
        "or by hand; and divide them by author for training, validation and test. Writes labelled.parquet "
        "and dataset.json into the folder.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the dataset")
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="where the photos are, if not in the dataset"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object: counts and fingerprint")
    _add_ways(parser)
    _add_likes(parser)
    _add_splits(parser)
    _add_means(parser)
    return parser


def _add_ways(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_argument_group(
        "where labels come from", "without any of these, from the likes of posts"
    )
    way = ways.add_mutually_exclusive_group()
    way.add_argument(
        "--ava", type=Path, metavar="FILE", help="votes, as in AVA.txt; photos are called ID.jpg"
    )
    way.add_argument("--folders", action="store_true", help="every sub-folder is a label")
    way.add_argument("--csv", type=Path, metavar="FILE", help="columns photo and label, if need be author")
    way.add_argument(
        "--posts", type=Path, metavar="FILE", help="likes, of a table of posts that is elsewhere"
    )
    ways.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of folders or labels, worst first (by name)",
    )
    ways.add_argument(
        "--drop", type=float, default=0.5, help="AVA: how near to 5 a mean says nothing (%(default)s)"
    )
    ways.add_argument("--three", action="store_true", help="AVA: those near to 5 are a label of their own")


def _add_likes(parser: argparse.ArgumentParser) -> None:
    likes = parser.add_argument_group("labels by likes")
    likes.add_argument(
        "--as-of", type=_day, metavar="DATE", help="the day of the collection (the newest post's)"
    )
    likes.add_argument("--older-than", type=int, default=30, metavar="DAYS", help="(%(default)s)")
    likes.add_argument(
        "--followers",
        type=_bounds,
        default=(100, 20_000),
        metavar="MIN:MAX",
        help="of the author (100:20000)",
    )
    likes.add_argument("--max-tags", type=int, default=15, metavar="N", help="(%(default)s)")
    likes.add_argument(
        "--min-faces", type=int, metavar="N", help="in a photo (1 where the posts tell of faces, else 0)"
    )
    likes.add_argument(
        "--bonus",
        type=int,
        default=5,
        metavar="PERCENT",
        help="by which a tag widens the audience (%(default)s)",
    )
    likes.add_argument("--group", type=int, default=100, metavar="N", help="posts that compete (%(default)s)")
    likes.add_argument("--good", type=int, default=50, metavar="N", help="with the most likes (%(default)s)")
    likes.add_argument("--bad", type=int, default=50, metavar="N", help="with the fewest likes (%(default)s)")


def _add_splits(parser: argparse.ArgumentParser) -> None:
    splits = parser.add_argument_group("splits")
    splits.add_argument(
        "--shares",
        type=_shares,
        default=(80, 10, 10),
        metavar="N/N/N",
        help="train/validation/test (80/10/10)",
    )
    splits.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")
    splits.add_argument(
        "--distance",
        type=int,
        default=4,
        metavar="BITS",
        help="of 64, by which duplicates may differ (%(default)s)",
    )


def _add_means(parser: argparse.ArgumentParser) -> None:
    means = parser.add_argument_group("how it is done")
    means.add_argument("--engine", choices=ENGINES, default="duckdb", help="(%(default)s)")
    means.add_argument(
        "--skip-photos", action="store_true", help="look at no photo: keep all, find no duplicates"
    )
    means.add_argument(
        "--threads", type=int, choices=range(1, 257), default=2, metavar="N", help="(%(default)s)"
    )
    means.add_argument("--memory", default="1.2GB", help="for DuckDB, which then uses the disk (%(default)s)")


def _day(text: str) -> int:
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it as 2015-10-25") from None
    return int((day if day.tzinfo else day.replace(tzinfo=UTC)).timestamp())


def _bounds(text: str) -> tuple[int, int]:
    try:
        fewest, most = map(int, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; write it as 100:20000") from None
    return fewest, most


def _shares(text: str) -> tuple[int, int, int]:
    try:
        train, validation, test = map(int, text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no three shares; write them as 80/10/10") from None
    return train, validation, test
