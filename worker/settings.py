"""The worker's settings. README.md documents each one, and a test proves it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bot.settings import Settings

NO_JUDGE = "put a judge there, or unset WORKER_MODEL: then the one that comes along serves"
"""What an operator can do whose judge cannot serve."""

WORDS = {"refuse", "allow"}
_HOST = re.compile(r"([a-z0-9._-]+):([1-9]\d{0,4})", re.ASCII)


def _contact(value: str) -> str:
    # It goes into a header's comment, and a server's owner copies it from a log.
    if len(value) > 200 or not re.fullmatch(r"[!-~]+", value) or set(value) & set("()\\"):
        raise ValueError("needs to be one URL or e-mail address in up to 200 plain ASCII characters")
    return value


def _private(value: str) -> str:
    if value not in WORDS:
        _hosts(value)
    return value


def _hosts(value: str) -> frozenset[tuple[str, int]]:
    hosts = set()
    for part in value.lower().split(","):
        if not (host := _HOST.fullmatch(part.strip())):
            raise ValueError(f"needs to be refuse, allow, or hosts such as sandbox:8015, not {part!r}")
        hosts.add((host[1], int(host[2])))
    return frozenset(hosts)


class WorkerSettings(Settings):
    """What only the worker needs."""

    model: Path | None = Field(
        None,
        alias="WORKER_MODEL",
        description="the judge's .onnx file; without it, the one that comes with deepselfie",
    )
    models: Path | None = Field(
        None,
        alias="WORKER_MODELS",
        description="a folder of judges: the .onnx file that was written or touched last is used at once",
    )
    max_megapixels: Annotated[int, Field(gt=0, le=1000)] = Field(
        40, alias="WORKER_MAX_MEGAPIXELS", description="megapixels of the largest photo that is decoded"
    )
    max_megabytes: Annotated[float, Field(gt=0, le=1000)] = Field(
        10,
        alias="WORKER_MAX_MEGABYTES",
        description="megabytes (2^20 bytes) of the largest file that is downloaded",
    )
    download_seconds: Annotated[float, Field(gt=0, le=50)] = Field(
        10,
        alias="WORKER_DOWNLOAD_SECONDS",
        description="seconds that fetching one photo may take, redirects and all",
    )
    decode_seconds: Annotated[float, Field(gt=0, le=30)] = Field(
        4,
        alias="WORKER_DECODE_SECONDS",
        description="seconds after which a photo that is still being decoded is given up",
    )
    decoders: Annotated[int, Field(ge=0, le=256)] = Field(
        0,
        alias="WORKER_DECODERS",
        description="photos that are decoded at a time, each in a process of its own; 0: one a core",
    )
    photos_at_once: Annotated[int, Field(gt=0, le=2000)] = Field(
        64,
        alias="WORKER_PHOTOS_AT_ONCE",
        description="photos that one worker has in hand; most of them wait for their download",
    )
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto",
        alias="WORKER_PROVIDER",
        description="what judges run on: cpu, cuda, tensorrt, or the best one that loads (auto)",
    )
    batch: Annotated[int, Field(gt=0, le=1024)] | None = Field(
        None,
        alias="WORKER_BATCH",
        description="photos that one call of the judge gets at the most; without it, 2 on a CPU, 32 on a GPU",
    )
    grace_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        7,
        alias="WORKER_GRACE_SECONDS",
        description="seconds in which a worker that is told to stop finishes what it has in hand",
    )
    contact: Annotated[str, AfterValidator(_contact)] | None = Field(
        None,
        alias="WORKER_CONTACT",
        description="a URL or an e-mail address, told to the web servers that photos are fetched from",
    )
    private_addresses: Annotated[str, AfterValidator(_private)] = Field(
        "refuse",
        alias="WORKER_PRIVATE_ADDRESSES",
        description="hosts of your own network that links may lead to, each with its port (sandbox:8015), "
        "with commas between; 'refuse' is none of them; 'allow' lets anyone make the worker open any address",
    )

    @property
    def private_hosts(self) -> frozenset[tuple[str, int]]:
        """Hosts and ports that may be on the operator's own network."""
        return (
            frozenset() if self.private_addresses in {"refuse", "allow"} else _hosts(self.private_addresses)
        )
