"""`deepselfie model collect`, `deepselfie model faces` and `deepselfie model forget`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.collection.options import collect_parser, faces_parser, forget_parser

if TYPE_CHECKING:
    from tqdm import tqdm

    from model.collection.gathering import Gatherer
    from model.collection.held import Held
    from model.collection.network import Network
    from model.collection.visitor import Visitor

REFUSED = (
    "X's developer terms forbid to train models on its content, so nothing is collected there; "
    "use --network mastodon or bluesky, or --table FILE with posts that you may use"
)
BLUESKY = "https://bsky.social"
MOST_SHOWN = 5


def collect(arguments: Sequence[str]) -> int:
    """Gather public posts with a tag, or take over a table or a folder."""
    options = collect_parser().parse_args(arguments)
    return _told(lambda: _collect(options), as_json=options.json)


def forget(arguments: Sequence[str]) -> int:
    """Remove a post, or all of an author's."""
    options = forget_parser().parse_args(arguments)
    return _told(lambda: _forget(options.name, options.folders), as_json=options.json)


def faces(arguments: Sequence[str]) -> int:
    """Count and measure the faces in a dataset's photos."""
    options = faces_parser().parse_args(arguments)
    return _told(lambda: _faces(options), as_json=options.json)


def _told(work: Callable[[], dict[str, Any]], *, as_json: bool) -> int:
    """Do something, and say what came of it, or in one sentence why nothing did."""
    from model.collection.visitor import CollectionError
    from model.dataset.posts import DatasetError

    try:
        result = work()
    except (CollectionError, DatasetError) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"deepselfie: {where}{error.strerror or error}; what is written is whole", file=sys.stderr)
        return 1
    words = result.pop("words")
    print(json.dumps(result) if as_json else words)
    return 0


def _collect(options: argparse.Namespace) -> dict[str, Any]:
    from model.collection.held import Held
    from model.collection.sources import alone
    from model.collection.visitor import CollectionError

    if options.network == "x":
        raise CollectionError(REFUSED)
    if options.refresh and not options.network:
        raise CollectionError("--refresh reads the posts of a network again; add --network and --server")
    if options.server and not options.server.startswith(("http://", "https://")):
        raise CollectionError(f"--server {options.server} is no address; it begins with https://")
    if options.network and not options.contact:
        raise CollectionError("add --contact with your URL or e-mail address: servers want to know who calls")
    options.folder.mkdir(parents=True, exist_ok=True)
    with _bar() as bar, _visitor(options, bar) as visitor, alone(options.folder):
        held = Held(options.folder)
        try:
            if options.refresh:
                return _refresh(options, _network(options, visitor), held, bar)
            return _gather(options, visitor, held, bar)
        finally:
            # Also of an interrupted run, all that it has collected is in the table.
            if held.journal.held or held.journal.gone:
                held.publish()


def _gather(options: argparse.Namespace, visitor: Visitor, held: Held, bar: tqdm) -> dict[str, Any]:
    from model.collection.gathering import Gatherer, Order
    from model.collection.photos import Photos
    from model.collection.shelf import Shelf
    from model.collection.terms import agree

    path = options.table or options.shelf
    network: Network = Shelf(path) if path else _network(options, visitor)
    server = str(path or options.server)
    photos = Photos(visitor, network.hosts | set(options.media_host), secure=not server.startswith("http://"))
    terms = agree(network, server, options.agree, options.folder)
    order = Order(server, options.tag.lstrip("#"), options.limit, terms)
    fetch = network.photo(photos) if isinstance(network, Shelf) else photos
    gatherer = Gatherer(network, fetch, held, order, bar.update)
    gatherer.run()
    return _gathered(gatherer, photos.elsewhere, len(held.journal.held))


def _gathered(gatherer: Gatherer, elsewhere: set[str], held: int) -> dict[str, Any]:
    tally = gatherer.tally
    words = [f"{tally.collected} posts collected; the dataset holds {held}."]
    words += [f"{count} left alone: {why}." for why, count in tally.left_alone.most_common()]
    if elsewhere:
        words.append(
            f"Photos are on {', '.join(sorted(elsewhere))}, too: --media-host takes them from there."
        )
    if not tally.all_read:
        words.append("There is more: run this again to go on.")
    return {
        "collected": tally.collected,
        "held": held,
        "left_alone": dict(tally.left_alone),
        "all_read": tally.all_read,
        "words": "\n".join(words),
    }


