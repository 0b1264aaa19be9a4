"""Which judge of a folder is the one in use, by what the file system says alone."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model import folder
from model.folder import Entry, NotChosen, entries, entry_of

TICK_SECONDS = 0.02


@pytest.fixture
def judges(tmp_path: Path) -> Path:
    directory = tmp_path / "judges"
    directory.mkdir()
    return directory


def put(judges: Path, name: str, content: bytes = b"x") -> Path:
    time.sleep(TICK_SECONDS)
    file = judges / name
    file.write_bytes(content)
    return file


def names(judges: Path) -> list[str]:
    return [entry.file.name for entry in entries(judges)]


def test_the_file_that_was_put_there_last_is_in_use(judges: Path) -> None:
    put(judges, "b.onnx")
    put(judges, "a.onnx")

    assert names(judges) == ["a.onnx", "b.onnx"]


def test_to_touch_a_file_is_to_choose_it(judges: Path) -> None:
    old = put(judges, "old.onnx")
    put(judges, "new.onnx")
    time.sleep(TICK_SECONDS)

    subprocess.run(["touch", str(old)], check=True)

    assert names(judges) == ["old.onnx", "new.onnx"]


def test_an_old_file_that_is_copied_there_counts_from_now_and_one_that_keeps_its_date_does_not(
    judges: Path, tmp_path: Path
) -> None:
    old = put(tmp_path, "old.onnx")
    os.utime(old, (0, 0))
    put(judges, "first.onnx")
    time.sleep(TICK_SECONDS)

    for *command, target in (
        ["cp", "copied.onnx"],
        ["cp", "-p", "dated.onnx"],
        ["ln", "linked.onnx"],
        ["mv", "moved.onnx"],
    ):
        subprocess.run([*command, str(old), str(judges / target)], check=True)

    assert names(judges) == ["copied.onnx", "first.onnx", "moved.onnx", "linked.onnx", "dated.onnx"]


@pytest.mark.parametrize(
    "command",
    [
        "chmod -R a+r judges",
        f"chown -R {os.getuid()} judges",
        "cp -al judges backup && rm -r backup",
        "tar -cf judges.tar judges && rm -r judges && tar -xf judges.tar",
        "cp -a judges copy && rm -r judges && mv copy judges",
    ],
)
def test_whoever_looks_after_the_files_changes_nothing(judges: Path, command: str) -> None:
    """The order is neither that of names, nor that in which they were made or last changed."""
    order = ["m.onnx", "z.onnx", "a.onnx", "k.onnx"]
    for name in order:
        age = 10.7 * (1 + order.index(name))
        os.utime(put(judges, name), (time.time() - age, time.time() - age))
    assert names(judges) == order
    time.sleep(TICK_SECONDS)

    subprocess.run(command, shell=True, cwd=judges.parent, check=True)

    assert names(judges) == order


def test_what_was_chosen_is_in_use_after_a_restore_that_knows_whole_seconds_only(
    judges: Path, tmp_path: Path
) -> None:
    put(judges, "z.onnx")
    folder.copy(put(tmp_path, "b.onnx"), judges, "b.onnx")
    folder.touch(put(judges, "a.onnx"))

    subprocess.run(
        "tar -cf judges.tar judges && rm -r judges && tar -xf judges.tar",
        shell=True,
        cwd=judges.parent,
        check=True,
    )

    assert names(judges)[0] == "a.onnx"


def test_a_link_counts_from_when_it_was_made(judges: Path, tmp_path: Path) -> None:
    target = put(tmp_path, "target.onnx")
    put(judges, "first.onnx")
    time.sleep(TICK_SECONDS)

    (judges / "link.onnx").symlink_to(target)

    assert names(judges) == ["link.onnx", "first.onnx"]


def test_a_link_that_leads_elsewhere_from_now_on_is_another_entry(judges: Path, tmp_path: Path) -> None:
    """That is how a Kubernetes volume changes its content: at one stroke, by a link."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        put(tmp_path / version, "judge.onnx")
    (judges / "..data").symlink_to(tmp_path / "1")
    (judges / "judge.onnx").symlink_to("..data/judge.onnx")
    before = entries(judges)
    (judges / "..new").symlink_to(tmp_path / "2")
    (judges / "..new").rename(judges / "..data")

    assert [entry.file.name for entry in before] == names(judges) == ["judge.onnx"]
    assert entries(judges) != before


def test_of_two_files_of_one_moment_the_later_name_is_in_use(judges: Path) -> None:
    """Two names of one inode always have the same time."""
    os.link(put(judges, "v1.onnx"), judges / "v2.onnx")
    assert names(judges) == ["v2.onnx", "v1.onnx"]


