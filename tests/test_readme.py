"""What the README says is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bot.command import COMMANDS
from bot.networks.accounts import KINDS, SandboxAccount
from bot.settings import Group, ListenerSettings
from tests.photos import portrait_jpeg
from worker.settings import WorkerSettings

SETTINGS: list[type[Group]] = [ListenerSettings, WorkerSettings, *KINDS, SandboxAccount]
OPERATIONS = {"status", "retry", "forget"}
ENDLESS = {"listen", "work", "respond", "sandbox"}
NEED_AN_ACCOUNT = {"login", "doctor"}
DOCUMENTS = ["README.md", "docs/networks.md", "docs/operate.md", "docs/performance.md", "docs/redis.md"]


@pytest.fixture
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


def commands() -> list[str]:
    text = (Path(__file__).parent.parent / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def documented(readme: str) -> dict[str, str]:
    """The settings table: variable → default."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", readme, flags=re.MULTILINE)
    return {name: default.strip("`") for name, default in rows}


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_is_documented_with_its_default(readme: str, kind: type[Group]) -> None:
    table = documented(readme)
    for field in kind.model_fields.values():
        name = str(field.alias)
        assert name in table
        if not field.is_required() and field.default is not None:
            default = field.default
            shown = default.get_secret_value() if hasattr(default, "get_secret_value") else str(default)
            assert table[name] == shown


def test_every_documented_setting_exists(readme: str, repository: Path) -> None:
    code = "".join(
        file.read_text() for package in ("bot", "worker") for file in (repository / package).rglob("*.py")
    )

    assert [name for name in documented(readme) if f'"{name}"' not in code] == []


def test_every_command_is_mentioned(readme: str) -> None:
    assert [
        name for name in COMMANDS if f"deepselfie {name}" not in readme and f"`{name}`" not in readme
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_variable_that_a_document_names_exists(document: str, repository: Path) -> None:
    text = (repository / document).read_text()
    spans = re.findall(r"`[^`]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    code = "".join(file.read_text() for file in repository.glob("[bw]*/**/*.py"))

    assert set(re.findall(r"deepselfie ([a-z]+)\b", " ".join(spans))) <= set(COMMANDS)
    names = re.findall(r"`((?:MASTODON|BLUESKY|X|BOT|WORKER)_[A-Z_]+?)(?:_FILE)?[=`]", text)
    compose = (repository / "docker-compose.yml").read_text()
    assert [name for name in names if f'"{name}"' not in code and f"${{{name}:-" not in compose] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(document: str, repository: Path) -> None:
    place = (repository / document).parent
    links = re.findall(r"\]\(([^)#:]+)\)", (repository / document).read_text())

    assert [link for link in links if not (place / link).exists()] == []


@pytest.mark.e2e
@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_works(line: str, repository: Path, tmp_path: Path, redis_url: str) -> None:
    program, *arguments = line.split()
    if program == "make":
        # Dry: the tests would run themselves otherwise.
        command, place = ["make", "--dry-run", *arguments], repository
    else:
        assert program == ".venv/bin/deepselfie"
        (tmp_path / "photo.jpg").write_bytes(portrait_jpeg())
        only_help = arguments[0] in ENDLESS | NEED_AN_ACCOUNT
        command, place = [sys.executable, "-m", "bot", *arguments, *["--help"] * only_help], tmp_path

    environment = os.environ | {"PYTHONPATH": str(repository)}
    if set(arguments) & OPERATIONS:
        environment["REDIS_URL"] = redis_url
    done = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=90, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.e2e
def test_ci_runs_exactly_the_readmes_test_command(readme: str, repository: Path) -> None:
    script = (repository / ".ci/run").read_text().splitlines()

    assert script[-1] == "make test"
    assert "```sh\nmake test\n```" in readme
