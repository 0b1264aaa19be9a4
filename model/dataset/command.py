"""`deepselfie model label`."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from model.dataset.options import label_parser

if TYPE_CHECKING:
    from model.dataset.labelling import Outcome

NAMED = 3
"""So many photos that cannot be read are named."""
SPARKS = ("pyspark", "py4j")


def label(arguments: Sequence[str]) -> int:
    """Label a dataset's posts."""
    options = label_parser().parse_args(arguments)
    import duckdb
    from pydantic import ValidationError

    from model.dataset.posts import DatasetError

    begin = time.monotonic()
    try:
        names, outcome = _label(options)
    except ValidationError as error:
        fault = error.errors()[0]
        where = "--" + "".join(str(part).replace("_", "-") + " " for part in fault["loc"][:1])
        return _refuse(f"{where if fault['loc'] else ''}{fault['msg'].removeprefix('Value error, ')}")
    except DatasetError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(
            f"{error.filename or options.folder} cannot be written or read: {error.strerror or error}"
        )
    except duckdb.Error as error:
        return _refuse(f"DuckDB gave up: {_first_line(error)}")
    except Exception as error:
        # Spark's errors share no base class but this one, and who stays with DuckDB has no Spark to import.
        if type(error).__module__.partition(".")[0] not in SPARKS:
            raise
        return _refuse(f"Spark gave up: {_first_line(error)}")
    if outcome.faults:
        print(_left_out(outcome.faults), file=sys.stderr)
    found = _summary(names, outcome) | {"seconds": round(time.monotonic() - begin, 2)}
    print(json.dumps(found) if options.json else _words(found))
    return 0


def _label(options: Namespace) -> tuple[tuple[str, ...], Outcome]:
    from model.dataset import engines, labelling, sources
    from model.dataset.splits import Splitting

    splitting = Splitting(shares=options.shares, seed=options.seed, distance=options.distance)
    duckdb = options.engine == "duckdb"
    spill = options.folder if options.folder.is_dir() else None
    engine = (
        engines.duckdb(spill, memory=options.memory, threads=options.threads) if duckdb else engines.spark()
    )
    try:
        source = sources.opened(options, engine)
        threads = 0 if options.skip_photos else options.threads
        return source.names, labelling.label(source, options.folder, splitting, engine, threads)
    finally:
        engine.disconnect()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _refuse(why: str) -> int:
    print(f"deepselfie: {why}", file=sys.stderr)
    return 1


def _left_out(faults: Any) -> str:
    named = "; ".join(f"{photo}: {why}" for photo, why in islice(faults.items(), NAMED))
    rest = f"; and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
    return f"deepselfie: {len(faults):,} photos cannot be read and are left out: {named}{rest}"


def _summary(names: Sequence[str], outcome: Outcome) -> dict[str, Any]:
    from model.dataset.examples import SPLITS

    counts = outcome.written.counts
    return {
        "posts": outcome.posts,
        "labelled": int(counts.sum()),
        "labels": dict(zip(names, counts.sum(axis=0).tolist(), strict=True)),
        "splits": dict(zip(SPLITS, counts.sum(axis=1).tolist(), strict=True)),
        "unreadable": len(outcome.faults),
        "alike": outcome.alike,
        "fingerprint": outcome.written.fingerprint,
    }


def _words(found: dict[str, Any]) -> str:
    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())

    return (
        f"{found['labelled']:,} of {found['posts']:,} posts labelled, "
        f"worst first: {listed(found['labels'])}\n"
        f"{listed(found['splits'])}; {found['alike']:,} pairs of photos look alike and stay together"
    )