def _refresh(options: argparse.Namespace, network: Network, held: Held, bar: tqdm) -> dict[str, Any]:
    from model.collection.refreshing import refresh
    from model.collection.terms import agree

    agree(network, options.server, options.agree, options.folder)
    renewal = refresh(network, options.server, held, bar.update)
    words = f"{renewal.read} posts read again; {renewal.gone} were gone, and are gone from the dataset."
    return {"read": renewal.read, "gone": renewal.gone, "held": len(held.journal.held), "words": words}


def _network(options: argparse.Namespace, visitor: Visitor) -> Network:
    from model.collection.bluesky import Bluesky, Login
    from model.collection.mastodon import Mastodon
    from model.collection.visitor import CollectionError

    if options.network == "bluesky":
        options.server = (options.server or BLUESKY).rstrip("/")
        login = None
        if options.handle:
            if not options.password_file:
                raise CollectionError("--handle needs --password-file, with an app password in it")
            login = Login(options.handle, _password(options.password_file))
        return Bluesky(visitor, options.server, login, sensitive=options.sensitive)
    if not options.server:
        raise CollectionError(
            "add --server with the address of a Mastodon server, such as https://example.social"
        )
    options.server = options.server.rstrip("/")
    return Mastodon(visitor, options.server, sensitive=options.sensitive)


def _password(file: Path) -> str:
    from model.collection.visitor import CollectionError

    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise CollectionError(f"--password-file {file} cannot be read: {why}") from None


@contextmanager
def _visitor(options: argparse.Namespace, bar: tqdm) -> Iterator[Visitor]:
    from model.collection.visitor import Manners, Visitor

    def wait(seconds: float, why: str) -> None:
        bar.set_postfix_str(f"{why}, waiting {seconds:.0f} s" if why else "")
        time.sleep(seconds)

    manners = Manners(options.contact or "", options.pause, options.megabytes)
    visitor = Visitor(manners, wait)
    try:
        yield visitor
    finally:
        visitor.close()


@contextmanager
def _bar() -> Iterator[tqdm]:
    from tqdm import tqdm

    with tqdm(unit=" posts", desc="collecting", disable=None) as bar:
        yield bar


def _forget(name: str, folders: Sequence[Path]) -> dict[str, Any]:
    from model.collection.removal import forget as remove
    from model.collection.sources import alone

    posts = photos = 0
    for folder in folders:
        with alone(folder):
            removal = remove(folder, name)
        posts, photos = posts + removal.posts, photos + removal.photos
    words = f"{posts} posts and {photos} photos removed; none of {name} will be collected again.\n"
    if posts:
        words += "Judges that were trained before have still learnt from them: train them anew."
    else:
        words += "Nothing goes by that name here; if there should be something, look at how it is written."
    return {"posts": posts, "photos": photos, "words": words}


def _faces(options: argparse.Namespace) -> dict[str, Any]:
    from tqdm import tqdm

    from model.dataset.faces import Search, find_faces
    from model.dataset.posts import DatasetError

    for name in ("batch", "threads"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise DatasetError(f"--{name} is {value}, it must be at least 1")
    search = Search(options.detector, options.batch, options.threads or Search().threads, options.again)
    with tqdm(unit=" photos", desc="looking for faces", disable=None) as bar:
        outcome = find_faces(options.folder, search, bar.reset, bar.update)
    showing = f"{outcome.with_faces:,} of {outcome.posts:,} posts show at least one face"
    words = [f"{outcome.looked_at:,} photos looked at; {showing}."]
    if outcome.unread:
        words.append(f"{len(outcome.unread)} photos could not be looked at, such as:")
        words += [f"  {photo}: {why}" for photo, why in list(outcome.unread.items())[:MOST_SHOWN]]
    return {
        "looked_at": outcome.looked_at,
        "posts": outcome.posts,
        "with_faces": outcome.with_faces,
        "unread": len(outcome.unread),
        "words": "\n".join(words),
    }
