"""Is a file fit to serve? Real ONNX files, tried in the process itself and apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from model import verification
from model.card import Parity, Sample
from model.judge import DEFAULT_FILE, JudgeRefused
from model.verification import verify, verify_apart
from tests.judges import CARD, brightness_judge, versioned


def test_the_judge_that_comes_along_is_fit_here() -> None:
    assert verify_apart(DEFAULT_FILE).parity == verify(DEFAULT_FILE).card.parity
    assert verify(DEFAULT_FILE).card.parity


def test_a_judge_says_here_what_its_card_says(tmp_path: Path) -> None:
    assert verify(versioned(tmp_path / "judge.onnx", "2")).card.version == "2"


def test_a_judge_that_says_something_else_than_its_card_is_refused(tmp_path: Path) -> None:
    file = versioned(tmp_path / "judge.onnx", "2", off=0.1)
    for check in (verify, verify_apart):
        with pytest.raises(
            JudgeRefused, match=r"judge\.onnx: for sample 1 .*differ by 0\.1, limit is 0\.001"
        ):
            check(file)


def test_samples_of_other_labels_are_refused(tmp_path: Path) -> None:
    parity = Parity(gap=0, photos=0, tolerance=1e-3, samples=(Sample(seed=1, probabilities=(0.1, 0.2, 0.7)),))
    card = CARD.model_copy(update={"parity": parity}).model_dump_json()
    with pytest.raises(JudgeRefused, match=r"samples of \[3\] probabilities, expected 2"):
        verify(brightness_judge(tmp_path / "judge.onnx", card=card))


def test_a_judge_without_samples_is_taken_at_its_word(tmp_path: Path) -> None:
    file = brightness_judge(tmp_path / "judge.onnx")
    assert verify(file).card == verify_apart(file) == CARD


def test_a_file_is_refused_for_the_same_reason_apart(tmp_path: Path) -> None:
    file = brightness_judge(tmp_path / "judge.onnx", card="")
    with pytest.raises(JudgeRefused) as here:
        verify(file)
    with pytest.raises(JudgeRefused) as apart:
        verify_apart(file)
    assert str(here.value) == str(apart.value)


def test_no_half_of_a_file_passes_for_a_judge(tmp_path: Path) -> None:
    whole = versioned(tmp_path / "whole.onnx", "2").read_bytes()
    half = tmp_path / "half.onnx"
    for size in range(0, len(whole), max(1, len(whole) // 300)):
        half.write_bytes(whole[:size])
        with pytest.raises(JudgeRefused):
            verify(half)


def test_what_ends_its_process_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(verification, "TRIAL", crash)
    with pytest.raises(JudgeRefused, match=r"ended with status -11 .*crashes ONNX Runtime"):
        verify_apart(tmp_path / "judge.onnx")


def test_what_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "TRIAL", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(verification, "TRIAL_SECONDS", 0.2)
    with pytest.raises(JudgeRefused, match=r"more than 0\.2 s"):
        verify_apart(tmp_path / "judge.onnx")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_file_that_may_not_be_read_says_whose_it_is() -> None:
    program = """
import os, sys
from pathlib import Path
from model.judge import JudgeRefused
from model.verification import verify
os.setuid(65534)
try:
    verify(Path(sys.argv[1]))
except JudgeRefused as refused:
    print(refused)
"""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = versioned(Path(folder) / "judge.onnx", "2")
        file.chmod(0o600)
        command = [sys.executable, "-c", program, str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"(Permission denied); let user root's file be read by all: `chmod a+r {file}`" in said
