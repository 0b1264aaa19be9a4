"""Where tables of posts are worked on: DuckDB in this process, or Spark on a cluster."""

from __future__ import annotations

import os
from typing import Any

import ibis

MEMORY = "1GB"
"""What DuckDB may hold; beyond that it uses the disk."""
THREADS = 2


def duckdb(memory: str = MEMORY, threads: int = THREADS) -> Any:
    """Open DuckDB as an Ibis backend.

    Args:
        memory: What it may hold before it uses the disk, as DuckDB writes it.
        threads: How many cores it may use.
    """
    engine = ibis.duckdb.connect(memory_limit=memory, threads=threads)
    # No bar on standard output, which belongs to `--json`; times without a zone are UTC.
    engine.raw_sql("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
    return engine


def spark() -> Any:
    """Open Spark as an Ibis backend: the cluster that SPARK_MASTER names, or else all cores here.

    Raises:
        ModuleNotFoundError: PySpark is not installed.
    """
    from pyspark.sql import SparkSession  # noqa: PLC0415  (who stays with DuckDB need not install it)

    builder = SparkSession.builder.appName("deepselfie").master(os.environ.get("SPARK_MASTER", "local[*]"))
    session = (
        builder.config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false").getOrCreate()
    )
    return ibis.pyspark.connect(session)
