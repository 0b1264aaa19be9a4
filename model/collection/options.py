"""What the commands of the collection can be told."""

from __future__ import annotations

import argparse
from pathlib import Path


def collect_parser() -> argparse.ArgumentParser:
    """Of `deepselfie model collect`."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model collect",
        description="Gather public posts with a tag into a dataset, or take over a table or a folder.",
        epilog="It goes on where it stopped. docs/model.md says which posts are left alone.",
    )
    parser.add_argument("folder", type=Path, metavar="DATASET", help="the dataset's folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--network", choices=["mastodon", "bluesky", "x"], help="where to collect")
    source.add_argument("--table", type=Path, metavar="FILE", help="take over a Parquet or CSV file of posts")
    source.add_argument(
        "--folder", type=Path, metavar="DIR", dest="shelf", help="take over a folder of photos"
    )
    parser.add_argument("--tag", default="selfie", help="the posts' tag; default: selfie")
    parser.add_argument(
        "--refresh", action="store_true", help="read likes of held posts again; drop deleted ones"
    )
    parser.add_argument(
        "--limit", type=int, default=10_000, metavar="POSTS", help="in one run; default: 10000"
    )
    parser.add_argument("--sensitive", action="store_true", help="take what is marked as sensitive, too")
    _add_network(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def forget_parser() -> argparse.ArgumentParser:
    """Of `deepselfie model forget`."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model forget",
        description="Remove a post, or all of an author's, from datasets, and never collect it again.",
    )
    parser.add_argument(
        "name", metavar="URL|AUTHOR", help="a post's URL or id; an author's URL, handle or DID"
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DATASET", help="the datasets' folders")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def faces_parser() -> argparse.ArgumentParser:
    """Of `deepselfie model faces`."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model faces",
        description="Count the faces in a dataset's photos, and measure the largest.",
        epilog="It goes on where it stopped.",
    )
    parser.add_argument("folder", type=Path, metavar="DATASET", help="the dataset's folder")
    parser.add_argument(
        "--detector",
        choices=["blazeface", "centerface"],
        default="blazeface",
        help="blazeface comes along and is fast; centerface counts small faces and groups well",
    )
    parser.add_argument(
        "--batch", type=int, default=64, metavar="PHOTOS", help="decoded at a time; default: 64"
    )
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: one a core")
    parser.add_argument("--again", action="store_true", help="look at photos that were looked at before")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("of a network")
    group.add_argument("--server", metavar="URL", help="a Mastodon server; for Bluesky the account's")
    group.add_argument("--agree", default="", metavar="CODE", help="the code of the terms that you have read")
    group.add_argument(
        "--contact", metavar="ADDRESS", help="your URL or e-mail address, shown to its servers"
    )
    group.add_argument("--handle", help="a Bluesky account, which its search wants")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="a file with an app password of it")
    group.add_argument(
        "--pause", type=float, default=1.0, metavar="SECONDS", help="between calls; default: 1"
    )
    group.add_argument(
        "--megabytes", type=float, default=10, metavar="N", help="of a photo at most; default: 10"
    )
    group.add_argument(
        "--media-host", action="append", default=[], metavar="HOST", help="a host that its photos are on, too"
    )
