"""`deepselfie model use`: the judge that the workers take from the judges' folder."""

from __future__ import annotations

import argparse
import errno
import filecmp
import os
import pwd
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from bot.judges import reports
from bot.queues import RedisUnavailable, connect
from bot.settings import SettingsError, load
from model.card import Card
from model.folder import SHADOW, SUFFIX, Entry, NotChosen, copy, touch
from model.judge import DEFAULT_FILE, JudgeRefused
from model.survey import shelf, survey
from model.verification import verify_apart
from worker.settings import WorkerSettings

COMES_ALONG = "default"
WAIT_SECONDS = 90
# What a worker says of a file of that name is about an older one for no longer than that.
REFUSED_SECONDS = 10


def use(arguments: Sequence[str]) -> int:
    """Choose a judge."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model use",
        description="Let the workers judge with this file from now on. It is tried first, as the workers "
        "will; a bad one is refused, and nothing changes. Rolling back is to use the one before. Its date "
        "becomes the latest in the folder: now or, if another one's is in the future, a second after that.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a judge's .onnx file, which is copied; the name of one in the folder; or `default`, the judge "
        "that comes along",
    )
    parser.add_argument("--previous", action="store_true", help="the one that was in use before")
    parser.add_argument(
        "--shadow", action="store_true", help="only compare it with the one in use, in metrics"
    )
    parser.add_argument("--as", dest="name", metavar="NAME", help="what the copy is called (the file's name)")
    add_folder(parser)
    parser.add_argument(
        "--wait", action="store_true", help="until all workers have it; exit status 1 if they don't"
    )
    options = parser.parse_args(arguments)
    if bool(options.file) == options.previous:
        parser.error("name a FILE, or say --previous")
    return told(lambda: _use(options))


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which folder."""
    parser.add_argument("--folder", type=Path, metavar="DIR", help="the judges' folder (WORKER_MODELS)")


def _use(options: argparse.Namespace) -> int:
    settings = load(WorkerSettings, os.environ)
    folder = judges_folder(options, settings)
    place = folder / SHADOW if options.shadow else folder
    if options.shadow:
        place.mkdir(exist_ok=True)
    file = _previous(place) if options.previous else _resolve(options.file, place)
    card = verify_apart(file)
    if options.shadow:
        _check_side(file, card, folder, settings)
    name = options.name or (f"{card.name}-{card.version}{SUFFIX}" if file == DEFAULT_FILE else file.name)
    entry = _choose(file, place, name)
    role = "compared with the one in use" if options.shadow else "in use"
    print(f"{card.name} {card.version} ({entry.file}): {role} from now on")
    return _wait(entry, settings, shadow=options.shadow) if options.wait else 0


def judges_folder(options: argparse.Namespace, settings: WorkerSettings) -> Path:
    """The folder that is meant.

    Raises:
        NotChosen: There is none.
    """
    folder: Path | None = options.folder or settings.models
    if folder is None:
        raise NotChosen(
            "there is no judges' folder; set WORKER_MODELS, for the workers too, or give --folder"
        )
    if not folder.is_dir():
        raise NotChosen(f"{folder}: no such folder; make it, or correct WORKER_MODELS or --folder")
    return folder


def _resolve(name: str, folder: Path) -> Path:
    """The file that is meant: by a path, or by its name in the folder."""
    if name == COMES_ALONG:
        return DEFAULT_FILE
    here, there = Path(name), folder / Path(name).name
    if here.name == name and not here.is_file():
        there = next((file for file in (there, folder / f"{name}{SUFFIX}") if file.is_file()), there)
        if there.is_file():
            return there
        raise NotChosen(f"{name}: no such file, here or in {folder}; `deepselfie model list` lists them")
    if here.name == name and there.is_file() and not filecmp.cmp(here, there, shallow=False):
        raise NotChosen(f"{name} is one file here and another in {folder}; say ./{name} or {there}")
    return here


def _previous(folder: Path) -> Path:
    good = list(islice((found for found in shelf(folder) if found.card), 2))
    if len(good) < 2:
        raise NotChosen(
            f"{folder} has no judge besides the one in use; `deepselfie model use {COMES_ALONG}` adds one"
        )
    return good[1].file


def _check_side(file: Path, card: Card, folder: Path, settings: WorkerSettings) -> None:
    used = next((found.card for found in survey(folder, settings.model) if found.card), None)
    if used and used.input_size != card.input_size:
        raise NotChosen(
            f"{file}: it sees squares of {card.input_size} pixels, {used.name} {used.version}, which is in "
            f"use, those of {used.input_size}; take a shadow judge of the same size"
        )


def _choose(file: Path, folder: Path, name: str) -> Entry:
    target = folder / name
    if target.is_file():
        if target.samefile(file) or filecmp.cmp(file, target, shallow=False):
            return touch(target)
        raise NotChosen(f"{target} is another judge, and would be lost; give this one a name: --as NAME")
    return copy(file, folder, name)


def _wait(entry: Entry, settings: WorkerSettings, *, shadow: bool) -> int:
    began = time.monotonic()
    name = f"{SHADOW}/{entry.file.name}" if shadow else entry.file.name
    with connect(settings.redis_address) as redis:
        while True:
            found = reports(redis)
            seats = {worker: report.shadow if shadow else report for worker, report in found.items()}
            without = [worker for worker, seat in seats.items() if not seat or seat.put != entry.put]
            if not without:
                print(_judging(len(found)))
                return 0
            reasons = {found[worker].refused.get(name, "") for worker in without}
            waited = time.monotonic() - began
            if waited > WAIT_SECONDS or ("" not in reasons and waited > REFUSED_SECONDS):
                break
            time.sleep(0.2)
    reasons -= {""}
    raise NotChosen(
        f"{len(without)} of {len(found)} workers do not have it after {waited:.0f} s: "
        f"{'; '.join(sorted(reasons)) or 'is WORKER_MODELS the same folder for them?'} ({', '.join(without)})"
    )


def _judging(workers: int) -> str:
    if not workers:
        return "no worker runs; those that start will judge with it"
    return f"{workers} workers judge with it" if workers > 1 else "1 worker judges with it"


def told(run: Callable[[], int]) -> int:
    """Run a command, and tell what went wrong in one sentence."""
    try:
        return run()
    except (JudgeRefused, NotChosen, RedisUnavailable, SettingsError) as error:
        words = str(error)
    except OSError as error:
        words = _what_to_do(error)
    print(f"deepselfie: {words}", file=sys.stderr)
    return 1


def _what_to_do(error: OSError) -> str:
    # Of a copy, the second name is the one that could not be made.
    place = Path(error.filename2 or error.filename or ".")
    if error.errno == errno.EROFS:
        return f"{place} is mounted read-only; run this where it may be written to"
    if error.errno in {errno.EACCES, errno.EPERM}:
        while not place.exists() and place != place.parent:
            place = place.parent
        owner, me = _name(place.stat().st_uid), _name(os.geteuid())
        return (
            f"{place} belongs to {owner}, and this is run by {me} ({error.strerror}): "
            f"do it as {owner}; `cp` into the folder, or `touch`, does the same from outside a container"
        )
    return f"{place}: {error.strerror}; nothing was changed"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"
