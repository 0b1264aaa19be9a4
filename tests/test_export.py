"""Networks of torch, exported for real, and files that run for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model.card import Card
from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from model.export.files import export
from model.export.recipe import make
from model.export.refusal import ExportRefused
from model.export.temperature import temperature
from model.export.trial import Trial
from model.judge import Judge
from model.patterns import patterns
from tests.judging import grey_dataset
from tests.networks import SIDE, THREE, Brightness, Trained, card

Edit = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return grey_dataset(tmp_path_factory.mktemp("datasets") / "grey", photos=120)


@pytest.fixture(scope="module")
def made(examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network that is four times too sure of itself."""
    file = tmp_path_factory.mktemp("judges") / "judge.onnx"
    make(Trained(Brightness(gain=4)), examples, card(), file)
    return file


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial(patterns(range(100), SIDE))


class Odd(Brightness):
    """A network whose probabilities somebody has tampered with."""

    def __init__(self, edit: Edit) -> None:
        super().__init__()
        self.edit = edit

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        probabilities, embedding, heat = super().forward(photos)
        return self.edit(probabilities), embedding, heat


def test_a_file_does_what_its_network_does(made: Path) -> None:
    judge, network = Judge(made), Brightness(gain=4)
    photos = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    assert judge.card.temperature
    network.temperature.fill_(judge.card.temperature)
    with torch.no_grad():
        probabilities, embedding, _ = network.eval()(torch.from_numpy(photos))

    assert judge(photos).probabilities == pytest.approx(probabilities.numpy(), abs=1e-4)
    assert judge(photos).embedding == pytest.approx(embedding.numpy(), abs=1e-4)


def test_a_file_takes_any_number_of_photos(made: Path) -> None:
    judge = Judge(made)
    for count in (1, 2, 7):
        assert judge(patterns(range(count), SIDE)).probabilities.shape == (count, 2)


def test_a_file_keeps_all_outputs_and_states_its_opset(made: Path) -> None:
    model = onnx.load(made)
    assert [output.name for output in model.graph.output] == ["probabilities", "embedding", "heat"]
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 20)]


def test_a_file_tells_nothing_of_the_machine_it_was_made_on(made: Path, repository: Path) -> None:
    content = made.read_bytes()
    traces = (str(repository), str(made.parent), "site-packages", ".py", "stack_trace", "pkg.torch")
    assert [trace for trace in traces if trace.encode() in content] == []
    assert [file.name for file in made.parent.iterdir()] == ["judge.onnx"]


def test_a_card_says_how_the_file_was_checked_and_how_good_it_is(made: Path, examples: Examples) -> None:
    card = Judge(made).card

    assert (card.opset, card.precision, card.dataset) == (20, "fp32", examples.fingerprint)
    assert card.parity
    assert card.parity.gap < 1e-4
    assert card.parity.photos == 40
    assert card.metrics.keys() >= {"accuracy", "accuracy_low", "accuracy_high", "auc", "ece", "photos"}
    assert card.metrics["photos"] == 40
    assert len(card.reference) == 101
    assert card.reference_name == "40 photos I was tested on"


def test_a_server_can_check_the_samples_in_a_card(made: Path) -> None:
    judge = Judge(made)
    assert judge.card.parity
    samples = judge.card.parity.samples
    found = judge(patterns([sample.seed for sample in samples], SIDE)).probabilities

    assert len(samples) == 4
    assert found == pytest.approx(np.array([sample.probabilities for sample in samples]), abs=1e-5)
    assert np.ptp(found[:, 1]) > 0.05


def test_a_network_that_is_four_times_too_sure_gets_four_times_the_temperature(
    made: Path, examples: Examples, tmp_path: Path
) -> None:
    modest, _ = make(Trained(Brightness()), examples, card(), tmp_path / "modest.onnx")
    sure = Judge(made)
    assert sure.card.temperature
    assert modest.card.temperature

    assert sure.card.temperature / modest.card.temperature == pytest.approx(4, rel=0.01)
    squares = patterns(range(8), SIDE)
    assert sure(squares).probabilities == pytest.approx(modest(squares).probabilities, abs=1e-3)


def test_a_temperature_makes_what_is_said_come_true() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=4000)
    good = rng.random(4000) < 1 / (1 + np.exp(-logits))
    certain = 1 / (1 + np.exp(-3 * logits))
    counts = np.stack([~good, good], axis=1).astype(np.float32)

    assert temperature(np.stack([1 - certain, certain], 1).astype(np.float32), counts) == pytest.approx(
        3, rel=0.1
    )


def test_three_labels_go_the_same_way(tmp_path: Path, trial: Trial) -> None:
    judge = export(Brightness(labels=3), card(THREE), tmp_path / "judge.onnx", trial=trial)
    opinions = judge(trial.photos)

    assert opinions.probabilities.shape == (100, 3)
    assert opinions.scores == pytest.approx(opinions.probabilities @ [0, 0.5, 1], abs=1e-6)


