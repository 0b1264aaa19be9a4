"""`deepselfie model export`, `ensemble` and `card`, from a real checkpoint on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bot.command import main
from model.judge import DEFAULT_FILE, Judge
from model.training.checkpoint import Checkpoint, build, save
from model.training.config import Config
from tests.judging import grey_dataset
from tests.networks import LABELS

CONFIG = Config(backbone="tiny", seed=7)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder: a head that goes by brightness, as well as it can."""
    folder = tmp_path_factory.mktemp("runs") / "bright"
    folder.mkdir()
    examples = grey_dataset(folder.parent / "grey", photos=90)
    network = build(CONFIG, 2)
    levels = torch.arange(0, 256, 16, dtype=torch.uint8)[:, None, None, None]
    with torch.no_grad():
        features = network.finish(*network.begin(levels.expand(-1, network.side, network.side, 3), 0), 0)
        network.standardise(features.mean(0), features.std(0))
        standard = (features - network.centre) / network.spread
        target = torch.linspace(-3, 3, len(levels))
        weights = torch.linalg.lstsq(standard, target[:, None], driver="gelsd").solution[:, 0]
        network.head.weight.copy_(torch.stack([-weights, weights]) / 2)
    saved = Checkpoint(
        config=CONFIG,
        labels=LABELS,
        fingerprint=examples.fingerprint,
        dataset=str(examples.folder),
        commit="c" * 40,
        epoch=3,
        step=0,
        metrics={},
        state=network.state_dict(),
    )
    save(saved, folder / "best.pt")
    return folder


def test_a_checkpoint_becomes_a_judge(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "judge.onnx"
    arguments = ["--out", str(file), "--version", "7", "--licence", "MIT", "--max-batch", "16", "--json"]
    assert main(["model", "export", str(run / "best.pt"), *arguments]) == 0

    told = json.loads(capsys.readouterr().out)
    card = Judge(file).card
    assert told == card.model_dump(mode="json")
    assert (card.name, card.version, card.licence, card.max_batch) == ("bright", "7", "MIT", 16)
    assert "tiny" in card.training
    assert "3 epochs on dataset ffffffffffff, by deepselfie cccccccccccc" in card.training
    assert card.metrics["auc"] > 0.7


def test_two_judges_become_one_that_is_measured(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [str(tmp_path / f"{name}.onnx") for name in ("one", "two", "both")]
    for file, most in zip(files[:2], ("8", "2"), strict=True):
        assert main(["model", "export", str(run / "best.pt"), "--out", file, "--max-batch", most]) == 0
    dataset = str(run.parent / "grey")
    assert main(["model", "ensemble", *files[:2], "--out", files[2], "--dataset", dataset]) == 0

    card = Judge(Path(files[2])).card
    assert (card.name, card.max_batch) == ("both", 2)
    assert card.metrics["auc"] > 0.7
    assert len(card.reference) == 101
    assert "members       bright 1, bright 1" in capsys.readouterr().out


def test_a_card_can_be_read_by_people_and_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "card", str(DEFAULT_FILE)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{Judge(DEFAULT_FILE).card.name} ")
    for words in (
        "labels        bad (0), good (1)",
        "input         photos uint8 (n, 224, 224, 3)",
        "MB, opset",
    ):
        assert words in told

    assert main(["model", "card", str(DEFAULT_FILE), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"] == [{"name": "photos", "type": "uint8", "shape": ["n", 224, 224, 3]}]
    assert {output["name"] for output in found["outputs"]} >= {"probabilities", "embedding"}
    assert found["card"]["labels"][1] == {"name": "good", "value": 1.0}
    assert found["bytes"] == DEFAULT_FILE.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["card", "none.onnx"], "none.onnx: no such file"),
        (["ensemble", "none.onnx", "nothing.onnx", "--out", "x.onnx"], "none.onnx: no such file"),
        (["export", "none.pt", "--out", "x.onnx"], "checkpoint none.pt cannot be read"),
        (["export", "RUN/best.pt", "--out", "x.onnx", "--dataset", "none"], "none/dataset.json is missing"),
        (["export", "RUN/best.pt", "--out", "no/such/x.onnx"], "no/such/x.onnx cannot be written"),
        (["export", "RUN/best.pt", "--out", "x.onnx", "--caution", "x" * 200], "caution"),
    ],
)
def test_what_goes_wrong_is_told_in_one_sentence(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["model", *(argument.replace("RUN", str(run)) for argument in arguments)]) == 1

    told = capsys.readouterr()
    assert words in told.err
    assert told.err.startswith("deepselfie: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.e2e
def test_a_disk_that_fills_is_told_in_one_sentence_and_leaves_nothing(run: Path, tmp_path: Path) -> None:
    limited = ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", sys.executable, "-m", "bot"]
    arguments = ["model", "export", str(run / "best.pt"), "--out", str(tmp_path / "judge.onnx")]
    done = subprocess.run([*limited, *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("deepselfie: ")
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["evaluate", "export", "ensemble", "card"])
def test_every_command_explains_itself(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["model", step, "--help"])
    assert f"usage: deepselfie model {step}" in capsys.readouterr().out
