"""A drawn network's table of posts, the truth about it, and a picture to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from model.dataset.posts import PARQUET, write
from model.files import replacing
from model.simulation.likes import FIRST_DAY, Posts
from model.simulation.network import Photo

TRUTH = "simulation.json"
_TILE, _ACROSS, _STRIP = 112, 12, 14


class OtherSimulation(Exception):
    """The folder holds something else, said in one sentence."""


def claim(folder: Path, options: dict[str, Any]) -> None:
    """Make a folder this simulation's own, so that an interrupted one can go on and no other gets mixed in.

    Raises:
        OtherSimulation: The folder holds posts of another origin, or a simulation with other options.
    """
    file = folder / TRUTH
    if file.is_file():
        try:
            found = json.loads(file.read_text())["options"]
        except (ValueError, LookupError, TypeError):
            raise OtherSimulation(f"{file} makes no sense; remove it, or name another folder") from None
        if found != options:
            raise OtherSimulation(
                f"{folder} holds a simulation with {found}, not {options}; name another folder"
            )
    elif (folder / PARQUET).exists():
        raise OtherSimulation(f"{folder} holds posts that were not drawn; name another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_truth(folder, {"options": options})


def write_truth(folder: Path, truth: dict[str, Any]) -> None:
    """Write simulation.json, whole or not at all."""
    with replacing(folder / TRUTH) as draft:
        draft.write_text(json.dumps(truth, indent=1))


def write_posts(folder: Path, network: Sequence[Photo], posts: Posts) -> None:
    """Write posts.parquet, whole or not at all, with all that evaluation may want to slice by."""
    columns = _photo_columns(network)
    table = {
        "id": [str(number) for number in range(len(posts.photo))],
        **{name: values[posts.photo] for name, values in columns.items()},
        "followers": posts.followers,
        "likes": posts.likes,
        "tags": posts.tags,
        "posted_at": pa.array(
            [FIRST_DAY + timedelta(seconds=int(second)) for second in posts.seconds],
            pa.timestamp("us", "UTC"),
        ),
    }
    write(pa.table(table), folder)


def _photo_columns(network: Sequence[Photo]) -> dict[str, np.ndarray]:
    rows = [
        {
            "photo": photo.lot.name,
            "author": f"drawn-{photo.lot.author}",
            "appeal": photo.appeal,
            "tone": photo.lot.tone,
            "hair": "long" if photo.person.long_hair else "short",
            "subject": photo.shot.subject,
            "filter": photo.shot.filter or "none",
            "border": photo.shot.border or "none",
            "edit": photo.shot.edit or "none",
            "pair": photo.lot.pair,
            "take": photo.lot.take,
        }
        for photo in network
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def contact_sheet(folder: Path, network: Sequence[Photo], file: Path) -> None:
    """Lay out a network's first photos, each with its appeal, as one PNG."""
    tiles = []
    for photo in network[: _ACROSS * _ACROSS]:
        tile = cv2.resize(
            cv2.imread(str(folder / photo.lot.name)), (_TILE, _TILE), interpolation=cv2.INTER_AREA
        )
        text = f"{photo.appeal:+.1f} {photo.shot.edit}"
        # On a dark strip, for the photos are of any colour.
        tile[-_STRIP:] //= 4
        cv2.putText(tile, text, (2, _TILE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (255,) * 3, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _ACROSS)
    rows = [np.hstack(tiles[start : start + _ACROSS]) for start in range(0, len(tiles), _ACROSS)]
    with replacing(file) as draft:
        draft.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())
