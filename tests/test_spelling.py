"""Settings under a name that nobody reads are found, and other programs' variables are let be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.settings import Group
from bot.spelling import OF_THE_BOT, misspelt
from tests.operating import run
from worker.settings import WorkerSettings

EVERYBODYS: tuple[type[Group], ...] = (*OF_THE_BOT, WorkerSettings)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BOT_DRYRUN", "BOT_DRY_RUN"),
        ("BOT_BLOCK_LIST", "BOT_BLOCKLIST"),
        ("MASTODON_ACCESS_TOKEN", "MASTODON_TOKEN"),
        ("REDIS_PASS", "REDIS_PASSWORD"),
        ("WORKER_MODLE", "WORKER_MODEL"),
    ],
)
def test_a_variable_that_is_almost_a_setting_is_named_with_the_one_that_was_meant(
    name: str, meant: str
) -> None:
    assert misspelt(EVERYBODYS, {name: "x"}) == [f"{name} is no setting; did you mean {meant}?"]


def test_what_is_a_setting_or_composes_own_is_not_misspelt(repository: Path) -> None:
    example = (repository / ".env.example").read_text()
    names = re.findall(r"^#([A-Z][A-Z_]+)=", example, re.MULTILINE)

    assert len(names) > 50
    assert misspelt(EVERYBODYS, dict.fromkeys([*names, "MASTODON_TOKEN_FILE"], "x")) == []


@pytest.mark.parametrize(
    "name",
    ["REDIS_PORT_6379_TCP", "REDIS_SERVICE_HOST", "REDIS_PORT", "WORKER_PORT", "X_FORWARDED_FOR", "BOTO"],
)
def test_other_programs_variables_are_let_be(name: str) -> None:
    assert misspelt(EVERYBODYS, {name: "x"}) == []


def test_a_file_of_secrets_that_is_almost_a_settings_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ("mastodn_token", "mastodon_url", "blocklist", "README", ".mastodon_token.part"):
        (folder / name).touch()

    assert misspelt(EVERYBODYS, {"SECRETS_DIR": str(folder)}) == [
        "the file secrets/mastodn_token is no setting's; did you mean mastodon_token?"
    ]


def test_an_env_file_is_looked_through_and_need_not_be_there(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# BOT_PERHOUR=1\n#BOT_PERHOUR=1\nBOT_PER_HOUR=1\n export BOT_DRYRUN = yes\n")

    found = misspelt(EVERYBODYS, {}, [file, tmp_path / "missing"])

    assert found == ["BOT_DRYRUN is no setting; did you mean BOT_DRY_RUN?"]


@pytest.mark.e2e
def test_a_process_says_so_when_it_starts_and_doctor_too_once_each(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOT_DRYRUN=yes\nREDIS_ULR=redis://redis\n")
    environment = {
        "MASTODON_URL": "http://127.0.0.1:1",
        "MASTODON_TOKEN": "t0ken",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "BOT_DRYRUN": "yes",
        "WORKER_MODLE": "x",
    }

    heard = run("listen", environment=environment, cwd=tmp_path)
    worked = run("work", environment=environment, cwd=tmp_path)
    examined = run("doctor", environment=environment, cwd=tmp_path)

    assert "BOT_DRYRUN is no setting; did you mean BOT_DRY_RUN?" in heard.stdout + heard.stderr
    assert "WORKER_MODLE is no setting; did you mean WORKER_MODEL?" in worked.stdout + worked.stderr
    for name in ("BOT_DRYRUN", "WORKER_MODLE", "REDIS_ULR"):
        assert examined.stdout.count(f"warning  settings: {name} is no setting") == 1
