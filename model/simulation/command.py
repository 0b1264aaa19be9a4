"""`deepselfie model simulate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FEWEST = 7
"""Photos: six in turn are the same shot, and without another one nothing is more appealing than the rest."""


def simulate(arguments: Sequence[str]) -> int:
    """Draw a network into a dataset's folder."""
    options = _parser().parse_args(arguments)
    from model.simulation.folder import OtherSimulation

    if fault := _fault(options):
        return _fail(fault)
    try:
        found = _simulate(options)
    except OtherSimulation as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or options.folder}: {error.strerror}; run the same command to go on")
    if options.json:
        print(json.dumps(found))
    else:
        print(
            f"{options.folder}: {found['photos']} photos by {found['authors']} people, "
            f"{found['posts']} posts; at best, a judge is right about {found['ceiling']:.1%}"
        )
    return 0


def _fault(options: argparse.Namespace) -> str:
    """What is wrong with the options; empty if nothing is."""
    for name, least in {"photos": FEWEST, "posts": 1, "seed": 0, "workers": 1}.items():
        if (value := getattr(options, name)) is not None and value < least:
            return f"--{name} is {value}, it must be at least {least}"
    if not 0 < options.correlation < 1:
        return f"--correlation is {options.correlation}, it must be more than 0 and less than 1"
    return ""


def _fail(reason: str) -> int:
    print(f"deepselfie: {reason}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie model simulate",
        description="Draw a network of people who post portraits, as a dataset's folder: photos, posts with "
        "likes, and in simulation.json what the best judge there can be would achieve. The same options draw "
        "the same bytes; run it again to go on where it was interrupted.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to; made if need be")
    parser.add_argument("--photos", type=int, default=3000, metavar="N", help="how many to draw (3000)")
    parser.add_argument("--posts", type=int, default=20, metavar="N", help="how often each is posted (20)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed draws another network")
    parser.add_argument(
        "--correlation",
        type=float,
        default=0.45,
        metavar="R",
        help="of appeal with likes, 0 to 1; the rest is luck (0.45, as in the article: about 65 %% at best)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that draw; by default one a core")
    parser.add_argument(
        "--contact-sheet", type=Path, metavar="FILE", help="also lay out the first 144 as a PNG"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: what simulation.json says"
    )
    return parser


def _simulate(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np
    from tqdm import tqdm

    from model.cores import cores
    from model.simulation import folder, likes, network

    chosen = {name: getattr(options, name) for name in ("photos", "posts", "seed", "correlation")}
    folder.claim(options.folder, chosen)
    photos = network.photos(options.photos, options.seed)
    with tqdm(desc="drawing photos", total=len(photos), disable=None) as progress:
        for done in network.take(photos, options.folder, options.workers or cores()):
            progress.update(done)
    appeal = np.array([photo.appeal for photo in photos])
    authors = np.array([photo.lot.author for photo in photos])
    rng = np.random.default_rng((options.seed, options.photos, options.posts))
    posts = likes.post(appeal, authors, options.posts, options.correlation, rng)
    folder.write_posts(options.folder, photos, posts)
    truth = {
        "options": chosen,
        "photos": len(photos),
        "authors": len(set(authors)),
        "posts": len(posts.photo),
        "ceiling": round(likes.ceiling(appeal, posts), 4),
    }
    folder.write_truth(options.folder, truth)
    if options.contact_sheet:
        folder.contact_sheet(options.folder, photos, options.contact_sheet)
    return truth
