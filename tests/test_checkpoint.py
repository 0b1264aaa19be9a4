"""A training run on disk: written whole or not at all, read without running anything in it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.card import Label
from model.training.checkpoint import Checkpoint, build, commit, load, save
from model.training.config import Config
from model.training.failure import TrainingFailed

CONFIG = Config(backbone="tiny", seed=7)
LABELS = (Label(name="bad", value=0), Label(name="good", value=1))


def checkpoint() -> Checkpoint:
    network = build(CONFIG, 2)
    torch.nn.init.normal_(network.head.weight)
    network.standardise(torch.rand(network.features), torch.rand(network.features))
    return Checkpoint(
        config=CONFIG,
        labels=LABELS,
        fingerprint="f1",
        dataset="selfies",
        commit="c1",
        epoch=2,
        step=5,
        metrics={"accuracy": 0.6},
        state=network.state_dict(),
        progress={"curves": [{"epoch": 1, "loss": 0.7}]},
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = checkpoint()
    save(saved, tmp_path / "last.pt")
    loaded = load(tmp_path / "last.pt")
    assert replace(loaded, state={}) == replace(saved, state={})
    assert all(torch.equal(value, saved.state[name]) for name, value in loaded.state.items())
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_its_network_judges_as_the_one_that_was_saved(tmp_path: Path) -> None:
    saved = checkpoint()
    save(saved, tmp_path / "last.pt")
    network = load(tmp_path / "last.pt").network()
    original = build(CONFIG, 2)
    original.load_state_dict(saved.state)
    photos = torch.randint(0, 256, (3, network.side, network.side, 3), dtype=torch.uint8)
    assert not network.training
    with torch.no_grad():
        assert torch.allclose(network.logits(photos), original.eval().logits(photos), atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"cos\nsystem\n(S'true'\ntR."])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(TrainingFailed, match=r"last\.pt is damaged"):
        load(tmp_path / "last.pt")


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"format": "deepselfie-checkpoint-0"}, tmp_path / "last.pt")
    with pytest.raises(TrainingFailed, match="no checkpoint of this version"):
        load(tmp_path / "last.pt")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"best\.pt cannot be read: No such file"):
        load(tmp_path / "best.pt")


def test_the_commit_of_the_program_is_known_in_a_repository(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("not run from a repository")
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert commit().removesuffix("-dirty") == head.stdout.strip()


@pytest.mark.e2e
def test_where_the_disk_is_full_the_older_checkpoint_stays(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    save(checkpoint(), file)
    before = file.read_bytes()
    program = f"""
from pathlib import Path
from dataclasses import replace
from model.training.checkpoint import load, save
from model.training.failure import TrainingFailed
import resource
older = load(Path({str(file)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2}, resource.RLIM_INFINITY))
try:
    save(replace(older, epoch=3), Path({str(file)!r}))
except TrainingFailed as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large" in done.stdout
    assert file.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
