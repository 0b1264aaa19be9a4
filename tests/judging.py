"""Datasets of grey photos whose chance of being good is known, and an exact judge of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.dataset.examples import Examples
from tests.datasets import write_labelled
from tests.photos import encoded


def grey_dataset(folder: Path, photos: int = 60, posts: int = 4, **columns: Any) -> Examples:
    """Photos from black to white, each in some posts; a post is good as often as its photo is bright."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True)
    levels = rng.permutation(np.linspace(0, 255, photos).round().astype(int))
    for number, level in enumerate(levels.tolist()):
        (folder / f"photos/{number:03}.png").write_bytes(
            encoded(Image.new("RGB", (40, 30), (level,) * 3), "PNG")
        )
    photo = np.repeat(np.arange(photos), posts)
    split = np.where(photo % 3 == 0, "train", np.where(photo % 3 == 1, "validation", "test"))
    table = {
        "id": [str(post) for post in range(len(photo))],
        "photo": [f"photos/{number:03}.png" for number in photo],
        "author": [f"author {number // 2}" for number in photo],
        "label": (rng.random(len(photo)) < levels[photo] / 255).astype(int),
        "split": split.tolist(),
    }
    return Examples.load(write_labelled(folder, table | columns))
