"""A first-time operator: the images, the sandbox profile, a photo and its reply. With docker-compose 1.29."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.person import Person
from tests.compose.conftest import NewStack
from tests.compose.engine import BASE, docker
from tests.compose.stack import BOT, READY, SERVICES, Stack, inspected
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

MEGABYTE = 1_000_000
# What an image may have over the image that it is built on.
LARGEST = {"bot": 250, "cpu": 450, "sandbox": 250}
READY_SECONDS = 10
IDLE_MEGABYTES = 600


@pytest.fixture(scope="module")
def bot(new_stack: NewStack) -> Iterator[Stack]:
    with new_stack(1) as made:
        yield made


def python(container: str, program: str) -> str:
    return docker("exec", container, "python", "-c", program)


def test_the_whole_idle_bot_takes_little_memory(bot: Stack) -> None:
    memory = bot.memory()

    assert sum(memory.values()) <= IDLE_MEGABYTES, memory


@pytest.mark.parametrize("service", list(READY))
def test_a_container_is_ready_within_ten_seconds_of_its_start(bot: Stack, service: str) -> None:
    assert bot.wait_until_ready(service, bot.container(service)) <= READY_SECONDS


@pytest.mark.parametrize("service", BOT)
def test_docker_and_an_operator_are_told_that_a_process_is_well(bot: Stack, service: str) -> None:
    container = bot.container(service)

    assert docker("exec", container, "deepselfie", "probe", "--ready") == "ready"
    assert eventually(lambda: inspected(container)["State"]["Health"]["Status"] == "healthy", 30)


@pytest.mark.parametrize("kind", list(LARGEST))
def test_an_image_is_small(bot: Stack, kind: str) -> None:
    size, base = (
        int(docker("image", "inspect", "--format", "{{.Size}}", image))
        for image in (f"{bot.name}:{kind}", BASE)
    )

    assert (size - base) / MEGABYTE <= LARGEST[kind]


def test_a_posted_photo_gets_its_reply(bot: Stack, photo: Path) -> None:
    ann = Person(bot.url, "ann")
    post = ann.post("@deepselfie what do you think?", [ann.upload(photo)])

    reply = ann.wait_for_reply(post, 60)

    assert reply
    assert "/100" in reply.text


def test_who_tries_the_sandbox_is_not_limited(bot: Stack, photo: Path) -> None:
    bob = Person(bot.url, "bob")
    posts = [bob.post("@deepselfie and this one?", [bob.upload(photo)]) for _ in range(6)]

    replies = [bob.wait_for_reply(post, 60) for post in posts]

    assert all(reply and "/100" in reply.text for reply in replies)


def test_a_listeners_image_has_no_onnx_runtime_and_no_image_has_a_compiler_or_pip_of_ours(bot: Stack) -> None:
    names = python(
        bot.container("listener"), "import pkgutil; print(*[m.name for m in pkgutil.iter_modules()])"
    )

    assert "onnxruntime" not in names.split()
    for service in ("listener", "worker"):
        tools = "import shutil; print([t for t in ('cc', 'gcc', 'g++', 'make') if shutil.which(t)])"
        assert python(bot.container(service), tools) == "[]"
        assert (
            docker("exec", bot.container(service), "sh", "-c", "ls /opt/deepselfie/bin | grep -c ^pip; true")
            == "0"
        )


@pytest.mark.parametrize("service", [*BOT, "sandbox"])
def test_nobody_in_a_container_is_root_or_can_write_or_become_anybody(bot: Stack, service: str) -> None:
    container = bot.container(service)
    status = python(container, "print(open('/proc/self/status').read())")

    assert "Uid:\t10001\t10001\t10001\t10001" in status
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    root = "import os; print(os.access('/opt/deepselfie', os.W_OK), os.statvfs('/').f_flag & os.ST_RDONLY)"
    assert python(container, root) == "False 1"


def test_redis_itself_has_no_privileges_and_tells_nobody_its_password(bot: Stack) -> None:
    container = bot.container("redis")
    status = docker("exec", container, "cat", "/proc/1/status")

    assert "Uid:\t0\t" not in status
    assert "CapEff:\t0000000000000000" in status
    password = docker("exec", container, "cat", "/run/deepselfie/redis-password")
    assert len(password) == 64
    assert password not in docker("exec", container, "cat", "/proc/1/cmdline")
    assert password not in docker("inspect", container)
    assert password not in bot.run("logs").stdout


def reached(container: str, *places: tuple[str, int]) -> list[tuple[str, int]]:
    """To which of these a program in a container can open a connection."""
    program = f"""
import socket
def opens(place):
    try:
        socket.create_connection(place, 1).close()
        return True
    except OSError:
        return False
print([place for place in {places} if opens(place)])
"""
    return list(ast.literal_eval(python(container, program)))


@pytest.mark.parametrize("other", ["listener", "responder"])
def test_a_worker_and_those_who_know_secrets_cannot_reach_each_other(bot: Stack, other: str) -> None:
    ours, theirs = bot.container("worker"), bot.container(other)

    for here, there in ((ours, theirs), (theirs, ours)):
        networks = inspected(there)["NetworkSettings"]["Networks"].values()
        assert reached(here, *((network["IPAddress"], 9100) for network in networks)) == []
    assert "SECRETS_DIR" not in docker("exec", ours, "env")
    assert "SANDBOX_TOKEN" not in docker("exec", ours, "env")


def test_a_worker_reaches_redis_and_the_sandbox(bot: Stack) -> None:
    places = [("redis", 6379), ("sandbox", 8015)]

    assert reached(bot.container("worker"), *places) == places


def test_redis_lets_nobody_in_without_the_password(bot: Stack) -> None:
    program = "import redis; redis.Redis('redis').ping()"
    done = subprocess.run(
        ["docker", "exec", bot.container("worker"), "python", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "redis.exceptions.AuthenticationError" in done.stderr


def test_every_container_has_limits(bot: Stack) -> None:
    for service in SERVICES:
        settings = inspected(bot.container(service))["HostConfig"]
        assert settings["Memory"] > 0
        assert settings["PidsLimit"] > 0
        assert settings["RestartPolicy"]["Name"] == "unless-stopped"
        assert settings["LogConfig"]["Config"]["max-size"] == "10m"


def test_the_operators_commands_run_in_a_container(bot: Stack) -> None:
    status = bot.run("run", "--rm", "cli", "status").stdout
    findings = bot.run("run", "--rm", "cli", "doctor").stdout

    assert "sandbox stream: last seen" in status
    assert "0 failed, 0 warnings" in findings
