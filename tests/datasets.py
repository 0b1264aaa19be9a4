"""Labelled datasets, small enough for tests: what `deepselfie model label` would have written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def bright_or_dark(
    folder: Path, photos: int = 48, *, fingerprint: str = "f1", posts: int = 2, only: int | None = None
) -> Path:
    """Write a dataset whose bright photos are good, in 9 of 10 posts; every third photo is for validation."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True)
    rows = []
    for number in range(photos):
        good = number % 2
        pixels = rng.normal(80 + 90 * good, 30, (48, 40, 3)).clip(0, 255).astype(np.uint8)
        name = f"photos/{number:03}.png"
        Image.fromarray(pixels).save(folder / name)
        split = "validation" if number % 3 == 2 else "train"
        rows += [
            {
                "id": str(1000 + number * posts + post),
                "photo": name,
                "label": int(good != (rng.random() < 0.1)) if only is None else only,
                "split": split,
                "pair": -1,
            }
            for post in range(posts)
        ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "labelled.parquet")
    labels = [{"name": "bad", "value": 0}, {"name": "good", "value": 1}]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "fingerprint": fingerprint}))
    return folder
