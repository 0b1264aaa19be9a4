"""`deepselfie model use` and `deepselfie model list`, as an operator runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from bot.judges import Report, report
from model.folder import entries
from model.judge import DEFAULT_FILE
from tests.judges import versioned
from tests.operating import run

TICK_SECONDS = 0.02


class Shop:
    """A judges' folder, a folder where judges are made, and who chooses."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "judges"
        self.here = place / "here"
        self.folder.mkdir()
        self.here.mkdir()

    def make(self, version: str, **options: float) -> Path:
        return versioned(self.here / f"v{version}.onnx", version, off=options.get("off", 0.0))

    def put(self, version: str, **options: float) -> Path:
        time.sleep(TICK_SECONDS)
        return self.make(version, **options).rename(self.folder / f"v{version}.onnx")

    def model(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        done = run(
            "model", *arguments, cwd=self.here, environment={"WORKER_MODELS": str(self.folder)} | environment
        )
        return done.returncode, done.stdout, done.stderr

    def names(self) -> list[str]:
        return [entry.file.name for entry in entries(self.folder)]

    def listed(self) -> list[dict[str, object]]:
        _, said, _ = self.model("list", "--json")
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_file_is_copied_and_is_in_use(shop: Shop) -> None:
    shop.put("1")
    file = shop.make("2")

    code, said, errors = shop.model("use", "v2.onnx")

    assert (code, errors) == (0, "")
    assert said == f"brightness 2 ({shop.folder / 'v2.onnx'}): in use from now on\n"
    assert shop.names() == ["v2.onnx", "v1.onnx"]
    assert (shop.folder / "v2.onnx").read_bytes() == file.read_bytes()


def test_a_bad_file_never_gets_in(shop: Shop) -> None:
    shop.put("1")
    file = shop.make("2", off=-0.2)

    code, said, errors = shop.model("use", str(file))

    assert (code, said) == (1, "")
    assert "differ by 0.2, limit is 0.001" in errors
    assert "Traceback" not in errors
    assert [file.name for file in shop.folder.iterdir()] == ["v1.onnx"]


@pytest.mark.parametrize("name", ["v1.onnx", "v1", "{folder}/v1.onnx"])
def test_one_that_lies_there_is_chosen_by_its_name(shop: Shop, name: str) -> None:
    shop.put("1")
    shop.put("2")

    code, _, errors = shop.model("use", name.format(folder=shop.folder))

    assert (code, errors) == (0, "")
    assert shop.names() == ["v1.onnx", "v2.onnx"]


def test_rolling_back_goes_to_the_good_one_before_and_again_and_back(shop: Shop) -> None:
    for version in ("1", "2"):
        shop.put(version)
    shop.put("3", off=-0.2)

    assert shop.model("use", "--previous")[0] == 0
    assert shop.names() == ["v1.onnx", "v3.onnx", "v2.onnx"]
    assert shop.model("use", "--previous")[0] == 0
    assert shop.names() == ["v2.onnx", "v1.onnx", "v3.onnx"]


def test_with_one_judge_there_is_none_before(shop: Shop) -> None:
    shop.put("1")
    assert "has no judge besides the one in use" in shop.model("use", "--previous")[2]


def test_the_judge_that_comes_along_can_be_chosen(shop: Shop) -> None:
    shop.put("1")
    for _ in range(2):
        assert shop.model("use", "default")[0] == 0
        assert shop.names() == ["drawn-1.0.0.onnx", "v1.onnx"]


def test_another_judge_of_the_same_name_is_not_lost(shop: Shop) -> None:
    shop.put("1")
    versioned(shop.here / "v1.onnx", "1b")
    before = (shop.folder / "v1.onnx").read_bytes()

    assert "v1.onnx is one file here and another in" in shop.model("use", "v1.onnx")[2]
    code, _, errors = shop.model("use", "./v1.onnx")
    assert code == 1
    assert "is another judge, and would be lost; give this one a name: --as NAME" in errors
    assert (shop.folder / "v1.onnx").read_bytes() == before
    assert shop.model("use", "./v1.onnx", "--as", "v1b.onnx")[0] == 0
    assert shop.names() == ["v1b.onnx", "v1.onnx"]


def test_what_is_not_there_is_said(shop: Shop, tmp_path: Path) -> None:
    assert "v9: no such file, here or in" in shop.model("use", "v9")[2]
    assert "elsewhere/v9.onnx: no such file" in shop.model("use", "elsewhere/v9.onnx")[2]
    assert "no such folder; make it" in shop.model("use", "v9", "--folder", str(tmp_path / "missing"))[2]
    assert "set WORKER_MODELS" in shop.model("list", WORKER_MODELS="")[2]
    assert "name a FILE, or say --previous" in shop.model("use")[2]


def test_a_shadow_judge_goes_into_its_own_folder(shop: Shop) -> None:
    shop.put("1")
    shop.make("2")
    code, said, _ = shop.model("use", "v2.onnx", "--shadow")
    assert (code, said.endswith("compared with the one in use from now on\n")) == (0, True)
    assert shop.names() == ["v1.onnx"]
    assert (shop.folder / "shadow/v2.onnx").is_file()


@pytest.mark.usefixtures("redis")
def test_waiting_where_no_worker_runs_ends_at_once(shop: Shop, redis_url: str) -> None:
    shop.make("1")
    code, said, _ = shop.model("use", "v1.onnx", "--wait", REDIS_URL=redis_url)
    assert (code, said.splitlines()[-1]) == (0, "no worker runs; those that start will judge with it")


@pytest.mark.e2e
def test_waiting_for_a_worker_that_refuses_ends_with_its_reason(
    shop: Shop, redis: Redis, redis_url: str
) -> None:
    shop.make("1")
    words = {"v1.onnx": "it says something else on this machine"}
    report(redis, "far:1", Report(name="drawn", version="1", file="v0.onnx", put=1, since=1, refused=words))

    code, _, errors = shop.model("use", "v1.onnx", "--wait", REDIS_URL=redis_url)

    assert code == 1
    assert re.search(
        r"1 of 1 workers do not have it after 1\d s: it says something else .* \(far:1\)", errors
    )


def test_the_list_shows_each_file_and_what_it_is_good_for(shop: Shop) -> None:
    shop.put("1")
    shop.put("2")
    shop.put("3", off=-0.2)
    shop.make("4")
    shop.model("use", "v4.onnx", "--shadow")

    rows = shop.listed()

    assert [(row["file"], row["role"], row["version"]) for row in rows] == [
        ("v3.onnx", None, None),
        ("v2.onnx", "current", "2"),
        ("v1.onnx", None, "1"),
        (str(DEFAULT_FILE), None, "1.0.0"),
        ("shadow/v4.onnx", "shadow", "4"),
    ]
    assert "limit is 0.001" in str(rows[0]["refused"])
    lines = shop.model("list")[1].splitlines()
    assert lines[0].split() == [
        "file",
        "judge",
        "precision",
        "accuracy",
        "size",
        "written",
        "or",
        "touched",
    ]
    assert lines[2].strip().startswith("refused: ")
    assert lines[3].startswith("*       v2.onnx")


def test_the_list_tells_a_date_in_the_future_and_choosing_gets_past_it(shop: Shop) -> None:
    future = time.time() + 1e6
    os.utime(shop.put("1"), (future, future))
    shop.put("2")
    assert [(row["file"], row["ahead"]) for row in shop.listed()[:2]] == [
        ("v1.onnx", True),
        ("v2.onnx", False),
    ]
    assert shop.model("list")[1].splitlines()[1].endswith(" UTC, in the future")

    assert shop.model("use", "v2")[0] == 0

    assert shop.names() == ["v2.onnx", "v1.onnx"]


def test_an_empty_folder_has_the_judge_that_comes_along(shop: Shop) -> None:
    [row] = shop.listed()
    assert (row["role"], row["name"], row["precision"]) == ("current", "drawn", "int8")
    assert row["accuracy"] == pytest.approx(0.721, abs=0.001)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that another user can reach."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("name", ["v1.onnx", "v2.onnx"])
def test_who_may_not_choose_is_told_who_may(public: Path, name: str) -> None:
    folder = public / "judges"
    folder.mkdir()
    versioned(folder / "v1.onnx", "1")
    versioned(public / "v2.onnx", "2")
    program = """
import os, sys
from pathlib import Path
from worker import choosing
os.setuid(65534)
folder, file = map(Path, sys.argv[1:])
sys.exit(choosing.told(lambda: print(choosing._choose(file, folder, file.name))))
"""
    place = folder if name == "v1.onnx" else public
    command = [sys.executable, "-c", program, str(folder), str(place / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    whose = folder / name if name == "v1.onnx" else folder
    who = f"{whose} belongs to root, and this is run by nobody"
    assert done.stderr.startswith(f"deepselfie: {who} (Permission denied): do it as root; `cp` into")


def test_no_torch_is_loaded() -> None:
    program = "import sys, worker.choosing, worker.listing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "onnx", "pyarrow"} & {name.partition(".")[0] for name in done.stdout.split()}
