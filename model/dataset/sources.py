"""Where `deepselfie model label` gets posts and labels from, as its options say."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import ibis

from model.dataset import folders, likes, posts, sheet, votes
from model.dataset.labelling import Source
from model.dataset.posts import DatasetError

TWO, THREE = ("bad", "good"), ("bad", "middling", "good")


def opened(options: Namespace, engine: Any) -> Source:
    """Open what the options name.

    Raises:
        DatasetError: It cannot be read, or is not what it should be.
    """
    if options.ava:
        return _votes(options)
    if options.folders:
        table, names = folders.read(options.photos or options.folder, options.labels)
        return Source(_placed(ibis.memtable(table), options), names, {"by": "folders"})
    if options.csv:
        table, names = sheet.read(options.csv, options.labels)
        return Source(_placed(ibis.memtable(table), options), names, {"by": "hand", "file": options.csv.name})
    return _likes(options, engine)


def _votes(options: Namespace) -> Source:
    table = ibis.memtable(votes.read(options.ava, drop=options.drop, three=options.three))
    if not options.photos and (options.folder / "photos").is_dir():
        options.photos = options.folder / "photos"
    made = {"by": "votes", "file": options.ava.name, "drop": options.drop, "three": options.three}
    return Source(_placed(table, options), THREE if options.three else TWO, made)


def _likes(options: Namespace, engine: Any) -> Source:
    table = posts.read(options.posts or posts.find(options.folder), engine)
    known = "faces" in table.columns
    if options.min_faces and not known:
        raise DatasetError("the posts have no column faces; `deepselfie model faces` counts them")
    rules = likes.Rules(
        as_of=likes.newest(table, engine) if options.as_of is None else options.as_of,
        older_than=options.older_than,
        followers=options.followers,
        max_tags=options.max_tags,
        faces=int(known) if options.min_faces is None else options.min_faces,
        bonus=options.bonus,
        group=options.group,
        good=options.good,
        bad=options.bad,
    )
    return Source(_placed(table, options), TWO, {"by": "likes"} | rules.model_dump(), rules)


def _placed(table: ibis.Table, options: Namespace) -> ibis.Table:
    """Make photos relative to the dataset's folder, if they are elsewhere."""
    if not options.photos or options.photos.resolve() == options.folder.resolve():
        return table
    if not options.photos.is_dir():
        raise DatasetError(f"{options.photos} is no folder of photos")
    way = Path(os.path.relpath(options.photos.resolve(), options.folder.resolve()))
    name = table.photo
    settled = name.startswith("/") | name.contains("://")
    return table.mutate(photo=settled.ifelse(name, ibis.literal(f"{way}/") + name))
