"""docker-compose.yml, .env.example and the Dockerfile, without an engine."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from bot.networks.accounts import KINDS
from bot.settings import ListenerSettings
from tests.compose.engine import compose_programs
from tests.test_readme import documented
from worker.settings import WorkerSettings

PROFILES = ("sandbox", "gpu", "metrics", "tools")
EXAMPLE = re.compile(r"^#([A-Z][A-Z_]+)=(.*)$", re.MULTILINE)
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")


@pytest.fixture(scope="module")
def example(repository: Path) -> dict[str, str]:
    found = EXAMPLE.findall((repository / ".env.example").read_text())
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.fixture(scope="module")
def compose(repository: Path) -> str:
    return (repository / "docker-compose.yml").read_text()


def environment(compose: str, service: str) -> set[str]:
    return set(yaml.safe_load(compose)["services"][service]["environment"])


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_of_docker_compose_take_the_file(repository: Path, version: int) -> None:
    if version not in compose_programs():
        pytest.skip(f"NO DOCKER COMPOSE {version}: install it to have docker-compose.yml checked by it")
    command = [*compose_programs()[version]]
    for profile in PROFILES:
        command += ["--profile", profile]
    clean = {"PATH": os.environ["PATH"]}

    done = subprocess.run(
        [*command, "config", "--quiet"],
        cwd=repository,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_example_explains_every_setting_and_every_variable_of_the_compose_file(
    repository: Path, example: dict[str, str], compose: str
) -> None:
    settings = set(documented((repository / "README.md").read_text()))
    used = {name for name, _ in VARIABLE.findall(compose)} | {"REDIS_MAXMEMORY"}

    assert set(example) == settings | used


def test_the_examples_values_are_those_that_hold_without_it(
    repository: Path, example: dict[str, str], compose: str
) -> None:
    defaults = documented((repository / "README.md").read_text())
    listener, worker = (
        yaml.safe_load(compose)["services"][name]["environment"] for name in ("listener", "worker")
    )
    # What a service is always told, compared as far as it is told it; then the variables.
    defaults |= {name: str(value) for name, value in (listener | worker).items() if value is not None}
    defaults |= dict(re.findall(r"\b(METRICS_[A-Z]+)=(\S+)", (repository / "Dockerfile").read_text()))
    defaults |= dict(VARIABLE.findall(compose))
    compared = {name: value for name, value in example.items() if " " not in defaults.get(name, "")}

    assert {name: value for name, value in compared.items() if value != defaults.get(name, value)} == {}
    assert len(compared) > 50


def test_every_setting_of_the_bot_reaches_the_process_that_has_it(compose: str) -> None:
    ours = {str(field.alias) for field in ListenerSettings.model_fields.values()}
    theirs = {str(field.alias) for kind in KINDS for field in kind.model_fields.values()}
    workers = {str(field.alias) for field in WorkerSettings.model_fields.values()}
    # The image has the metrics', and Redis' password is in a file.
    apart = {"METRICS_PORT", "METRICS_HOST", "REDIS_PASSWORD"}

    for service in ("listener", "responder"):
        assert (ours | theirs) - apart <= environment(compose, service)
    for service in ("worker", "worker-gpu"):
        assert workers - apart <= environment(compose, service)


def test_the_operators_commands_see_every_setting_of_every_process(compose: str) -> None:
    everybodys = environment(compose, "listener") | environment(compose, "worker")

    assert environment(compose, "cli") >= everybodys


def test_no_worker_is_told_a_secret_of_a_network(compose: str) -> None:
    theirs = {str(field.alias) for kind in KINDS for field in kind.model_fields.values()}

    for service in ("worker", "worker-gpu"):
        assert not environment(compose, service) & (theirs | {"SECRETS_DIR", "SANDBOX_TOKEN_FILE"})


@pytest.mark.parametrize("memory", ["lots", "0", "-1mb", "1.5gb", "384mb and more"])
def test_an_amount_of_memory_that_is_none_is_named_before_redis_starts(repository: Path, memory: str) -> None:
    done = subprocess.run(
        ["sh", "deploy/redis/start"],
        cwd=repository,
        env={"PATH": os.environ["PATH"], "REDIS_MAXMEMORY": memory},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"REDIS_MAXMEMORY is '{memory}', which is no amount of memory; write")


def test_what_an_operator_keeps_in_the_folder_is_not_git_s(repository: Path) -> None:
    kept = [".env", "secrets/mastodon_token", "models/new.onnx", "redis.tar"]

    done = subprocess.run(
        ["git", "check-ignore", *kept], cwd=repository, capture_output=True, text=True, check=False
    )

    assert done.stdout.splitlines() == kept


def test_every_folder_of_the_repository_that_containers_read_is_opened_to_them_in_the_docs(
    repository: Path, compose: str
) -> None:
    sources = re.findall(r"^ +- (?:\$\{[A-Z]+:-)?\./([a-z]+)", compose, re.MULTILINE)
    docs = (repository / "docs/operate.md").read_text()

    assert set(sources) == {"deploy", "models", "secrets"}
    # Secrets are the bot's alone.
    assert docs.count("chmod -R go+rX deploy models") == 1
    assert "chown 10001 secrets" in docs


def test_the_images_version_is_the_projects(repository: Path) -> None:
    version = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["version"]

    assert f"ARG VERSION={version}\n" in (repository / "Dockerfile").read_text()
