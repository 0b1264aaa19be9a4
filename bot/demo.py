"""A whole bot on one machine: Redis, the sandbox network, listener, worker and responder, each a process."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import mastodon

from bot import queues
from bot.ledger import Ledger
from bot.processes import Event, Processes
from bot.sandbox.person import Person
from bot.settings import Settings, SettingsError, load, read
from bot.valkey import start_valkey

READY_SECONDS = 60
PROMISE_SECONDS = 60

# Which sub-command each process runs, and what it logs once it is ready.
BOT = {"worker": ("work", "ready"), "responder": ("respond", "ready"), "listener": ("listen", "stream open")}

# On a sandbox network everybody is new, and those who try a bot, test it or measure it post a lot.
UNLIMITED = dict.fromkeys(
    (
        "BOT_USER_PER_MINUTE",
        "BOT_USER_PER_DAY",
        "BOT_NEWCOMER_PER_MINUTE",
        "BOT_NEWCOMER_PER_DAY",
        "BOT_PER_HOUR",
        "BOT_PER_THREAD",
    ),
    "1000000",
)

# All is on this machine; a proxy would at best not find it, and at worst see the bot's token.
NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

SHOWN_APART = {"time", "level", "event"}


class DemoFailed(Exception):
    """The demo cannot go on; the message says why in one sentence."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    port: int
    """The page's port; 0 for any that is free."""
    data: Path | None
    """Where everything is kept; None for a directory that goes when the demo ends."""
    photo: Path | None
    once: bool
    json: bool


@dataclass(frozen=True)
class Answer:
    """What came back for one posted photo."""

    score: float | None
    """0-1; None if the photo could not be judged."""
    label: str | None
    reply: str
    seconds: float
    """From the post to the reply being visible in the network."""
    reply_url: str


@dataclass(frozen=True)
class Bot:
    """A running bot on its sandbox network."""

    url: str
    redis_url: str
    processes: Processes

    def answer(self, photo: Path) -> Answer:
        """Post a photo as a person would, and wait for the reply.

        Raises:
            DemoFailed: The network did not take the photo, or no reply came within a minute.
            ProcessDied: A part of the bot ended.
        """
        person = Person(self.url, f"guest{secrets.token_hex(4)}")
        try:
            media = person.upload(photo)
            started = time.monotonic()
            post = person.post("@deepselfie what do you think?", [media])
            reply = person.wait_for_reply(post, PROMISE_SECONDS)
        except (mastodon.MastodonError, OSError) as error:
            words = " ".join(str(part) for part in error.args)
            raise DemoFailed(f"{photo} could not be posted: {words}") from None
        seconds = round(time.monotonic() - started, 3)
        self.processes.check()
        if reply is None:
            raise DemoFailed(
                f"no reply within {PROMISE_SECONDS} s; `deepselfie demo` without --once shows why"
            )
        record = Ledger(queues.connect(self.redis_url)).read(f"mastodon:{post}")
        score, label = (record.score, record.label) if record else (None, None)
        return Answer(score, label, reply.text.removeprefix(f"@{person.name} "), seconds, reply.url)


def run(options: Options) -> None:
    """Run the demo until SIGINT or SIGTERM, or until one photo is answered.

    Raises:
        DemoFailed, ProcessDied: It cannot go on.
    """
    if options.photo and not options.photo.is_file():
        raise DemoFailed(f"{options.photo}: {'no file' if options.photo.exists() else 'no such file'}")
    show = _show_nothing if options.once else _show_json if options.json else _show_line
    ready = threading.Event()

    def when_ready(name: str, event: Event) -> None:
        if ready.is_set():
            show(name, event)

    with _directory(options.data) as directory, started(directory, options.port, when_ready) as bot:
        ready.set()
        if not (options.once or options.json):
            _say(f"\n  Open {bot.url} and post a photo. Ctrl-C stops everything.\n")
        if options.photo:
            answer = bot.answer(options.photo)
            if options.once:
                _say(json.dumps(asdict(answer)) if options.json else answer.reply)
                return
        while True:
            bot.processes.check()
            time.sleep(0.5)


@contextmanager
def started(directory: Path, port: int, on_event: Callable[[str, Event], None]) -> Iterator[Bot]:
    """Start all processes, and stop them at the end, however it comes."""
    processes = Processes(on_event)
    try:
        token = secrets.token_urlsafe()
        environment = {**UNLIMITED, **os.environ, **NO_PROXY, "LOG_FORMAT": "json", "SANDBOX_TOKEN": token}
        # First, because it refuses a directory or a port that another one uses, before anything is touched.
        url = start_sandbox(processes, directory, port, environment)
        redis_url = read("REDIS_URL", os.environ) or start_valkey(processes, directory)
        environment["REDIS_URL"] = redis_url
        # The photos lie on this machine, which the worker would otherwise rightly refuse to look at.
        environment |= {"MASTODON_URL": url, "MASTODON_TOKEN": token, "WORKER_PRIVATE_ADDRESSES": "allow"}
        first_port = load(Settings, os.environ).metrics_port
        for place, (name, (command, _)) in enumerate(BOT.items()):
            if first_port:
                environment["METRICS_PORT"] = str(first_port + place)
            processes.deepselfie(
                name, [command], without_tokens(environment) if name == "worker" else environment
            )
        for name, (_, ready) in BOT.items():
            processes.wait_for(name, ready, READY_SECONDS)
        yield Bot(url, redis_url, processes)
    except (TimeoutError, SettingsError) as error:
        raise DemoFailed(str(error)) from None
    finally:
        processes.stop()


def without_tokens(environment: dict[str, str]) -> dict[str, str]:
    """What the worker gets: it opens strangers' links and photos, and has no business with the network."""
    return {
        name: value for name, value in environment.items() if not name.endswith(("_TOKEN", "_TOKEN_FILE"))
    }


def start_sandbox(processes: Processes, directory: Path, port: int, environment: dict[str, str]) -> str:
    """Start the sandbox network, with SANDBOX_TOKEN from the environment, and return its address.

    Raises:
        ProcessDied: It did not start.
    """
    data = str(directory / "sandbox")
    processes.deepselfie("sandbox", ["sandbox", "--port", str(port), "--data", data], environment)
    return str(processes.wait_for("sandbox", "listening", READY_SECONDS)["url"])


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given:
        try:
            given.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DemoFailed(f"--data {given} cannot be used: {error.strerror}") from None
        if not os.access(given, os.W_OK):
            raise DemoFailed(f"--data {given} cannot be written to; choose another directory")
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="deepselfie-") as directory:
        yield Path(directory)


def _show_line(name: str, event: Event) -> None:
    """A line a mention, and whatever went wrong."""
    clock = time.strftime("%H:%M:%S")
    if event["event"] == "answered":
        score = f"{event['score'] * 100:3.0f}/100" if event["score"] is not None else "no score"
        _say(f"  {clock}  {event['key']}  {score}  {event['seconds']:.2f} s")
    elif event["level"] != "info":
        details = " ".join(f"{field}={value}" for field, value in event.items() if field not in SHOWN_APART)
        _say(f"  {clock}  {name}: {event['event']} {details}")


def _show_json(_: str, event: Event) -> None:
    if event["event"] == "answered":
        _say(json.dumps({name: event.get(name) for name in ("key", "score", "seconds")}))


def _show_nothing(_: str, event: Event) -> None:
    """With --once, the answer is all there is to show."""


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
