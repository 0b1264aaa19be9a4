"""One bot in containers, under a project name of its own, from a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.faults_people import free_port
from tests.compose.engine import compose_programs, docker

# What images and stack are made of. A copy, so that a test may change the code, and put judges into models/.
PARTS = (
    "Dockerfile",
    ".dockerignore",
    "docker-compose.yml",
    "pyproject.toml",
    "constraints.txt",
    "README.md",
)
FOLDERS = ("bot", "worker", "model", "deploy")
BOT = ("listener", "worker", "responder")
SERVICES = ("redis", *BOT, "sandbox")

# What a process logs once it can do its work.
READY = {"listener": "stream open", "worker": "ready", "responder": "ready", "sandbox": "listening"}

Event = dict[str, Any]


@dataclass
class Stack:
    """A bot in containers. Its logs are kept even when a container is replaced by another."""

    folder: Path
    name: str
    port: int
    compose: Sequence[str]
    settings: Mapping[str, str]
    logs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the sandbox's page is published."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Docker Compose on this stack."""
        command = [*self.compose, "--profile", "sandbox", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def up(self, *arguments: str) -> None:
        """Start what does not run yet, and wait until the bot is ready."""
        self.run("up", "-d", *arguments)
        for service in READY:
            for container in self.containers(service):
                self.wait_until_ready(service, container)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers that run."""
        return self.run("ps", "-q", service).stdout.split()

    def container(self, service: str) -> str:
        """The id of a service's only container."""
        (container,) = self.containers(service)
        return container

    def wait_until_ready(self, service: str, container: str, seconds: float = 30) -> float:
        """Wait until a container can do its work; return how long after its start it could."""
        self._follow(container)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            began = inspected(container)["State"]["StartedAt"]
            lines = docker("logs", "--timestamps", "--since", began, container, stderr=True).splitlines()
            for line in lines:
                moment, _, text = line.partition(" ")
                if _event(text).get("event") == READY[service]:
                    return (_moment(moment) - _moment(began)).total_seconds()
            time.sleep(0.1)
        raise AssertionError(f"{service} was not ready within {seconds} s: {lines}")

    def crash(self, service: str) -> None:
        """End a service's first process as a crash does, and wait until it is back.

        Not by `docker kill`, after which nothing is restarted.
        """
        container = self.containers(service)[0]
        before = inspected(container)
        os.kill(before["State"]["Pid"], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while True:
            now = inspected(container)
            if now["State"]["Running"] and now["RestartCount"] > before["RestartCount"]:
                return
            assert time.monotonic() < deadline, f"{service} was not started again"
            time.sleep(0.1)

    def events(self) -> Iterator[Event]:
        """All that the bot's processes have logged, those of containers that are gone too."""
        self.follow()
        time.sleep(1)  # until docker has handed on the last lines
        for file in sorted(self.folder.glob("*.log")):
            for line in file.read_text(errors="replace").splitlines():
                if event := _event(line):
                    yield event

    def judged(self, posts: Iterable[str]) -> Counter[str]:
        """How often each of some posts was judged."""
        ours = {f"sandbox:{post}": post for post in posts}
        keys = [str(event["key"]) for event in self.events() if event["event"] == "judged"]
        return Counter(ours[key] for key in keys if key in ours)

    def memory(self) -> dict[str, float]:
        """Megabytes that each container takes."""
        containers = [container for service in SERVICES for container in self.containers(service)]
        lines = docker(
            "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *containers
        ).splitlines()
        return {name: _megabytes(usage) for name, _, usage in (line.partition(" ") for line in lines)}

    def follow(self) -> None:
        """From here on, keep what the bot's containers log."""
        for service in BOT:
            for container in self.containers(service):
                self._follow(container)

    def close(self) -> None:
        """Leave nothing behind but what was installed for the images, which another build would do again."""
        for log in self.logs.values():
            log.kill()
            log.wait()
        self.run("down", "--volumes", "--remove-orphans", "--timeout", "1")
        name = self.settings["DEEPSELFIE_IMAGE"]
        if images := docker("images", "--format", "{{.Repository}}:{{.Tag}}", name).split():
            docker("rmi", "--force", *images)

    @property
    def environment(self) -> dict[str, str]:
        """What the commands of an operator of this stack get."""
        return {
            "PATH": os.environ["PATH"],
            # Where `docker compose` is, if it is here by another name only.
            "HOME": str(self.folder),
            "COMPOSE_PROJECT_NAME": self.name,
            "DOCKER_BUILDKIT": "0",
            **self.settings,
        }

    def _follow(self, container: str) -> None:
        """Keep what it logs, from its beginning. Whoever follows a log stops when the container does."""
        if container not in self.logs or self.logs[container].poll() is not None:
            with (self.folder / f"{container[:12]}.log").open("wb") as file:
                command = ["docker", "logs", "--follow", container]
                self.logs[container] = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


@contextmanager
def stack(repository: Path, folder: Path, version: int, **settings: str) -> Iterator[Stack]:
    """A stack that does not run yet; nothing of it is left in the end.

    Args:
        repository: What it is made of.
        folder: Where the copy goes.
        version: Of Docker Compose, if that is here.
        settings: As an operator has them in .env.
    """
    for part in PARTS:
        shutil.copy(repository / part, folder)
    for part in FOLDERS:
        shutil.copytree(repository / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for empty in ("models", "secrets"):
        (folder / empty).mkdir()
    programs, port, name = compose_programs(), free_port(), f"deepselfie-test-{secrets.token_hex(3)}"
    own = {"DEEPSELFIE_IMAGE": name, "SANDBOX_PORT": str(port), "LOG_FORMAT": "json"}
    program = programs.get(version) or next(iter(programs.values()))
    if version == 2 and len(program) == 1:
        (folder / ".docker/cli-plugins").mkdir(parents=True)
        (folder / ".docker/cli-plugins/docker-compose").symlink_to(program[0])
    made = Stack(folder, name, port, program, own | settings)
    try:
        yield made
    finally:
        made.close()


def inspected(container: str) -> dict[str, Any]:
    """What the engine knows of a container."""
    (found,) = json.loads(docker("inspect", container))
    return dict(found)


def _event(line: str) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def _moment(text: str) -> datetime:
    """Docker writes nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", text))


def _megabytes(usage: str) -> float:
    number, unit = re.match(r"([\d.]+)([KMG]i?B)", usage).groups()  # type: ignore[union-attr]
    return float(number) * {"K": 1 / 1024, "M": 1, "G": 1024}[unit[0]]
