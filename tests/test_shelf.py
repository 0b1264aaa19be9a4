"""A judges' folder under watch: what is loaded, what is refused, and what goes on meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from bot.logs import FIELDS
from model import folder
from model.judge import DEFAULT_FILE, Judge, JudgeRefused
from model.verification import verify
from tests.judges import brightness_judge, versioned
from worker.judges import Judges
from worker.shelf import Shelf

TICK_SECONDS = 0.02


class Watched:
    """A folder, and the shelf that watches it."""

    def __init__(self, place: Path) -> None:
        self.place = place / "judges"
        self.place.mkdir()
        self.tries: list[str] = []
        self.spare = versioned(place / "spare.onnx", "spare")
        self.shelf = Shelf(self.place, self._load, spare=self.spare)

    def _load(self, file: Path) -> Judge:
        self.tries.append(file.name)
        return verify(file)

    def put(self, version: str, **options: float) -> Path:
        time.sleep(TICK_SECONDS)
        return versioned(self.place / f"{version}.onnx", version, off=options.get("off", 0.0))

    def after_a_look(self) -> str:
        """The version that is loaded after one more look."""
        self.shelf.look()
        assert self.shelf.loaded
        return self.shelf.loaded.judge.card.version


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def said_older(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    return [
        getattr(record, FIELDS)
        for record in caplog.records
        if record.message == "judge older than the one in use"
    ]


def test_an_empty_folder_has_the_spare_serve(watched: Watched) -> None:
    assert watched.after_a_look() == "spare"
    assert not watched.shelf.look()


def test_a_file_that_is_put_there_serves_from_the_next_look_on(watched: Watched) -> None:
    watched.after_a_look()
    watched.put("1")
    assert watched.after_a_look() == "1"
    watched.put("2")
    assert watched.after_a_look() == "2"
    assert not watched.shelf.look()
    assert watched.tries == ["spare.onnx", "1.onnx", "2.onnx"]


def test_the_one_before_is_chosen_by_touching_it(watched: Watched) -> None:
    first = watched.put("1")
    watched.put("2")
    assert watched.after_a_look() == "2"
    folder.touch(first)
    assert watched.after_a_look() == "1"


def test_a_file_that_is_deleted_leaves_the_place_to_the_one_before(watched: Watched) -> None:
    first, second = watched.put("1"), watched.put("2")
    assert watched.after_a_look() == "2"
    second.unlink()
    assert watched.after_a_look() == "1"
    first.unlink()
    assert watched.after_a_look() == "spare"


def test_a_bad_file_is_refused_once_and_the_old_one_goes_on(watched: Watched) -> None:
    watched.put("1")
    watched.after_a_look()
    watched.put("2", off=-0.2)
    assert [watched.after_a_look() for _ in range(3)] == ["1", "1", "1"]
    assert watched.tries == ["1.onnx", "2.onnx"]
    assert list(watched.shelf.refused) == ["2.onnx"]
    assert "limit is 0.001" in watched.shelf.refused["2.onnx"]


def test_a_refused_file_is_tried_again_when_it_has_changed(watched: Watched) -> None:
    watched.put("2", off=-0.2)
    assert watched.after_a_look() == "spare"
    watched.put("2")
    assert watched.after_a_look() == "2"
    assert watched.shelf.refused == {}


def test_a_refused_file_is_tried_again_when_it_may_be_read_from_now_on(watched: Watched) -> None:
    file = watched.put("2", off=-0.2)
    for tries in (1, 2):
        assert watched.after_a_look() == "spare"
        assert watched.tries.count("2.onnx") == tries
        time.sleep(TICK_SECONDS)
        file.chmod(0o640)


@pytest.mark.parametrize(
    "command", ["chmod -R a+r judges", "cp -al judges backup", "tar -cf a.tar judges && tar -xf a.tar"]
)
def test_whoever_looks_after_the_files_has_nothing_swapped(watched: Watched, command: str) -> None:
    for version in ("2", "1", "3"):
        watched.put(version)
    folder.touch(watched.place / "1.onnx")
    assert watched.after_a_look() == "1"
    time.sleep(TICK_SECONDS)

    subprocess.run(command, shell=True, cwd=watched.place.parent, check=True)

    assert [watched.after_a_look() for _ in range(2)] == ["1", "1"]
    # tar keeps whole seconds: it may be loaded anew, but no other.
    assert set(watched.tries) == {"1.onnx"}


def test_an_older_file_that_is_moved_there_does_not_take_over_and_that_is_said_once(
    watched: Watched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    watched.put("0")
    watched.put("1")
    moved = versioned(tmp_path / "2.onnx", "2")
    os.utime(moved, (1e9, 1e9))
    assert watched.after_a_look() == "1"
    assert not said_older(caplog)

    moved.rename(watched.place / "2.onnx")

    assert [watched.after_a_look() for _ in range(3)] == ["1", "1", "1"]
    [said] = said_older(caplog)
    assert said["file"] == str(watched.place / "2.onnx")
    assert (said["dated"], said["used"]) == ("2001-09-09T01:46:40+00:00", "1.onnx")
    assert said["to_use"] == "deepselfie model use 2.onnx, or touch it"
    (watched.place / "2.onnx").touch()
    assert watched.after_a_look() == "2"
    assert len(said_older(caplog)) == 1


def test_where_the_one_in_use_is_dated_in_the_future_that_is_said_and_it_can_be_left(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    future = time.time() + 1e6
    os.utime(watched.put("1"), (future, future))
    assert watched.after_a_look() == "1"

    file = watched.put("2")

    assert watched.after_a_look() == "1"
    [said] = said_older(caplog)
    assert said["to_use"] == "deepselfie model use 2.onnx"
    assert said["used_dated"].endswith(", in the future")
    folder.touch(file)
    assert watched.after_a_look() == "2"


def test_the_reason_goes_with_the_file(watched: Watched) -> None:
    file = watched.put("2", off=-0.2)
    watched.after_a_look()
    file.unlink()
    watched.after_a_look()
    assert watched.shelf.refused == {}


def test_at_the_start_the_newest_that_is_good_serves(watched: Watched) -> None:
    watched.put("1")
    watched.put("2")
    watched.put("3", off=-0.2)
    watched.put("4", off=-0.2)
    assert watched.after_a_look() == "2"
    assert list(watched.shelf.refused) == ["4.onnx", "3.onnx"]


def test_a_half_copied_file_changes_nothing_until_it_is_whole(watched: Watched, tmp_path: Path) -> None:
    watched.put("1")
    watched.after_a_look()
    whole = versioned(tmp_path / "whole.onnx", "2").read_bytes()
    time.sleep(TICK_SECONDS)
    with (watched.place / "2.onnx").open("wb") as file:
        for part in (whole[:100], whole[100:300], whole[300:-1]):
            file.write(part)
            file.flush()
            assert watched.after_a_look() == "1"
            time.sleep(TICK_SECONDS)
        file.write(whole[-1:])
    assert watched.after_a_look() == "2"


def test_the_file_in_use_may_be_copied_over_slowly(watched: Watched, tmp_path: Path) -> None:
    """`cp` empties it first: neither the one before it nor a half of it serves meanwhile."""
    watched.put("0")
    current = watched.put("1")
    watched.after_a_look()
    whole = versioned(tmp_path / "whole.onnx", "2").read_bytes()
    time.sleep(TICK_SECONDS)
    with current.open("wb") as file:
        for part in (b"", whole[:200], whole[200:-1]):
            file.write(part)
            file.flush()
            assert watched.after_a_look() == "1"
            time.sleep(TICK_SECONDS)
        file.write(whole[-1:])
    assert watched.after_a_look() == "2"


def test_a_file_in_use_that_stays_broken_gives_way_to_the_one_before(watched: Watched) -> None:
    watched.put("0")
    current = watched.put("1")
    watched.after_a_look()
    time.sleep(TICK_SECONDS)
    current.write_bytes(b"nonsense")
    assert [watched.after_a_look() for _ in range(3)] == ["1", "0", "0"]


def test_a_file_that_changes_while_it_is_tried_is_neither_taken_nor_refused(tmp_path: Path) -> None:
    place = tmp_path / "judges"
    place.mkdir()
    file = versioned(place / "1.onnx", "1")

    def load(_: Path) -> Judge:
        time.sleep(TICK_SECONDS)
        shutil.copyfile(file, tmp_path / "copy")
        shutil.copyfile(tmp_path / "copy", file)
        return verify(file)

    shelf = Shelf(place, load)
    assert not shelf.look()
    assert (shelf.loaded, shelf.refused) == (None, {})


def test_the_judge_goes_on_while_the_folder_is_away(watched: Watched, tmp_path: Path) -> None:
    watched.put("1")
    watched.after_a_look()
    watched.place.rename(tmp_path / "elsewhere")
    assert watched.after_a_look() == "1"
    # Not mounted: another folder shows, which is empty.
    watched.place.mkdir()
    assert watched.after_a_look() == "1"
    watched.place.rmdir()
    (tmp_path / "elsewhere").rename(watched.place)
    assert not watched.shelf.look()
    watched.put("2")
    assert watched.after_a_look() == "2"


def test_a_folder_that_comes_late_is_followed(watched: Watched) -> None:
    watched.place.rmdir()
    assert watched.after_a_look() == "spare"
    watched.place.mkdir()
    watched.put("1")
    assert watched.after_a_look() == "1"


def test_whatever_a_file_brings_about_it_is_refused_alone(watched: Watched) -> None:
    def load(file: Path) -> Judge:
        if file.name == "2.onnx":
            raise MemoryError("no room for 3 GB")
        return verify(file)

    watched.put("1")
    watched.put("2")
    shelf = Shelf(watched.place, load)
    shelf.look()
    assert shelf.loaded
    assert shelf.loaded.judge.card.version == "1"
    assert shelf.refused == {"2.onnx": "MemoryError: no room for 3 GB"}


def test_without_a_folder_the_named_judge_serves(tmp_path: Path) -> None:
    assert Judges(spare=brightness_judge(tmp_path / "mine.onnx")).current.card.name == "brightness"


def test_without_any_judge_there_is_no_worker(tmp_path: Path) -> None:
    with pytest.raises(
        JudgeRefused, match=r"missing\.onnx: no such file; put a judge there, or unset WORKER_MODEL"
    ):
        Judges(spare=tmp_path / "missing.onnx")
    with pytest.raises(JudgeRefused, match="holds no 'card'"):
        Judges(tmp_path, spare=brightness_judge(tmp_path / "bad.onnx", card=""))


def test_a_link_to_another_place_is_followed(watched: Watched, tmp_path: Path) -> None:
    target = versioned(tmp_path / "target.onnx", "linked")
    subprocess.run(["ln", "-s", str(target), str(watched.place / "link.onnx")], check=True)
    assert watched.after_a_look() == "linked"


def test_an_old_judge_is_gone_with_the_last_who_uses_it(watched: Watched) -> None:
    watched.put("1")
    watched.after_a_look()
    assert watched.shelf.loaded
    pinned = watched.shelf.loaded.judge
    gone = weakref.ref(pinned)
    watched.put("2")
    assert [watched.after_a_look() for _ in range(2)] == ["2", "2"]
    assert pinned(np.zeros((1, 32, 32, 3), np.uint8)).scores.tolist() == [0]
    del pinned
    assert gone() is None


SWAPS = """
import sys
from pathlib import Path
from model.verification import verify
from worker.shelf import Shelf

def megabytes():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024

files = [Path(name) for name in sys.argv[1:]]
shelf = Shelf(files[0].parent, verify)
for number in range(14):
    files[number % 2].touch()
    assert shelf.look()
    shelf.look()
    print(megabytes())
"""


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_swaps_leave_memory_as_it_was(tmp_path: Path) -> None:
    files = [str(shutil.copy(DEFAULT_FILE, tmp_path / name)) for name in ("1.onnx", "2.onnx")]
    command = [sys.executable, "-c", SWAPS, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes = [int(line) for line in done.stdout.split()]
    # Four to get warm; ten of a few megabytes each would be 100.
    assert max(megabytes[4:]) - megabytes[3] < 25, megabytes
