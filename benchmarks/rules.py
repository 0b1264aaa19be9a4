"""Whether a judge obeys the rules of the article on real portraits that it has never seen.

Each portrait is changed as a rule says, in several ways, and judged before and after: what is darker, noisy,
blurred, too close, tiny or a group should score lower; what has a faded filter, a border or a face of about
a third of the frame should not. A rule is reported by the weakest of its ways. Photos in which no face is
found are left out.

    python -m benchmarks.rules DIR [--model FILE] [--json]

Where DIR has a sub-folder for each group of people, the mean scores of the groups are compared, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmarks.rules_edits import COLLAGES, EDITS, Face, Portrait, collage
from model.dataset.faces_detectors import BlazeFace
from model.dataset.faces_frame import framed
from model.judge import DEFAULT_FILE, Judge, JudgeRefused
from model.pixels import PhotoRejected
from model.square import squeezed

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LARGEST = 640  # pixels of a side; larger photos show nothing more at a judge's 224
BATCH = 16
FEWEST = 8  # portraits, below which a share says nothing

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Rule:
    """What should happen to the score, and the ways of changing a photo in which it is tried."""

    lower: bool
    ways: tuple[str, ...]


RULES = {
    "darker": Rule(True, ("dark, 1.5 EV", "dark, 3 EV", "dark, levels halved", "dark and noisy")),
    "noisy": Rule(True, ("noise, 15 levels", "noise, 30 levels", "noise, coarse")),
    "blurred": Rule(True, ("blur, 1.5 px", "blur, 3 px", "blur, few pixels")),
    "head too large": Rule(True, ("face fills 0.9", "face fills 1.2")),
    "face tiny": Rule(True, ("tiny, before its own blur", "tiny, edges drawn out", "tiny, on plain colour")),
    "group": Rule(True, tuple(COLLAGES)),
    "faded filter": Rule(False, ("faded", "faded, warm")),
    "black and white": Rule(False, ("black and white",)),
    "border": Rule(
        False, ("white above and below", "white all around", "white, painted over", "black border")
    ),
    "face about 1/3": Rule(False, ("third, before its own blur", "third, edges drawn out")),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="real portraits; a sub-folder for each group"
    )
    parser.add_argument("--model", type=Path, default=DEFAULT_FILE, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object: rules, std, group_gap, …")
    options = parser.parse_args()
    try:
        judge = Judge(options.model)
    except JudgeRefused as error:
        sys.exit(f"deepselfie: {error}")
    files = photo_files(options.folder)
    portraits = list(read(files))
    if len(portraits) < FEWEST:
        sys.exit(
            f"deepselfie: {options.folder}: a face was found in {len(portraits)} of {len(files)} photos; "
            f"name a folder with at least {FEWEST} portraits"
        )
    found = measure(judge, portraits) | {
        "photos": len(portraits),
        "without_face": len(files) - len(portraits),
    }
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


def photo_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


def read(files: Iterable[Path]) -> Iterable[Portrait]:
    """The photos in which a face is found, upright, the group being the name of the sub-folder."""
    detector = BlazeFace(threads=1)
    for file in files:
        try:
            face = find_face(file.read_bytes(), detector)
            with Image.open(file) as image:
                photo = ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, UnidentifiedImageError, PhotoRejected):
            continue
        photo.thumbnail((LARGEST, LARGEST))
        if face:
            yield Portrait(photo, face.scaled(photo.width, photo.height), file.parent.name)


def find_face(photo: bytes, detector: BlazeFace) -> Face | None:
    """The surest face of an encoded photo; in shares of its width and height, not in pixels."""
    frame = framed(photo, detector.side)
    boxes = detector([frame])[0]
    if not len(boxes):
        return None
    margins = np.array([(detector.side - frame.width) // 2, (detector.side - frame.height) // 2])
    corners = (boxes[0].reshape(2, 2) - margins) / (frame.width, frame.height)
    return Face.of_box(*map(float, corners.ravel()))


def measure(judge: Judge, portraits: Sequence[Portrait]) -> dict[str, Any]:
    """Everything that `--json` prints."""
    before = score(judge, [portrait.photo for portrait in portraits])
    changes = {
        way: score(judge, [edit(portrait, rng_of(number)) for number, portrait in enumerate(portraits)])
        - before
        for way, edit in EDITS.items()
    }
    for way, (members, layout) in COLLAGES.items():
        circles = [circle(len(portraits), first, members) for first in range(len(portraits))]
        pictures = [collage([portraits[member].photo for member in group], layout) for group in circles]
        changes[way] = score(judge, pictures) - np.array([before[group].mean() for group in circles])
    return {
        "rules": {name: verdict(rule, changes) for name, rule in RULES.items()},
        "mean": round(float(before.mean()), 4),
        "std": round(float(before.std()), 4),
        **compare_groups(before, portraits),
    }


def circle(everybody: int, first: int, members: int) -> list[int]:
    """Portraits that are far apart in the list, so that groups of people mix."""
    return [(first + step * 7) % everybody for step in range(members)]


def rng_of(number: int) -> np.random.Generator:
    return np.random.default_rng((2015, number))


def score(judge: Judge, photos: Sequence[Image.Image]) -> Scores:
    side = judge.card.input_size
    squares = np.stack([np.asarray(squeezed(photo, side, photo.size)) for photo in photos])
    batches = [judge(squares[start : start + BATCH]).scores for start in range(0, len(squares), BATCH)]
    scores: Scores = np.concatenate(batches)
    return scores


def verdict(rule: Rule, changes: dict[str, Scores]) -> dict[str, Any]:
    """The rule's weakest way stands for it: the one that fewest photos obey."""
    ways = {
        way: {
            "share": round(float((changes[way] < 0).mean() if rule.lower else (changes[way] >= 0).mean()), 4),
            "mean_change": round(float(changes[way].mean()), 4),
        }
        for way in rule.ways
    }
    weakest = min(ways.values(), key=lambda way: way["share"])
    return {**weakest, "should": "fall" if rule.lower else "not fall", "ways": ways}


def compare_groups(scores: Scores, portraits: Sequence[Portrait]) -> dict[str, Any]:
    groups: dict[str, list[float]] = defaultdict(list)
    for portrait, points in zip(portraits, scores, strict=True):
        groups[portrait.group].append(float(points))
    if len(groups) < 2:
        return {}
    means = {name: round(float(np.mean(members)), 4) for name, members in groups.items()}
    return {"groups": means, "group_gap": round(max(means.values()) - min(means.values()), 4)}


def show(found: dict[str, Any]) -> None:
    print(f"{found['photos']} portraits, {found['without_face']} more without a face that is found\n")
    for name, rule in found["rules"].items():
        print(f"  {name:28} {rule['share']:5.2f} {rule['mean_change']:+6.3f}  should {rule['should']}")
        for way, measured in rule["ways"].items():
            print(f"    {way:26} {measured['share']:5.2f} {measured['mean_change']:+6.3f}")
    print(f"\n  scores: mean {found['mean']:.3f}, standard deviation {found['std']:.3f}")
    if "groups" in found:
        print(f"  groups: {found['groups']}, gap {found['group_gap']:.3f}")


if __name__ == "__main__":
    sys.exit(main())