def test_what_is_no_judges_file_is_passed_over(judges: Path) -> None:
    put(judges, "judge.onnx")
    for name in (
        ".hidden.onnx",
        "~draft.onnx",
        "judge.onnx.part",
        "notes.txt",
        "two\nlines.onnx",
        "\udcff.onnx",
    ):
        put(judges, name)
    (judges / "folder.onnx").mkdir()
    (judges / "nowhere.onnx").symlink_to("missing")
    (judges / "circle.onnx").symlink_to("circle.onnx")
    os.mkfifo(judges / "pipe.onnx")

    assert names(judges) == ["judge.onnx"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        entries(tmp_path / "missing")


def test_who_may_read_it_makes_no_other_entry(judges: Path) -> None:
    before = entry_of(put(judges, "judge.onnx"))
    time.sleep(TICK_SECONDS)
    (judges / "judge.onnx").chmod(0o600)
    after = entry_of(judges / "judge.onnx")
    assert before
    assert after
    assert before == after
    assert before.changed < after.changed


def test_other_content_is_another_entry(judges: Path) -> None:
    before = entry_of(put(judges, "judge.onnx", b"one"))
    assert before == entry_of(judges / "judge.onnx")
    assert before != entry_of(put(judges, "judge.onnx", b"two"))


def test_a_copy_is_there_at_once_and_last_and_readable_by_all(judges: Path, tmp_path: Path) -> None:
    file = put(tmp_path, "new.onnx", b"new")
    file.chmod(0o600)
    put(judges, "old.onnx")

    entry = folder.copy(file, judges, "new.onnx")

    assert entries(judges)[0] == entry
    assert entry.file.read_bytes() == b"new"
    assert entry.file.stat().st_mode & 0o777 == 0o644
    assert sorted(file.name for file in judges.iterdir()) == ["new.onnx", "old.onnx"]


def test_a_copy_that_fails_leaves_nothing(judges: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        folder.copy(tmp_path / "missing.onnx", judges, "new.onnx")

    assert list(judges.iterdir()) == []


@pytest.mark.parametrize("name", ["judge.txt", ".judge.onnx"])
def test_a_copy_under_a_name_that_nobody_would_look_at_is_refused(
    judges: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(NotChosen, match=r"ends in \.onnx"):
        folder.copy(put(tmp_path, "new.onnx"), judges, name)


def test_going_back_and_forth_at_once_ends_with_the_last_one(judges: Path) -> None:
    one, two = put(judges, "a.onnx"), put(judges, "b.onnx")
    for file in (two, one, two, one):
        assert folder.touch(file) == entries(judges)[0]
        assert names(judges)[0] == file.name


def test_what_is_put_there_after_a_choice_is_in_use_though_the_choice_was_made_in_the_same_second(
    judges: Path,
) -> None:
    put(judges, "a.onnx")
    folder.touch(put(judges, "b.onnx"))
    put(judges, "c.onnx")

    assert names(judges)[0] == "c.onnx"


def test_a_date_in_the_future_keeps_nobody_from_choosing(judges: Path, tmp_path: Path) -> None:
    future = time.time() + 1e8
    os.utime(put(judges, "future.onnx"), (future, future))
    old = put(judges, "old.onnx")
    assert [entry.is_ahead for entry in entries(judges)] == [True, False]

    folder.touch(old)
    assert names(judges) == ["old.onnx", "future.onnx"]
    assert entries(judges)[0].put == (int(future) + 1) * 10**9
    folder.copy(put(tmp_path, "new.onnx"), judges, "new.onnx")
    assert names(judges) == ["new.onnx", "old.onnx", "future.onnx"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "1969-12-31T23:59:59+00:00"),
        (2**33, "2242-03-16T12:56:32+00:00"),
        (2**62, f"{2**62} s after 1970"),
    ],
)
def test_a_date_of_any_size_can_be_told(seconds: int, told: str) -> None:
    assert Entry(Path("a.onnx"), put=seconds * 10**9, size=1, written=0, changed=0).dated == told


def test_a_second_name_of_the_file_in_use_cannot_be_chosen_before_it(judges: Path) -> None:
    file = put(judges, "a.onnx")
    os.link(file, judges / "b.onnx")

    with pytest.raises(NotChosen, match=r"b\.onnx is a second name of this file, and the one in use"):
        folder.touch(file)


def test_thousands_of_files_are_listed_in_a_moment(judges: Path) -> None:
    for number in range(3000):
        (judges / f"{number}.onnx").touch()
    started = time.monotonic()

    assert len(entries(judges)) == 3000
    assert time.monotonic() - started < 1


def test_a_copy_is_never_seen_in_part(judges: Path, tmp_path: Path) -> None:
    file = put(tmp_path, "large.onnx", b"x" * 30_000_000)
    sizes = set()
    with ThreadPoolExecutor(1) as pool:
        copied = pool.submit(folder.copy, file, judges, "large.onnx")
        while not copied.done():
            sizes |= {entry.size for entry in entries(judges)}

    assert copied.result().size == 30_000_000
    assert sizes <= {30_000_000}
