from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from bot.command import COMMANDS
from tests.photos import huge_png, portrait_jpeg
from worker.settings import NO_JUDGE

DEEPSELFIE = [sys.executable, "-m", "bot"]
NO_REDIS = {"REDIS_URL": "redis://:s3cret@127.0.0.1:1/0"}
NETWORK = {"MASTODON_URL": "http://127.0.0.1:1", "MASTODON_TOKEN": "s3cret"}


def deepselfie(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEEPSELFIE, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.jpg"
    file.write_bytes(portrait_jpeg())
    return file


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_at_once_because_nothing_heavy_is_loaded(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bot", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith(f"usage: deepselfie {command}")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"onnxruntime", "numpy", "PIL", "pydantic", "redis", "rq", "mastodon", "starlette"}


def test_help_lists_every_command_with_its_purpose() -> None:
    listing = deepselfie("--help").stdout

    for name, (_, purpose) in COMMANDS.items():
        assert f"{name} " in listing
        assert purpose in listing


def test_an_unknown_command_is_answered_with_those_there_are() -> None:
    done = deepselfie("dance")

    assert done.returncode == 2
    assert "no command 'dance'; there are demo, score, listen" in done.stderr


def test_the_version_is_the_packages() -> None:
    assert deepselfie("--version").stdout.startswith("deepselfie 0.")


def test_files_are_scored_without_a_network(photo: Path) -> None:
    done = deepselfie("score", str(photo))

    assert done.returncode == 0
    assert done.stdout.endswith(f"/100  {photo}\n")


def test_a_program_gets_one_json_object_a_photo(photo: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    huge.write_bytes(huge_png())

    done = deepselfie("score", "--json", str(photo), str(huge), str(tmp_path / "missing.jpg"))

    good, large, missing = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert good["file"] == str(photo)
    assert 0 <= good["score"] <= 1
    assert 0 <= good["percentile"] <= 1
    assert "10000x10000 (100 MP), limit is 40 MP" in large["error"]
    assert missing["error"] == "cannot be read: No such file or directory"


def test_a_model_that_is_none_is_refused_with_one_sentence(photo: Path) -> None:
    done = deepselfie("score", "--model", str(photo), str(photo))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"deepselfie: {photo}: no ONNX file that can be loaded")


@pytest.mark.parametrize("command", ["listen", "respond"])
def test_a_missing_token_is_one_sentence_that_says_what_to_do(command: str) -> None:
    done = deepselfie(command, MASTODON_URL="https://example.social")

    assert done.returncode == 1
    assert done.stderr.startswith(
        "deepselfie: MASTODON_TOKEN is not set; set it, or MASTODON_TOKEN_FILE, to "
    )
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["listen", "work", "respond"])
def test_an_unreachable_redis_is_one_sentence_without_its_password(command: str) -> None:
    done = deepselfie(command, **NO_REDIS, **NETWORK)

    assert done.returncode == 1
    assert "Redis at redis://127.0.0.1:1/0 does not answer" in done.stderr
    assert "start it, or correct REDIS_URL" in done.stderr
    assert "s3cret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["listen", "respond"])
def test_an_unreachable_network_is_one_sentence(command: str, redis_url: str) -> None:
    done = deepselfie(command, REDIS_URL=redis_url, **NETWORK)

    assert done.returncode == 1
    assert done.stderr.startswith(
        "deepselfie: logging in at http://127.0.0.1:1/, which MASTODON_URL names: Could not complete request"
    )
    assert len(done.stderr.splitlines()) == 1


def test_a_worker_with_a_wrong_model_is_one_sentence(redis_url: str) -> None:
    done = deepselfie("work", REDIS_URL=redis_url, WORKER_MODEL="missing.onnx")

    assert done.returncode == 1
    assert done.stderr == f"deepselfie: missing.onnx: no such file; {NO_JUDGE}\n"


@pytest.mark.e2e
def test_the_demo_answers_one_photo_and_ends(photo: Path) -> None:
    done = deepselfie("demo", "--photo", str(photo), "--once", "--json")

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer) == {"score", "label", "reply", "seconds", "reply_url"}
    assert f"{round(answer['score'] * 100)}/100" in answer["reply"]
    assert 0 < answer["seconds"] < 60


@pytest.mark.e2e
def test_the_demo_prints_the_reply_to_a_photo_that_cannot_be_judged(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"nonsense")

    done = deepselfie("demo", "--photo", str(file), "--once", "--json")

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["score"], answer["label"]) == (None, None)
    assert "isn't a photo" in answer["reply"]


@pytest.mark.e2e
def test_the_demo_uses_another_redis_if_it_is_told_to(photo: Path, redis: Redis, redis_url: str) -> None:
    done = deepselfie("demo", "--photo", str(photo), "--once", REDIS_URL=redis_url)

    assert done.returncode == 0, done.stderr
    assert len(redis.keys("deepselfie:mention:*")) == 1


def test_the_demo_of_a_missing_photo_is_one_sentence() -> None:
    done = deepselfie("demo", "--photo", "missing.jpg", "--once")

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "deepselfie: missing.jpg: no such file\n")


@pytest.mark.e2e
def test_a_busy_port_is_one_sentence_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = deepselfie("demo", "--port", port)

    assert done.returncode == 1
    assert port in done.stderr
    assert "--port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("password", ["s3cret", "s3/cret", "s3@cret", "s3#cret", "s3?cret", "s3:cret"])
def test_no_password_is_ever_shown(password: str) -> None:
    done = deepselfie("work", REDIS_URL=f"redis://:{password}@127.0.0.1:1/0")

    assert done.returncode == 1
    assert "cret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("port", ["-1", "65536", "page"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    done = deepselfie("demo", "--port", port)

    assert done.returncode == 2
    assert "is no port; give a number from 0" in done.stderr


@pytest.mark.e2e
def test_the_demo_works_anywhere(photo: Path, tmp_path: Path) -> None:
    """In a directory with a strange name and a bot.py of its own, behind a proxy, with a long path."""
    place = tmp_path / ("a b#%'\"" + "x" * 80)
    place.mkdir()
    (place / "bot.py").write_text("raise SystemExit('not me')")
    environment = os.environ | {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}

    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("deepselfie")),
            "demo",
            "--photo",
            photo,
            "--once",
            "--data",
            "data",
        ],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "/100" in done.stdout


@pytest.mark.e2e
def test_a_second_demo_on_the_same_data_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        second = deepselfie("demo", "--port", "0", "--data", str(tmp_path))
        time.sleep(1)
        assert demo.poll() is None

    assert second.returncode == 1
    assert "already runs on" in second.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_stops_everything_it_started(number: int, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        assert demo.stdout
        children = children_of(demo.pid)

        # An impatient person presses twice.
        demo.send_signal(number)
        time.sleep(0.15)
        demo.send_signal(number)

        assert demo.wait(30) == 0
        assert not demo.stdout.read().strip()
    assert len(children) in {0, 5}  # 0 where there is no /proc
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@contextmanager
def running_demo(data: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*DEEPSELFIE, "demo", "--port", "0", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout
        assert "Open http://127.0.0.1:" in next(line for line in demo.stdout if line.strip())
        try:
            yield demo
            demo.terminate()
            demo.wait(30)
        finally:
            demo.kill()


def children_of(pid: int) -> list[int]:
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in file.read_text().split()] if file.exists() else []
