"""Whether links and photos of hostile people do harm: give it any list of links, any folder of files.

Links go through the worker's downloader, private addresses refused, under an audit hook that counts each
connection to an address that is not public. Files go through the worker's decoders.

    python -m benchmarks.hostile [--urls FILE] [--images DIR] [--seconds S] [--json]

`--json` prints one object:

    connects_inside  connections to addresses that are not public
    worker_deaths    decoders that a file has crashed
    overrun          decoders that were ended because a file took longer than four seconds
    slowest_s        seconds of the slowest file, and its name in `slowest`
    peak_rss_mb      megabytes of the largest decoder
    outcomes         how many files (`image …`) and links (`link …`) ended how

Exit status: 0 if nothing got in, no decoder crashed, no file took more than 5 s or a decoder over 512 MB, and
the bot has words for each outcome.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import hostile_images, hostile_links

MOST_SECONDS = 5
MOST_MEGABYTES = 512


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    found: dict[str, Any] = {"connects_inside": 0, "worker_deaths": 0, "overrun": 0, "slowest_s": 0.0}
    found |= {"peak_rss_mb": 0.0, "outcomes": {}}
    if options.images:
        _judge_images(found, options.images)
    if options.urls:
        _judge_links(found, options.urls, options.seconds)
    print(json.dumps(found) if options.json else _text(found))
    return int(is_harmed(found))


def _judge_images(found: dict[str, Any], directory: Path) -> None:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    images = hostile_images.decode_all(files)
    found |= {"images": len(files), "worker_deaths": images.crashed, "overrun": images.overrun}
    found |= {"slowest_s": images.slowest_s, "slowest": images.slowest, "peak_rss_mb": images.peak_rss_mb}
    found["outcomes"] |= {f"image {name}": count for name, count in images.outcomes.items()}


def _judge_links(found: dict[str, Any], file: Path, seconds: float) -> None:
    # Thousands of refusals are what is expected here.
    logging.getLogger("worker").setLevel(logging.ERROR)
    links = hostile_links.judge_links(hostile_links.read_links(file), seconds=seconds)
    found |= {"links": links.links, "connects_inside": len(links.connects_inside)}
    found["slowest_link_s"] = round(links.slowest, 3)
    found["outcomes"] |= {f"link {name}": count for name, count in links.counts.items()}


def is_harmed(found: dict[str, Any]) -> bool:
    """Whether what was found is more than may be."""
    return bool(
        found["connects_inside"]
        or found["worker_deaths"]
        or found["slowest_s"] > MOST_SECONDS
        or found["peak_rss_mb"] > MOST_MEGABYTES
        or any("unforeseen" in outcome for outcome in found["outcomes"])
    )


def _text(found: dict[str, Any]) -> str:
    lines = [f"{name:16} {value}" for name, value in found.items() if name != "outcomes"]
    return "\n".join([*lines, "", *(f"{count:8}  {name}" for name, count in found["outcomes"].items())])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--urls", type=Path, metavar="FILE", help="links, one a line; or JSON lines with the key url or u"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="files of any kind, folders and all")
    parser.add_argument(
        "--seconds", type=float, default=10, metavar="S", help="each link's deadline (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    if not (options.urls or options.images):
        parser.error("name --urls FILE, --images DIR, or both")
    return options


if __name__ == "__main__":
    sys.exit(main())
