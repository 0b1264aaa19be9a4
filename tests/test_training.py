"""Training: the choices in it, each on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.dataset.examples import Examples
from model.training.checkpoint import build
from model.training.command import _config, _parser, train
from model.training.config import ON, Config
from model.training.failure import TrainingFailed
from model.training.learner import Learner, disorder, surprise
from model.training.parts import part
from model.training.rates import factor
from model.training.run import frozen_blocks
from tests.datasets import bright_or_dark, write_labelled


def config(*arguments: str) -> Config:
    return _config(vars(_parser().parse_args(["dataset", "--out", "run", *arguments])))


def test_options_make_a_config_and_what_is_not_given_is_the_default() -> None:
    made = config("--backbone", "vgg16", "--freeze", "13", "--dropout", "0.5", "--head-rate", "5")
    assert made == Config(backbone="vgg16", freeze=13, dropout=0.5, head_rate=5)
    assert config() == Config()


def test_augmentation_begins_with_a_preset() -> None:
    assert config("--augment", "on").augmentation == ON
    assert config("--augment", "on", "--flip", "0").augmentation == ON.model_copy(update={"flip": 0})
    assert config("--rotate", "10").augmentation.rotate == 10


@pytest.mark.parametrize(
    ("option", "value"), [("--dropout", "1"), ("--epochs", "0"), ("--freeze", "some"), ("--shear", "90")]
)
def test_an_option_out_of_range_is_named(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train(["dataset", "--out", "run", option, value])
    assert f"{option} is '{value}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("step", [1, 1, 0.1, 0.01]),
        ("cosine", [1, 0.853553, 0.5, 0.024472]),
        ("one-cycle", [0.04, 0.9357, 0.8117, 0.0495]),
    ],
)
def test_the_rate_follows_its_schedule(schedule: str, expected: list[float]) -> None:
    assert [factor(schedule, progress) for progress in (0, 0.25, 0.5, 0.9)] == pytest.approx(
        expected, abs=1e-3
    )


def test_a_schedule_ends_low() -> None:
    assert factor("cosine", 0.9999) == pytest.approx(0, abs=1e-3)
    assert factor("one-cycle", 0.9999) == pytest.approx(0, abs=1e-3)


def test_surprise_is_cross_entropy_against_the_shares_of_labels() -> None:
    logits, shares = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.25, 0.75]])
    chances = torch.softmax(logits, 1)[0]
    assert surprise(logits, shares).item() == pytest.approx(
        -(0.25 * chances[0].log() + 0.75 * chances[1].log()).item()
    )
    assert surprise(logits, torch.tensor([[0.0, 1.0]]), 0.5).item() == surprise(logits, shares).item()


def test_photos_weigh_as_much_as_they_have_posts() -> None:
    """Three posts of one photo cost what three rows of one post each would."""
    logits = torch.tensor([[0.3, -0.4]])
    together = 3 * surprise(logits, torch.tensor([[1 / 3, 2 / 3]]))
    apart = surprise(logits.repeat(3, 1), torch.tensor([[1.0, 0], [0, 1], [0, 1]])).sum()
    assert together.item() == pytest.approx(apart.item())


def test_a_pair_in_the_right_order_costs_less() -> None:
    logits = torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    first, second = torch.tensor([0]), torch.tensor([1])
    assert disorder(logits, first, second) < 0.1
    assert disorder(logits, second, first) > 3


def test_pairs_meet_in_a_batch_and_the_photo_with_the_better_posts_is_the_better_one(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = bright_or_dark(tmp_path / "pairs", posts=1)
    table = pq.read_table(folder / "labelled.parquet")
    pairs = [row // 6 if row % 6 < 2 else -1 for row in range(len(table))]
    table = table.set_column(table.column_names.index("pair"), "pair", pa.array(pairs))
    pq.write_table(table, folder / "labelled.parquet")
    examples = Examples.load(folder)
    learnt = part(examples, "train", Config(rank=1))
    assert (learnt.partner >= 0).sum() == 8
    for seed in range(5):
        together = learnt.batches(len(learnt.files), (seed,))[0]
        places = {int(index): place for place, index in enumerate(together)}
        assert all(places[edit] - places[int(of)] == 1 for edit, of in enumerate(learnt.partner) if of >= 0)
    indices = np.arange(len(learnt.files))
    better, worse = learnt.ranked(indices, np.ones(len(indices), bool))
    assert len(better) > 4
    assert (learnt.worth[better] > learnt.worth[worse]).all()


def test_the_twins_of_a_drawn_network_are_pairs(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from model.simulation.folder import write_posts
    from model.simulation.likes import post
    from model.simulation.network import photos

    network = photos(96, 1)
    appeal, authors = (np.array(of) for of in zip(*((p.appeal, p.lot.author) for p in network), strict=True))
    write_posts(tmp_path, network, post(appeal, authors, 2, 0.45, np.random.default_rng(0)))
    table = pq.read_table(tmp_path / "posts.parquet").to_pydict()
    rows = len(table["id"])
    write_labelled(tmp_path, table | {"label": [row % 2 for row in range(rows)], "split": ["train"] * rows})
    learnt = part(Examples.load(tmp_path), "train", Config(rank=1))
    assert (learnt.partner >= 0).sum() == len(network) / 2


def test_a_loss_over_pairs_is_refused_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="--rank needs photos with the same"):
        part(Examples.load(bright_or_dark(tmp_path / "alone")), "train", Config(rank=1))


@pytest.mark.parametrize(("freeze", "blocks"), [("all", 4), ("none", 0), (2, 2), ("auto", 0)])
def test_the_frozen_part_ends_where_it_is_to(freeze: str, blocks: int) -> None:
    tiny = Config.model_validate({"backbone": "tiny", "freeze": freeze})
    network = build(tiny, 2)
    assert frozen_blocks(network, tiny) == blocks
    learner = Learner(network, blocks, norms=True).train()
    learning = {
        name.split(".")[1]
        for name, value in network.named_parameters()
        if value.requires_grad and "published" in name
    }
    assert len(learning) <= 4
    for number, block in enumerate(learner.network.backbone.blocks):
        assert all(value.requires_grad == (number >= blocks) for value in block.parameters())


def test_with_weights_all_is_frozen_unless_said_otherwise() -> None:
    assert frozen_blocks(build(Config(), 2), Config()) == 17


def test_more_frozen_blocks_than_there_are_is_refused() -> None:
    with pytest.raises(TrainingFailed, match="--freeze is 9, tiny has 4 blocks"):
        frozen_blocks(build(Config(backbone="tiny"), 2), Config(backbone="tiny", freeze=9))


def test_batch_normalisation_learns_only_from_nothing() -> None:
    network = build(Config(), 2)
    norm = network.backbone.published._bn1
    Learner(network, 0, norms=False).train()
    assert not norm.training
    Learner(network, 0, norms=True).train()
    assert norm.training
    Learner(network, 17, norms=True).train()
    assert not norm.training


def test_a_run_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bright_or_dark(tmp_path / "data")
    (tmp_path / "file").touch()
    assert train([str(folder), "--out", str(tmp_path / "file"), "--backbone", "tiny"]) == 1
    assert capsys.readouterr().err.startswith(f"deepselfie: {tmp_path / 'file'} cannot be written or read")


@pytest.mark.parametrize("wrong", [["--smoke", "--epochs", "many"], ["--processes", "-1"]])
def test_a_number_that_makes_no_sense_is_named(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train([str(tmp_path), "--out", str(tmp_path / "run"), *wrong])
    assert f"{wrong[-2]} is " in capsys.readouterr().err
