"""Where tables of posts are worked on: DuckDB in this process, or Spark on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.dataset

MEMORY = "1.2GB"
"""What DuckDB may hold; beyond that it uses the disk."""
THREADS = 2
BATCH = 100_000
"""Rows that are in hand at once."""


def duckdb(spill: Path | None = None, *, memory: str = MEMORY, threads: int = THREADS) -> Any:
    """Open DuckDB as an Ibis backend.

    Args:
        spill: The folder in which it may put what it cannot hold; that of temporary files, if None.
        memory: What it may hold, as DuckDB writes it.
        threads: How many cores it may use.
    """
    scratch = Path(spill or gettempdir()) / f".duckdb-{os.getpid()}"
    engine = ibis.duckdb.connect(memory_limit=memory, threads=threads, temp_directory=str(scratch))
    # No bar on standard output, which belongs to `--json`; times without a zone are UTC.
    engine.raw_sql("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
    return engine


def spark() -> Any:
    """Open Spark as an Ibis backend: the cluster that SPARK_MASTER names, or else all cores here.

    Raises:
        ModuleNotFoundError: PySpark is not installed.
    """
    from pyspark.sql import SparkSession  # noqa: PLC0415  (who stays with DuckDB need not install it)

    master = os.environ.get("SPARK_MASTER", "local[*]")
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if master.startswith("local"):
        # Nobody else is to talk to it, and 200 pieces, its default, are for a cluster.
        settings |= dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), "127.0.0.1")
        settings["spark.sql.shuffle.partitions"] = str(os.cpu_count())
    return ibis.pyspark.connect(SparkSession.builder.master(master).config(map=settings).getOrCreate())


def batches(rows: ibis.Table, engine: Any, folder: Path) -> Iterator[pa.RecordBatch]:
    """Work out a table and pass it on piece by piece, in its order.

    Args:
        rows: What is to be worked out.
        engine: Where.
        folder: A place that Spark's machines can write to, too.
    """
    if engine.name == "duckdb":
        # Through a view, which brings along what is in memory only; Ibis' own batches need an older DuckDB.
        engine.create_view("batches", rows)
        yield from engine.con.sql("FROM batches").to_arrow_reader(BATCH)
        return
    with TemporaryDirectory(prefix=".spark-", dir=folder) as scratch:
        engine.to_parquet(rows, f"{scratch}/rows")
        yield from pyarrow.dataset.dataset(f"{scratch}/rows").to_batches(batch_size=BATCH, batch_readahead=1)
