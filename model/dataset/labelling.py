"""From posts to a labelled dataset: which photos can be read, which label a post has, and which split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from model.card import Label
from model.dataset import engines, likes, splits
from model.dataset.hashes import near
from model.dataset.labelled import Description, Written, write
from model.dataset.photos import Looks, look
from model.dataset.posts import DatasetError
from model.dataset.splits import Splitting


@dataclass(frozen=True)
class Source:
    """Posts, and where their labels come from."""

    posts: ibis.Table
    """With id, photo, author, and either what `likes` needs or the column label."""
    names: tuple[str, ...]
    """Of the labels, worst first."""
    made: Mapping[str, Any]
    """How, for `dataset.json`."""
    rules: likes.Rules | None = None
    """How likes become labels; None where the posts have labels."""


@dataclass(frozen=True)
class Outcome:
    """What a run of `label` found."""

    written: Written
    posts: int
    faults: Mapping[str, str] = field(default_factory=dict)
    """Photos that were left out, and why."""
    alike: int = 0
    """Pairs of photos that look alike."""


def label(source: Source, folder: Path, splitting: Splitting, engine: Any, threads: int) -> Outcome:
    """Write a labelled dataset.

    Args:
        source: The posts.
        folder: The dataset, to which photos are relative.
        splitting: How the posts are divided.
        engine: An Ibis backend, see `engines.py`.
        threads: How many photos are read at a time; with 0 none is, and only their names tell duplicates.

    Raises:
        DatasetError: Too few posts are left, or one label only.
    """
    posts = likes.competing(source.posts, source.rules) if source.rules else source.posts
    total = _count(source.posts, engine)
    looks = None
    if threads:
        _check_enough(_count(posts, engine), total, source.rules)
        names = engine.to_pyarrow(posts.select("photo").distinct())["photo"].to_pylist()
        looks = look(folder, names, threads)
        posts = _readable(posts, looks)
    _check_enough(_count(posts, engine), total, source.rules)
    alike = _alike(looks, splitting.distance) if looks else []
    links = _links(posts, alike, engine)
    labelled = (
        likes.labelled(posts, source.rules) if source.rules else posts.mutate(posts.id.name(likes.PLACE))
    )
    rows = splits.assigned(labelled, splitting, links).order_by(likes.PLACE).drop(likes.PLACE)
    description = Description(_labels(source.names), source.made, splitting)
    written = write(folder, engines.batches(rows, engine, folder), description, _digest(looks))
    return Outcome(written, total, looks.faults if looks else {}, len(alike))


def _count(posts: ibis.Table, engine: Any) -> int:
    return int(engine.to_pyarrow(posts.count()).as_py())


def _labels(names: Sequence[str]) -> tuple[Label, ...]:
    values = np.linspace(0, 1, len(names)).tolist()
    return tuple(Label(name=name, value=value) for name, value in zip(names, values, strict=True))


def _readable(posts: ibis.Table, looks: Looks) -> ibis.Table:
    if not looks.faults:
        return posts
    if not looks.photos:
        photo, why = next(iter(looks.faults.items()))
        raise DatasetError(
            f"none of {len(looks.faults):,} photos can be read; the first, {photo}: {why}; "
            "--photos DIR says where they are, --skip-photos labels posts without them"
        )
    return posts.anti_join(_table("photo", looks.faults), "photo")


def _check_enough(competing: int, total: int, rules: likes.Rules | None) -> None:
    if rules and competing < rules.group:
        fewest, most = rules.followers
        raise DatasetError(
            f"{competing:,} of {total:,} posts can be labelled, a group needs {rules.group}: they must be "
            f"older than {rules.older_than} days, by people with {fewest:,} to {most:,} followers, "
            f"{rules.max_tags} tags at most, {rules.faces} faces at least and a readable photo; widen that"
        )


def _alike(looks: Looks, distance: int) -> list[tuple[str, str]]:
    return [(looks.photos[one], looks.photos[other]) for one, other in near(looks.hashes, distance).tolist()]


def _links(posts: ibis.Table, alike: Sequence[tuple[str, str]], engine: Any) -> dict[str, str]:
    """Which authors have to be in one split, because of a photo that both posted, or two that look alike."""
    pairs = posts.select("author", "photo")
    suspects = [_table("photo", {photo for pair in alike for photo in pair})] if alike else []
    if engine.to_pyarrow(posts.photo.nunique()).as_py() < _count(posts, engine):
        by_photo = pairs.group_by("photo").aggregate(first=pairs.author.min(), last=pairs.author.max())
        suspects.append(by_photo.filter(by_photo["first"] != by_photo["last"]).select("photo"))
    if not suspects:
        return {}
    held = pairs.semi_join(ibis.union(*suspects) if len(suspects) > 1 else suspects[0], "photo").distinct()
    table = engine.to_pyarrow(held)
    return splits.linked(table["author"].to_pylist(), table["photo"].to_pylist(), alike)


def _table(name: str, texts: Iterable[str]) -> ibis.Table:
    return ibis.memtable(pa.table({name: pa.array(sorted(texts), pa.string())}))


def _digest(looks: Looks | None) -> str:
    if not looks:
        return ""
    digest = hashlib.sha256("\n".join(looks.photos).encode())
    digest.update(looks.hashes.astype("<u8").tobytes())
    digest.update(looks.checksums.astype("<u4").tobytes())
    return digest.hexdigest()