def test_16_bits_halve_the_weights(tmp_path: Path, trial: Trial) -> None:
    full = export(Brightness(), card(), tmp_path / "full.onnx", trial=trial)
    half = export(Brightness(), card(), tmp_path / "half.onnx", trial=trial, precision="fp16")

    assert half.card.precision == "fp16"
    assert half.card.parity
    assert half.card.parity.same_verdicts >= 0.99
    assert half(trial.photos).probabilities == pytest.approx(full(trial.photos).probabilities, abs=1e-3)
    stored = {tensor.data_type for tensor in onnx.load(tmp_path / "half.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT16 in stored


def test_8_bits_are_for_what_weighs_and_not_for_the_head(tmp_path: Path, examples: Examples) -> None:
    judge, measurement = make(Trained(Brightness()), examples, card(), tmp_path / "judge.onnx", "int8")
    model = onnx.load(tmp_path / "judge.onnx")
    kinds = [node.op_type for node in model.graph.node]
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]

    assert judge.card.precision == "int8"
    assert judge.card.parity
    assert judge.card.parity.same_verdicts >= 0.99
    assert judge.card.parity.auc_gap is not None
    assert judge.card.parity.auc_gap <= 0.005
    assert "QuantizeLinear" in kinds
    assert [(one.domain, one.version) for one in model.opset_import if one.domain == ""] == [("", 20)]
    assert sorted(tensor.dims[0] for tensor in weights if len(tensor.dims) == 4) == [24, 24]
    assert measurement.accuracy.value == pytest.approx(judge.card.metrics["accuracy"], abs=1e-4)


class Subtle(Brightness):
    """Decides by differences that 8 bits do not have."""

    middle = 0.0

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        _, embedding, heat = super().forward(photos)
        odds = 2 * (embedding[:, 3:].sum(1, keepdim=True) - self.middle)
        return torch.softmax(odds * self.pull, 1), embedding, heat


def test_smaller_weights_that_change_verdicts_are_refused(tmp_path: Path, trial: Trial) -> None:
    network = Subtle().eval()
    with torch.no_grad():
        network.middle = network(torch.from_numpy(trial.photos))[1][:, 3:].sum(1).median().item()

    with pytest.raises(ExportRefused, match=r"int8 changes .*% of 100 verdicts, limit is 1%; nothing was"):
        export(network, card(), tmp_path / "judge.onnx", trial=trial, precision="int8")
    assert list(tmp_path.iterdir()) == []


def _nan(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities * float("nan")


def _nan_where_bright(probabilities: torch.Tensor) -> torch.Tensor:
    return torch.where(probabilities[:, 1:] > 0.9, float("nan"), probabilities)


def _the_same_for_all(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities * 0 + 0.5


def _upside_down(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities.flip(1)


def _another_in_torch(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities if torch.compiler.is_exporting() else probabilities**2


def _no_probabilities(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities * 2


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_nan, "no judge, nothing was written: .*nan"),
        (_nan_where_bright, r"no numbers \(NaN\); train it again"),
        (_the_same_for_all, "the same score; train it for longer"),
        (_upside_down, "no temperature up to 20 makes them honest"),
        (_another_in_torch, "differ from the network's by .*, limit is 0.0001; nothing was written"),
        (_no_probabilities, "no judge, nothing was written: .*sum to 1"),
    ],
)
def test_what_is_no_judge_is_refused_and_the_old_file_stays(
    examples: Examples, tmp_path: Path, edit: Edit, words: str
) -> None:
    file = tmp_path / "judge.onnx"
    file.write_bytes(b"the old one")
    with pytest.raises(ExportRefused, match=words):
        make(Trained(Odd(edit)), examples, card(), file)

    assert file.read_bytes() == b"the old one"
    assert [one.name for one in tmp_path.iterdir()] == ["judge.onnx"]


def test_one_label_in_the_validation_part_is_too_few(examples: Examples, tmp_path: Path) -> None:
    label = np.where(examples.split == "validation", 1, examples.label)
    changed = Examples(**vars(examples) | {"label": label})
    with pytest.raises(ExportRefused, match="validation photos all have one label, and it takes two"):
        make(Trained(Brightness()), changed, card(), tmp_path / "judge.onnx")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_missing_part_is_refused(examples: Examples, tmp_path: Path, split: str) -> None:
    changed = Examples(
        **vars(examples) | {"split": np.where(examples.split == split, "train", examples.split)}
    )
    with pytest.raises(DatasetError, match=split):
        make(Trained(Brightness()), changed, card(), tmp_path / "judge.onnx")


def test_another_dataset_than_it_was_trained_on_is_refused(examples: Examples, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="its fingerprint is ffffffffffff, not 000000000000"):
        make(Trained(Brightness(), fingerprint="0" * 64), examples, card(), tmp_path / "judge.onnx")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, trial: Trial) -> None:
    with pytest.raises(ExportRefused, match=r"judge\.onnx cannot be written \(No such file"):
        export(Brightness(), card(), tmp_path / "missing" / "judge.onnx", trial=trial)


def test_a_card_that_says_too_much_is_refused(tmp_path: Path, trial: Trial) -> None:
    wordy = Card.model_construct(**vars(card()) | {"caution": "x" * 200})
    with pytest.raises(ExportRefused, match="caution"):
        export(Brightness(), wordy, tmp_path / "judge.onnx", trial=trial)
