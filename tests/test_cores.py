"""How many cores a container really has, from control groups made up for it, and in a real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model.cores import cores

ALL = len(os.sched_getaffinity(0))


def groups(root: Path, mine: str, **quotas: str) -> tuple[Path, Path]:
    """Control groups with some files in them, and this process's place among them."""
    for name, text in quotas.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    place = root / "mine"
    place.write_text(mine + "\n")
    return root, place


def test_without_control_groups_it_is_the_cores_that_the_process_may_run_on(tmp_path: Path) -> None:
    assert cores(tmp_path, tmp_path / "missing") == ALL


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("9900000 100000", ALL),
        ("max 100000", ALL),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, quota: str, count: int) -> None:
    assert cores(*groups(tmp_path, "0::/", **{"cpu.max": quota})) == count


@pytest.mark.skipif(ALL < 2, reason="this machine has one core")
def test_a_quota_of_a_core_and_a_half_is_used_up_by_two(tmp_path: Path) -> None:
    assert cores(*groups(tmp_path, "0::/", **{"cpu.max": "150000 100000"})) == 2


def test_the_smallest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    quotas = {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}
    assert cores(*groups(tmp_path, "0::/a/b", **quotas)) == 1


def test_a_quota_of_another_group_does_not_count(tmp_path: Path) -> None:
    assert cores(*groups(tmp_path, "0::/a", **{"b/cpu.max": "100000 100000"})) == ALL


@pytest.mark.parametrize("path", ["/", "/docker/0123", "/../../elsewhere"])
def test_in_a_container_the_root_is_the_containers_own(tmp_path: Path, path: str) -> None:
    assert cores(*groups(tmp_path, f"0::{path}", **{"cpu.max": "100000 100000"})) == 1


@pytest.mark.parametrize(("quota", "count"), [("100000", 1), ("-1", ALL)])
def test_the_old_kind_of_control_groups_is_known_too(tmp_path: Path, quota: str, count: int) -> None:
    quotas = {"cpu,cpuacct/a/cpu.cfs_quota_us": quota, "cpu,cpuacct/a/cpu.cfs_period_us": "100000"}
    assert cores(*groups(tmp_path, "5:memory:/a\n4:cpu,cpuacct:/a\n0::/", **quotas)) == count


@pytest.mark.parametrize("text", ["", "nonsense", "100000", "100000 0", "1e5 100000"])
def test_what_makes_no_sense_is_no_quota(tmp_path: Path, text: str) -> None:
    assert cores(*groups(tmp_path, "0::/", **{"cpu.max": text})) == ALL


@pytest.mark.skipif(ALL < 2, reason="this machine has one core")
def test_a_process_that_is_bound_to_a_core_has_one(repository: Path) -> None:
    bound = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    program = f"{bound}; from model.cores import cores; print(cores())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


def image() -> str | None:
    """An image with Python that this machine's Docker Engine has already; None if there is none."""
    if not shutil.which("docker"):
        return None
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "python"],
        capture_output=True,
        text=True,
        check=False,
    )
    return next((name for name in listed.stdout.split() if "<none>" not in name), None)


@pytest.mark.e2e
def test_a_real_container_has_what_it_was_given(repository: Path) -> None:
    python = image()
    if not python:
        pytest.skip("no Docker Engine that has a python image; `docker pull python:3.11-slim-bookworm`")
    file = repository / "model" / "cores.py"
    command = ["docker", "run", "--rm", "--cpus=1", "--network=none", "--volume", f"{file}:/cores.py:ro"]
    program = "import sys; sys.path.insert(0, '/'); import cores; print(cores.cores())"
    done = subprocess.run(
        [*command, python, "python", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
