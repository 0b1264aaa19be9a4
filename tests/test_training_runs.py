"""Whole training runs, small ones: what they write, what ends them, and how they go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.training.checkpoint import build, load
from model.training.command import train
from model.training.config import Config
from model.training.trunk import Trunk, runner
from tests.datasets import bright_or_dark

pytestmark = pytest.mark.e2e

TINY = ("--backbone", "tiny", "--rate", "3e-4", "--batch", "16", "--processes", "1", "--epochs", "3")
SECONDS = 120
TRAIN = ("-m", "model.training")
# A process that is killed a moment after it has saved for the third time, whatever it is at then.
MORTAL = """
import os, signal, sys, threading
from itertools import count
from model.training import run
from model.training.command import train

save, saved = run.save, count(1)

def save_and_die(*what):
    save(*what)
    if next(saved) == 3:
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGKILL)).start()

run.save = save_and_die
sys.exit(train(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bright_or_dark(tmp_path_factory.mktemp("dataset") / "photos of two kinds", 96)


def command(dataset: Path, out: Path, *more: str) -> list[str]:
    return [str(dataset), "--out", str(out), *TINY, *more]


def said(capsys: pytest.CaptureFixture[str], dataset: Path, out: Path, *more: str) -> str:
    """The sentence that a run ends with, which cannot go on."""
    assert train(command(dataset, out, *more)) == 1
    error = capsys.readouterr().err
    assert error.startswith("deepselfie: ")
    assert error.count("\n") == 1
    return error


def _last_line(capsys: pytest.CaptureFixture[str], dataset: Path, out: Path, *more: str) -> str:
    assert train(command(dataset, out, *more)) == 1
    return capsys.readouterr().err.splitlines()[-1]


def same_weights(first: Path, second: Path) -> bool:
    one, other = (load(run / "last.pt").state for run in (first, second))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def launched(arguments: Sequence[str], *, python: Sequence[str] = TRAIN) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *python, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_a_run_learns_what_is_bright(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(command(dataset, out, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checkpoint"] == str(out / "best.pt")
    assert told["accuracy"] > 0.8
    history = json.loads((out / "curves.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1]["loss"] < history[0]["loss"]
    with Image.open(out / "curves.png") as picture:
        assert picture.size == (900, 400)
    best = load(out / "best.pt")
    assert (best.fingerprint, best.dataset) == ("f1", str(dataset))
    assert best.metrics == {"loss": told["loss"], "accuracy": told["accuracy"]}
    squares = torch.stack([torch.full((64, 64, 3), level, dtype=torch.uint8) for level in (80, 170)])
    dark, bright = best.network()(squares)[0][:, 1]
    assert dark < 0.5 < bright
    # Once more, it is done already.
    began = (out / "last.pt").stat().st_mtime_ns
    assert train(command(dataset, out, "--json")) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert (out / "last.pt").stat().st_mtime_ns == began


def test_the_same_seed_trains_the_same_network_from_a_cache_or_from_the_disk(
    dataset: Path, tmp_path: Path
) -> None:
    augmented = ("--augment", "on", "--rotate", "20")
    assert train(command(dataset, tmp_path / "cached", *augmented)) == 0
    assert train(command(dataset, tmp_path / "read", *augmented, "--cache", "0", "--processes", "2")) == 0
    assert train(command(dataset, tmp_path / "other", *augmented, "--seed", "1")) == 0
    assert (tmp_path / "cached/cache").exists()
    assert not (tmp_path / "read/cache").exists()
    assert same_weights(tmp_path / "cached", tmp_path / "read")
    assert not same_weights(tmp_path / "cached", tmp_path / "other")


@pytest.mark.parametrize("freeze", ["2", "all"])
def test_what_is_frozen_stays_and_its_output_is_kept(dataset: Path, tmp_path: Path, freeze: str) -> None:
    out = tmp_path / "run"
    frozen = ("--freeze", freeze, "--rate", "1e-4")
    assert train(command(dataset, out, *frozen, "--cache-folder", str(tmp_path / "shared"))) == 0
    assert train(command(dataset, tmp_path / "read", *frozen, "--cache", "0")) == 0
    assert not (out / "cache").exists()
    last, read = load(out / "last.pt"), load(tmp_path / "read/last.pt")
    for layer in ("0", "2"):
        name = f"backbone.published.{layer}.weight"
        assert torch.equal(last.state[name], read.state[name])
    assert not torch.equal(last.state["head.weight"], torch.zeros_like(last.state["head.weight"]))
    # Maps are kept in 16 bits.
    assert last.metrics["loss"] == pytest.approx(read.metrics["loss"], abs=2e-3)


def test_a_killed_run_goes_on_to_the_same_weights(dataset: Path, tmp_path: Path) -> None:
    more = ("--dropout", "0.3", "--epochs", "6", "--augment", "on", "--save-seconds", "0")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = launched(command(dataset, whole, *more))
    undisturbed.communicate(timeout=SECONDS)
    assert undisturbed.returncode == 0
    for python in (("-c", MORTAL), ("-c", MORTAL), TRAIN):
        run = launched(command(dataset, killed, *more), python=python)
        _, error = run.communicate(timeout=SECONDS)
        assert run.returncode == (0 if python is TRAIN else -signal.SIGKILL), error
    assert same_weights(whole, killed)
    first, second = (json.loads((run / "curves.json").read_text()) for run in (whole, killed))
    assert [row["loss"] for row in first] == [row["loss"] for row in second]


def test_a_run_on_another_dataset_or_with_other_options_is_not_gone_on_with(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(command(dataset, out)) == 0
    capsys.readouterr()
    assert "holds a run with decay 0.01, not 0.5; give another --out" in said(
        capsys, dataset, out, "--decay", "0.5"
    )
    other = bright_or_dark(tmp_path / "other", fingerprint="f2")
    assert "holds a run on another dataset (fingerprint f1, this one's is f2)" in said(capsys, other, out)


def test_a_loss_that_is_no_number_ends_the_run_and_its_last_checkpoint_is_good(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    wild = (
        "--rate",
        "1e18",
        "--optimiser",
        "sgd",
        "--clip",
        "0",
        "--save-seconds",
        "0",
        "--schedule",
        "constant",
    )
    assert "the last checkpoint is whole: begin again with a lower --rate" in said(
        capsys, dataset, out, *wild
    )
    assert all(torch.isfinite(value).all() for value in load(out / "last.pt").state.values())


def test_a_full_disk_ends_the_run_in_one_sentence_and_it_goes_on_once_there_is_room(
    dataset: Path, tmp_path: Path
) -> None:
    out, small = tmp_path / "run", ("--cache", "0", "--batch", "4")
    assert train(command(dataset, out, *small)) == 0
    limit = (out / "last.pt").stat().st_size - 1
    shutil.rmtree(out)
    program = f"""
import resource, sys
from model.training.command import train
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
sys.exit(train({command(dataset, out, *small)!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "last.pt cannot be written (File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "best.pt").exists()
    assert train(command(dataset, out, *small)) == 0
    assert load(out / "last.pt").epoch == 3


def test_a_photo_that_cannot_be_read_is_left_out_and_many_are_too_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bright_or_dark(tmp_path / "damaged", 96)
    (folder / "photos/000.png").unlink()
    (folder / "photos/001.png").write_bytes(b"no photo")
    assert train(command(folder, tmp_path / "some")) == 0
    error = capsys.readouterr().err
    assert "left out: " in error
    assert "000.png cannot be read: No such file" in error
    for file in sorted((folder / "photos").iterdir())[:40]:
        file.unlink()
    for more in ((), ("--cache", "0")):
        assert "photos cannot be read, limit is 10%" in _last_line(capsys, folder, tmp_path / "many", *more)


def test_one_label_alone_and_a_missing_dataset_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "dataset.json is missing" in said(capsys, tmp_path / "nowhere", tmp_path / "run")
    folder = bright_or_dark(tmp_path / "alike", only=1)
    assert "are 'good'; two labels are needed" in said(capsys, folder, tmp_path / "run")
    both = bright_or_dark(tmp_path / "both")
    assert "no package has weights" in said(capsys, both, tmp_path / "run", "--backbone", "vgg16")
    assert not (tmp_path / "run").exists()


def test_a_head_that_sees_shots_is_fitted_at_once(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steady = ("--alike", "take", "--freeze", "all", "--pooling", "stages", "--json")

    assert train(command(dataset, tmp_path / "run", *steady)) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["epochs"] == 1
    assert told["accuracy"] > 0.8
    before = (tmp_path / "run/last.pt").read_bytes()
    assert train(command(dataset, tmp_path / "run", *steady)) == 0
    assert (tmp_path / "run/last.pt").read_bytes() == before


def test_shots_that_are_unknown_or_of_no_use_are_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = said(capsys, dataset, tmp_path / "run", "--alike", "scene", "--freeze", "all")
    assert "--alike is 'scene'" in unknown
    assert "take" in unknown
    for more in (
        ("--freeze", "none"),
        ("--freeze", "all", "--augment", "on"),
        ("--freeze", "all", "--cache", "0"),
    ):
        line = _last_line(capsys, dataset, tmp_path / "-".join(more), "--alike", "take", *more)
        assert "--alike needs a frozen backbone" in line


def test_two_processes_lose_what_one_does(dataset: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert train(command(dataset, alone)) == 0
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", "model.training", *command(dataset, together, "--json")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 3
    first, second = (json.loads((run / "curves.json").read_text()) for run in (alone, together))
    for one, other in zip(first, second, strict=True):
        for key in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
            assert one[key] == pytest.approx(other[key], abs=1e-5)


def test_training_stops_when_nothing_gets_better(dataset: Path, tmp_path: Path) -> None:
    still = ("--patience", "2", "--epochs", "50", "--rate", "1e-12", "--schedule", "constant", "--decay", "0")
    out = tmp_path / "run"
    assert train(command(dataset, out, *still)) == 0
    assert load(out / "last.pt").epoch < 50


@pytest.mark.parametrize(("pooling", "depth"), [("last", 4), ("last", 2), ("stages", 4), ("stages", 2)])
def test_onnx_runtime_computes_the_frozen_part_as_torch_does(pooling: str, depth: int) -> None:
    network = build(Config.model_validate({"backbone": "tiny", "pooling": pooling}), 2)
    trunk, cpu = Trunk(network, depth), torch.device("cpu")
    photos = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    slow, fast = (runner(trunk, cpu, count)(photos) for count in (5, 5000))
    assert len(slow) == (1 if depth == 4 else 2)
    for one, other in zip(slow, fast, strict=True):
        assert one.shape == other.shape
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_run_begins_with_another_one_s_backbone_and_head(dataset: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(command(dataset, first)) == 0
    best = first / "best.pt"
    still = ("--weights", str(best), "--freeze", "2", "--rate", "1e-12", "--epochs", "1")
    assert train(command(dataset, second, *still)) == 0
    before, after = load(best), load(second / "last.pt")
    assert after.metrics["loss"] == pytest.approx(before.metrics["loss"], abs=1e-3)
    for name, value in before.state.items():
        assert torch.allclose(value, after.state[name], atol=1e-6), name
