"""A Docker Engine for the tests, and the programs that read docker-compose.yml: version 1 and version 2."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

BASE = "python:3.11-slim-bookworm"
BASES = (BASE, "redis:7-bookworm")
# Makes an engine, and stand-ins for both images, on a machine that has neither.
MAKER = Path(__file__).parents[3] / "shared/docker/engine"


class NoEngine(Exception):
    """There is no Docker Engine here; the message says why."""


@cache
def engine() -> str:
    """Find an engine that has the images that ours are built on, or can get them; return its version.

    Raises:
        NoEngine: There is none.
    """
    if not _has_bases() and os.getuid() == 0 and os.access(MAKER, os.X_OK):
        done = subprocess.run([str(MAKER), "up"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoEngine(f"{MAKER} up failed: {done.stderr[-300:]}")
    if shutil.which("docker") is None:
        raise NoEngine(
            "NO DOCKER: install Docker Engine and docker-compose to run the tests of the containers"
        )
    if not compose_programs():
        raise NoEngine("NO DOCKER COMPOSE: install it to run the tests of the containers")
    if not _has_bases() and any(_fails("docker", "pull", "--quiet", image) for image in BASES):
        raise NoEngine(f"NO DOCKER: no engine runs that has or can get {' and '.join(BASES)}")
    return docker("version", "--format", "{{.Server.Version}}")


@cache
def compose_programs() -> dict[int, list[str]]:
    """How each version of Docker Compose that is here is called."""
    found = {}
    if program := shutil.which("docker-compose", path="/usr/bin:/usr/local/bin"):
        found[_version([program])] = [program]
    plugin = ["docker", "compose"]
    if shutil.which("docker") and _version(plugin):
        found[_version(plugin)] = plugin
    # The very program, out of a Python package: where Debian has only version 1, there is a 2 all the same.
    spec = find_spec("compose")
    packed = Path(str(spec.origin)).with_name("docker-compose") if spec and spec.origin else None
    if packed and packed.exists() and 2 not in found:
        found[2] = [str(packed)]
    return {version: command for version, command in found.items() if version in {1, 2}}


def docker(*arguments: str, stderr: bool = False) -> str:
    """Run docker, and return what it prints; with what goes to standard error too, if that is wanted."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr * stderr).strip()


def _has_bases() -> bool:
    return shutil.which("docker") is not None and not any(
        _fails("docker", "image", "inspect", image) for image in BASES
    )


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def _version(command: Sequence[str]) -> int:
    done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
    first = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(first) if done.returncode == 0 and first.isdigit() else 0
