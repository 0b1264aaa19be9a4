"""`deepselfie probe`, as a container's health check runs it."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot import monitor
from bot.monitor import Check
from bot.settings import Settings, load
from tests.monitored import free_port
from tests.operating import run
from tests.test_architecture import loaded_by
from tests.web import file, web

WELL = {"loop": Check(ok=True, value={"seconds": 0.1, "limit": 95})}


def process(live: Mapping[str, Check] = WELL, ready: Mapping[str, Check] = WELL) -> dict[str, str]:
    """Open a port as a process does, and return what its environment would be."""
    environment = {"METRICS_PORT": str(free_port()), "METRICS_HOST": "0.0.0.0"}
    monitor.start(load(Settings, environment), live=lambda: live, ready=lambda: ready)
    return environment


def test_a_process_that_is_well_is_said_to_be() -> None:
    environment = process()

    done, ready = run("probe", environment=environment), run("probe", "--ready", environment=environment)

    assert (done.returncode, done.stdout) == (0, "healthy\n")
    assert (ready.returncode, ready.stdout) == (0, "ready\n")


def test_what_is_missing_is_named() -> None:
    environment = process(ready={"redis": Check(ok=False, value="does not answer"), **WELL})

    done = run("probe", "--ready", environment=environment)

    assert (done.returncode, done.stderr) == (1, 'deepselfie: not ready: redis "does not answer"\n')
    assert run("probe", environment=environment).returncode == 0


def test_a_loop_that_stands_still_is_named() -> None:
    done = run(
        "probe", environment=process(live={"loop": Check(ok=False, value={"seconds": 99, "limit": 95})})
    )

    assert (done.returncode, done.stderr) == (
        1,
        'deepselfie: not healthy: loop {"seconds": 99, "limit": 95}\n',
    )


def test_where_nothing_listens_that_is_said() -> None:
    done = run("probe", environment={"METRICS_PORT": str(port := free_port())})

    assert done.returncode == 1
    assert done.stderr.startswith(f"deepselfie: nothing answers at 127.0.0.1:{port} ")
    assert len(done.stderr.splitlines()) == 1


def test_who_listens_and_is_not_ours_is_not_believed() -> None:
    with web({"/": file(b"")}) as address:
        done = run("probe", environment={"METRICS_PORT": address.rpartition(":")[2]})

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_a_process_that_stands_still_is_not_waited_for_for_ever() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        done = run("probe", environment={"METRICS_PORT": str(mute.getsockname()[1])})

    assert (done.returncode, "timed out" in done.stderr) == (1, True)


@pytest.mark.parametrize("port", ["", "0", "nonsense", "99999"])
def test_without_a_port_it_says_what_to_set(port: str) -> None:
    done = run("probe", environment={"METRICS_PORT": port})

    assert done.returncode == 1
    assert "set it to the port of the process that is to be asked" in done.stderr


def test_the_port_may_come_from_a_file(tmp_path: Path) -> None:
    environment = process()
    (tmp_path / "port").write_text(f"{environment['METRICS_PORT']}\n")

    assert run("probe", environment={"METRICS_PORT_FILE": str(tmp_path / "port")}).returncode == 0


def test_it_loads_next_to_nothing() -> None:
    assert not loaded_by("bot.command", "bot.probe") & {"pydantic", "redis", "rq", "prometheus_client"}


def test_it_is_fast() -> None:
    environment = process()

    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "bot", "probe"], env=environment, check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The least of several: other processes share this machine.
    assert min(cost() for _ in range(5)) < 0.150
