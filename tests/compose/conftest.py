"""A stack for the tests of one module, on an engine that is here or can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.compose.engine import NoEngine, docker, engine
from tests.compose.stack import Stack, stack
from tests.photos import portrait_jpeg

NewStack = Callable[[int], AbstractContextManager[Stack]]


# What builds leave without a name. What they installed has neither label, and stays for the next build.
LEFT = ("deepselfie.stage=code", "org.opencontainers.image.title=deepselfie")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[str]:
    """Its version; what was built on it goes at the end."""
    try:
        version = engine()
    except NoEngine as error:
        pytest.skip(str(error))
    yield version
    for label in LEFT:
        docker("image", "prune", "--force", "--filter", f"label={label}")


@pytest.fixture(scope="module")
def new_stack(docker_engine: str, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> NewStack:
    """A stack by one version of Docker Compose, whose images are built and which runs."""
    assert docker_engine

    @contextmanager
    def start(version: int) -> Iterator[Stack]:
        with stack(repository, tmp_path_factory.mktemp("stack"), version) as made:
            made.up("--build")
            yield made

    return start


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photo") / "photo.jpg"
    file.write_bytes(portrait_jpeg())
    return file
