"""The worker's settings. README.md documents each one, and a test proves it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bot.settings import Settings


def _contact(value: str) -> str:
    # It goes into a header's comment, and a server's owner copies it from a log.
    if len(value) > 200 or not re.fullmatch(r"[!-~]+", value) or set(value) & set("()\\"):
        raise ValueError("needs to be one URL or e-mail address in up to 200 plain ASCII characters")
    return value


class WorkerSettings(Settings):
    """What only the worker needs."""

    model: Path | None = Field(
        None,
        alias="WORKER_MODEL",
        description="the judge's .onnx file; without it, the one that comes with deepselfie",
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
    mentions_at_once: Annotated[int, Field(gt=0, le=1000)] = Field(
        32,
        alias="WORKER_MENTIONS_AT_ONCE",
        description="mentions that one worker has in hand; most of them wait for their download",
    )
    contact: Annotated[str, AfterValidator(_contact)] | None = Field(
        None,
        alias="WORKER_CONTACT",
        description="a URL or an e-mail address, told to the web servers that photos are fetched from",
    )
    private_addresses: Literal["refuse", "allow"] = Field(
        "refuse",
        alias="WORKER_PRIVATE_ADDRESSES",
        description="'allow' lets anyone make the worker open addresses of your own network: for the sandbox",
    )
