"""Datasets small enough to understand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from model.dataset import posts
from tests.photos import encoded

NEWEST = datetime(2024, 7, 1, tzinfo=UTC)


def columns(count: int, **changed: Any) -> dict[str, Any]:
    """A table of posts by as many authors, as columns; all are old enough but the last, the newest."""
    numbers = np.arange(count)
    return {
        "id": [f"{number:06}" for number in numbers],
        "photo": [f"photos/{number:06}.png" for number in numbers],
        "author": [f"author {number}" for number in numbers],
        "followers": 1000 + numbers,
        "likes": (numbers * 7919) % 1009,
        "tags": numbers % 10,
        "posted_at": [NEWEST - timedelta(days=40 + int(number) % 300) for number in numbers[:-1]] + [NEWEST],
    } | changed


def write_posts(folder: Path, count: int, **changed: Any) -> Path:
    posts.write(pa.table(columns(count, **changed)), folder)
    return folder


def pattern(seed: int, side: int = 48) -> Image.Image:
    """A photo that looks like no other: a few waves, by lot."""
    lot = np.random.default_rng(seed)
    small = Image.fromarray(lot.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


def write_photos(folder: Path, count: int) -> None:
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"photos/{number:06}.png").write_bytes(encoded(pattern(number), "PNG"))


def write_labelled(folder: Path, table: dict[str, Any], labels: tuple[str, ...] = ("bad", "good")) -> Path:
    """A labelled dataset by hand."""
    pq.write_table(pa.table(table), folder / "labelled.parquet")
    values = np.linspace(0, 1, len(labels))
    named = [{"name": name, "value": float(value)} for name, value in zip(labels, values, strict=True)]
    (folder / "dataset.json").write_text(json.dumps({"labels": named, "fingerprint": "f" * 64}))
    return folder


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
                "take": f"{number // 4}-{good}",
            }
            for post in range(posts)
        ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "labelled.parquet")
    labels = [{"name": "bad", "value": 0}, {"name": "good", "value": 1}]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "fingerprint": fingerprint}))
    return folder
