"""Judges swapped in real workers, under load, by putting files into a folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import onnxruntime as ort
import pytest
from redis import Redis

from bot.judges import JUDGES, Report, Seat, in_words, report, reports
from model.cores import cores
from model.engine import CPU_BATCH
from model.folder import touch
from tests.judges import versioned
from tests.operating import run
from tests.waiting import eventually
from tests.workers import Crowd, Workers, workers

SWAP_SECONDS = 10


@pytest.fixture
def station(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Workers]:
    folder = tmp_path / "judges"
    folder.mkdir()
    versioned(folder / "v1.onnx", "1")
    with workers(redis, redis_url, folder) as ours:
        yield ours


@pytest.fixture
def deepselfie(station: Workers) -> Callable[..., tuple[int, str]]:
    """Run a command as the operator of these workers."""

    def deepselfie(*arguments: str) -> tuple[int, str]:
        done = run(*arguments, environment=station.environment)
        return done.returncode, done.stdout + done.stderr

    return deepselfie


@pytest.mark.e2e
@pytest.mark.parametrize("side", [32, 48])
def test_a_judge_is_swapped_under_load_and_every_verdict_is_by_one_of_the_two(
    station: Workers, tmp_path: Path, side: int
) -> None:
    station.start()
    with Crowd(station, per_second=20) as crowd:
        assert eventually(lambda: len(crowd.keys) > 20)
        versioned(tmp_path / "v2.onnx", "2", side=side).rename(station.folder / "v2.onnx")
        assert station.logged("judge swapped", version="2", file="v2.onnx", before="brightness 1 (v1.onnx)")
        swapped = time.time()
        assert eventually(lambda: station.record(crowd.keys[-1]).times["new"] > swapped + 1)

    judges = {key: station.judged_by(key) for key in crowd.keys}
    assert set(judges.values()) == {"1", "2"}
    late = [key for key in crowd.keys if station.record(key).times["judging"] > swapped]
    assert {judges[key] for key in late} == {"2"}
    assert judges[crowd.keys[0]] == "1"
    assert not station.log.named("not judged")


@pytest.mark.e2e
def test_two_workers_come_to_the_same_judge_and_one_that_starts_later_too(
    station: Workers, redis: Redis, deepselfie: Callable[..., tuple[int, str]]
) -> None:
    station.start("worker")
    station.start("another")
    versioned(station.folder / "v2.onnx", "2")
    assert eventually(
        lambda: [words.version for words in reports(redis).values()] == ["2", "2"], SWAP_SECONDS
    )
    code, said = deepselfie("model", "use", "--previous", "--wait")
    assert (code, said.splitlines()[-1]) == (0, "2 workers judge with it")
    assert station.judged_by(station.mention()) == "1"

    station.start("later")
    assert [event["version"] for event in station.log.named("judge loaded")] == ["1", "1", "1"]
    assert eventually(lambda: "brightness 1 (v1.onnx) on 3 workers" in deepselfie("status")[1])


@pytest.mark.e2e
def test_a_bad_file_is_refused_in_log_and_status_while_the_old_one_goes_on(
    station: Workers, deepselfie: Callable[..., tuple[int, str]]
) -> None:
    station.start()
    versioned(station.folder / "v2.onnx", "2", off=-0.2)

    assert station.logged("judge refused", file=str(station.folder / "v2.onnx"))
    assert station.judged_by(station.mention()) == "1"
    [refused] = station.log.named("judge refused")
    assert "differ by 0.2, limit is 0.001" in refused["reason"]
    shown = "brightness 1 (v1.onnx) on 1 worker, cpu; refused v2.onnx: "
    assert eventually(lambda: shown in deepselfie("status")[1])
    [words] = json.loads(deepselfie("status", "--json")[1])["judges"].values()
    assert (words["name"], words["version"], words["file"]) == ("brightness", "1", "v1.onnx")
    assert list(words["refused"]) == ["v2.onnx"]
    time.sleep(5)
    assert len(station.log.named("judge refused")) == 1


@pytest.mark.e2e
def test_a_file_is_copied_slowly_rolled_back_and_deleted(station: Workers, tmp_path: Path) -> None:
    station.start()
    whole = versioned(tmp_path / "v2.onnx", "2").read_bytes()
    with (station.folder / "v2.onnx").open("wb") as file:
        file.write(whole[:-50])
        file.flush()
        assert station.logged("judge refused")
        assert station.judged_by(station.mention()) == "1"
        file.write(whole[-50:])
    assert station.logged("judge swapped", version="2")
    assert station.judged_by(station.mention()) == "2"

    touch(station.folder / "v1.onnx")
    assert station.logged("judge swapped", version="1")
    assert station.judged_by(station.mention()) == "1"

    (station.folder / "v1.onnx").unlink()
    (station.folder / "v2.onnx").unlink()
    assert station.logged("judge swapped", file="default.onnx")
    assert station.logged("judge swapped", name="drawn")
    assert station.judged_by(station.mention()).startswith("drawn ")


@pytest.mark.e2e
def test_an_older_file_that_is_moved_there_waits_to_be_chosen_and_the_log_says_how(
    station: Workers, deepselfie: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    station.start()
    moved = versioned(tmp_path / "v2.onnx", "2")
    os.utime(moved, (0, 0))
    moved.rename(station.folder / "v2.onnx")

    assert station.logged("judge older than the one in use", used="v1.onnx")
    assert station.judged_by(station.mention()) == "1"
    [said] = station.log.named("judge older than the one in use")
    assert said["level"] == "info"
    code, _ = deepselfie(*said["to_use"].removeprefix("deepselfie ").partition(",")[0].split(), "--wait")
    assert code == 0
    assert station.judged_by(station.mention()) == "2"


@pytest.mark.e2e
def test_a_shadow_judge_is_compared_and_never_answers(
    station: Workers, deepselfie: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    station.start()
    other = str(versioned(tmp_path / "other.onnx", "2", side=48))
    code, said = deepselfie("model", "use", other, "--shadow")
    assert code == 1
    assert "it sees squares of 48 pixels, brightness 1, which is in use, those of 32" in said
    versioned(tmp_path / "v2.onnx", "2")

    code, said = deepselfie("model", "use", str(tmp_path / "v2.onnx"), "--shadow", "--wait")

    assert (code, said.splitlines()[-1]) == (0, "1 worker judges with it")
    assert station.logged("shadow judge", judge="brightness 2 (v2.onnx)")
    assert [station.judged_by(station.mention()) for _ in range(5)] == ["1"] * 5
    assert "shadow     brightness 2 (v2.onnx) on 1 worker" in deepselfie("status")[1]


def test_status_tells_the_judges_apart_and_passes_over_the_dead(redis: Redis) -> None:
    one = Report(name="drawn", version="1.0.0", file="v1.onnx", put=1, since=1, refused={"v2.onnx": "bad"})
    other = Report(name="drawn", version="2", file="v3.onnx", put=2, since=1)
    shadow = Seat(name="drawn", version="3", file="v4.onnx", put=3)
    card = other.model_copy(update={"provider": "cuda"})
    for worker, words in {"a:1": one, "b:1": one, "c:1": other, "d:1": one, "f:1": card}.items():
        report(redis, worker, words.model_copy(update={"shadow": shadow}))
    redis.hset(JUDGES, "d:1", one.model_copy(update={"at": time.time() - 60}).model_dump_json())
    redis.hset(JUDGES, "e:1", "nonsense")

    assert in_words(reports(redis)) == [
        "judge      drawn 1.0.0 (v1.onnx) on 2 workers; refused v2.onnx: bad",
        "judge      drawn 2 (v3.onnx) on 1 worker",
        "judge      drawn 2 (v3.onnx) on 1 worker, cuda",
        "shadow     drawn 3 (v4.onnx) on 4 workers",
    ]
    assert redis.hkeys(JUDGES) == [b"a:1", b"b:1", b"c:1", b"f:1", b"e:1"]


def test_what_a_newer_worker_adds_an_older_reader_passes_over(redis: Redis) -> None:
    words = Report(name="drawn", version="1", file="v1.onnx", since=1)
    report(redis, "a:1", words)
    [said] = redis.hvals(JUDGES)
    redis.hset(JUDGES, "a:1", json.dumps(json.loads(said) | {"mood": "good"}))
    assert reports(redis)["a:1"].version == "1"


@pytest.mark.e2e
@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="onnxruntime-gpu is installed"
)
def test_a_worker_that_is_to_use_a_card_where_there_is_none_says_so_once_and_works(
    station: Workers, deepselfie: Callable[..., tuple[int, str]]
) -> None:
    station.environment["WORKER_PROVIDER"] = "cuda"
    station.start()

    [passed_over] = station.log.named("provider passed over")
    assert (passed_over["wanted"], passed_over["used"], passed_over["level"]) == ("cuda", "cpu", "warning")
    assert "pip install 'deepselfie[gpu]'" in passed_over["reason"]
    [loaded] = station.log.named("judge loaded")
    assert (loaded["provider"], loaded["threads"], loaded["calls"]) == ("cpu", 1, cores())
    assert loaded["batch"] == CPU_BATCH
    assert station.judged_by(station.mention()) == "1"
    assert eventually(lambda: "brightness 1 (v1.onnx) on 1 worker, cpu" in deepselfie("status")[1])
