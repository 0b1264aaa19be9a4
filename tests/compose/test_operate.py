"""docs/operate.md, followed word for word."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.person import Person
from tests.compose.conftest import NewStack
from tests.compose.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def bot(new_stack: NewStack) -> Iterator[Stack]:
    with new_stack(2) as made:
        yield made


def commands(repository: Path, heading: str) -> list[str]:
    """The commands under a heading that need no account, in order."""
    text = (repository / "docs/operate.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [
        line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()
    ]


def typed(bot: Stack, line: str) -> str:
    done = subprocess.run(
        ["bash", "-c", line], cwd=bot.folder, env=bot.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


def answered(bot: Stack, name: str, photo: Path) -> bool:
    person = Person(bot.url, name)
    reply = person.wait_for_reply(person.post("@deepselfie hello", [person.upload(photo)]), 60)
    return reply is not None and "/100" in reply.text


def test_a_first_time_operator_has_a_reply_after_two_commands(
    bot: Stack, repository: Path, photo: Path
) -> None:
    first, *others = commands(repository, "First run")

    typed(bot, first)
    assert answered(bot, "ann", photo)
    *harmless, end = others
    assert end.endswith("down --volumes")
    shown = [typed(bot, line) for line in harmless]

    assert "sandbox stream: last seen" in "".join(shown)
    assert "0 failed, 0 warnings" in "".join(shown)


def test_what_was_saved_comes_back(bot: Stack, repository: Path, photo: Path) -> None:
    assert answered(bot, "bob", photo)
    lines = commands(repository, "Save it, and bring it back")
    for line in lines[:3]:
        typed(bot, line)
    before = [line for line in bot.run("run", "--rm", "cli", "status").stdout.splitlines() if "ended" in line]
    bot.run("rm", "--stop", "--force", "redis")
    subprocess.run(["docker", "volume", "rm", f"{bot.name}_redis"], check=False, capture_output=True)

    for line in lines[3:]:
        typed(bot, line)

    after = [line for line in bot.run("run", "--rm", "cli", "status").stdout.splitlines() if "ended" in line]
    assert before == after
    assert "sent 0" not in before[0]
    assert answered(bot, "cleo", photo)
