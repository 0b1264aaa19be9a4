"""A judge that likes bright photos, measured on grey ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from model.evaluation.command import evaluate
from model.evaluation.judged import Judged, judged
from model.evaluation.measurement import measure
from model.evaluation.slices import by_column, masks_of
from model.evaluation.squares import squares
from model.judge import Judge
from tests.judges import CARD, brightness_judge
from tests.judging import grey_dataset

LABELS = [{"name": "bad", "value": 0}, {"name": "good", "value": 1}]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    card = type(CARD).model_validate(CARD.model_dump() | {"labels": LABELS})
    return brightness_judge(tmp_path / "judge.onnx", card=card.model_dump_json())


@pytest.fixture
def judge(file: Path) -> Judge:
    return Judge(file)


@pytest.fixture
def examples(tmp_path: Path) -> Examples:
    return grey_dataset(tmp_path / "grey")


def test_every_post_gets_the_score_of_its_photo(judge: Judge, examples: Examples) -> None:
    posts = judged(judge, examples)

    assert len(posts.score) == 240
    assert np.ptp(posts.score.reshape(60, 4), axis=1).max() == 0
    assert sorted(posts.photo_score) == pytest.approx(np.linspace(0, 255, 60).round() / 255)


def test_the_verdict_is_the_better_label_from_the_threshold_on(judge: Judge, examples: Examples) -> None:
    posts = judged(judge, examples, threshold=0.8)

    assert (posts.verdict == (posts.score >= 0.8)).all()
    assert measure(posts).threshold == 0.8


def test_a_photo_that_cannot_be_read_is_told_and_left_out(judge: Judge, examples: Examples) -> None:
    (examples.folder / "photos/001.png").write_bytes(b"nonsense")
    (examples.folder / "photos/002.png").unlink()
    measurement = measure(judged(judge, examples))

    assert (measurement.posts, measurement.photos) == (232, 58)
    assert list(measurement.unreadable) == ["photos/001.png", "photos/002.png"]
    assert measurement.unreadable["photos/002.png"] == "cannot be read: No such file or directory"


def test_the_posts_that_are_left_keep_their_photos_scores(judge: Judge, examples: Examples) -> None:
    whole = judged(judge, examples)
    (examples.folder / "photos/001.png").unlink()
    rest = judged(judge, examples)

    kept = examples.photo != 1
    assert (rest.score == whole.score[kept]).all()
    assert (rest.label == whole.label[kept]).all()


def test_where_no_photo_can_be_read_nothing_is_measured(judge: Judge, examples: Examples) -> None:
    for photo in examples.photos:
        (examples.folder / photo).unlink()

    with pytest.raises(DatasetError, match=r"none of its photos can be read, photos/000\.png"):
        judged(judge, examples)


def test_a_judge_of_other_labels_is_refused(tmp_path: Path, examples: Examples) -> None:
    with pytest.raises(DatasetError, match="its labels are bad, good, the judge's dark, bright"):
        judged(Judge(brightness_judge(tmp_path / "other.onnx")), examples)


def test_the_measures_count_posts(judge: Judge, examples: Examples) -> None:
    posts = judged(judge, examples)
    measurement = measure(posts)
    good, bad = measurement.labels[1], measurement.labels[0]

    assert measurement.accuracy.value == pytest.approx(np.mean((posts.score >= 0.5) == (examples.label == 1)))
    assert measurement.accuracy.low < measurement.accuracy.value < measurement.accuracy.high
    assert good.true_positives + good.false_negatives == good.posts == (examples.label == 1).sum()
    assert good.true_positives + good.false_positives + good.true_negatives + good.false_negatives == 240
    assert (bad.true_positives, bad.false_positives) == (good.true_negatives, good.false_negatives)
    assert measurement.guessing == pytest.approx(max(good.posts, bad.posts) / 240)


def test_a_judge_that_says_how_it_is_is_honest(judge: Judge, tmp_path: Path) -> None:
    many = grey_dataset(tmp_path / "many", photos=200, posts=20)
    measurement = measure(judged(judge, many))

    assert measurement.ece < 0.05
    for one in measurement.calibration:
        assert one.was.low - 0.05 < one.said < one.was.high + 0.05


def test_the_reference_is_the_photos_scores_as_101_quantiles(judge: Judge, examples: Examples) -> None:
    reference = measure(judged(judge, examples)).reference

    assert len(reference) == 101
    assert reference == sorted(reference)
    assert [reference[0], reference[50], reference[-1]] == pytest.approx([0, 0.5, 1], abs=0.01)


def test_intervals_are_about_authors_where_they_are_fewer(judge: Judge, examples: Examples) -> None:
    measurement = measure(judged(judge, examples))
    assert (measurement.drawn_by, measurement.drawn_from) == ("authors", 30)

    strangers = replace(examples, columns={"author": np.arange(240).astype(str)})
    measurement = measure(judged(judge, strangers))
    assert (measurement.drawn_by, measurement.drawn_from) == ("photos", 60)


def test_many_photos_are_decoded_by_several_processes_in_their_order(tmp_path: Path) -> None:
    many = grey_dataset(tmp_path / "many", photos=300, posts=1)
    (many.folder / many.photos[70]).write_bytes(b"nonsense")
    batches = list(squares(many, 8, "decoding"))

    photo = np.concatenate([batch.photo for batch in batches])
    assert photo.tolist() == [number for number in range(300) if number != 70]
    assert [name for batch in batches for name in batch.unreadable] == [many.photos[70]]
    levels = np.concatenate([batch.squares for batch in batches])[:, 0, 0, 0]
    brightness = np.bincount(many.photo, many.label, 300)[photo]
    assert np.corrcoef(levels, brightness)[0, 1] > 0.5


def by_hand(values: object) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks_of(np.array(values)).items()}


def test_categories_are_slices_as_they_are() -> None:
    assert by_hand(["b", "a", "b"]) == {"a": 1, "b": 2}
    assert by_hand([True, False, True]) == {"False": 1, "True": 2}
    assert by_hand([2, 10, 2]) == {"2": 2, "10": 1}


def test_numbers_are_sliced_into_quarters() -> None:
    assert by_hand(list(range(1, 2001))) == {
        "1 to 500": 500,
        "501 to 1,000": 500,
        "1,001 to 1,500": 500,
        "1,501 to 2,000": 500,
    }


def test_days_are_sliced_into_quarters() -> None:
    days = np.arange("2024-01-01", "2024-01-09", dtype="datetime64[D]").astype("datetime64[us]")
    assert next(iter(by_hand(days))) == "2024-01-01 to 2024-01-02"


def test_what_is_not_known_is_a_slice_of_its_own() -> None:
    assert by_hand(np.array(["a", None, "a"], object)) == {"a": 2, "unknown": 1}
    assert by_hand([0.5, np.nan, 0.5]) == {"0.5": 2, "unknown": 1}
    assert list(by_hand(np.array(["2024-01-01", "NaT"], "datetime64[us]"))) == ["2024-01-01", "unknown"]


def test_rare_categories_are_put_together() -> None:
    found = by_hand([f"{number:02}" for number in range(20) for _ in range(20 - number)])
    assert len(found) == 13
    assert found["8 others"] == sum(range(1, 9))


def sliced(judge: Judge, examples: Examples, values: object) -> Judged:
    return judged(judge, replace(examples, columns=examples.columns | {"group": np.array(values)}))


def test_slices_are_measured_apart_and_the_gap_between_them(judge: Judge, examples: Examples) -> None:
    level = judged(judge, examples).score
    column = by_column(sliced(judge, examples, np.where(level < 0.5, "dark", "light")), "group")
    dark, light = column.slices

    assert (dark.name, light.name, dark.posts + light.posts) == ("dark", "light", 240)
    assert dark.mean_score.value == pytest.approx(level[level < 0.5].mean(), abs=1e-6)
    gap = column.gaps["mean_score"]
    assert (gap.highest, gap.lowest) == ("light", "dark")
    assert gap.difference.value == pytest.approx(light.mean_score.value - dark.mean_score.value)
    assert 0 < gap.difference.low < gap.difference.value < gap.difference.high


def test_between_slices_by_lot_there_is_no_gap_but_luck(judge: Judge, tmp_path: Path) -> None:
    many = grey_dataset(tmp_path / "many", photos=150, posts=4)
    lots = [f"lot {lot}" for lot in np.random.default_rng(5).integers(0, 4, 600)]
    gaps = by_column(sliced(judge, many, lots), "group").gaps

    assert set(gaps) == {"accuracy", "auc", "mean_score"}
    assert all(gap.difference.low <= 0 for gap in gaps.values())


def test_a_slice_by_very_few_authors_has_no_interval_and_makes_no_gap(judge: Judge, tmp_path: Path) -> None:
    many = grey_dataset(tmp_path / "many", photos=40, posts=10)
    authors = many.photo // 2
    names = np.where(authors < 4, "a few", np.where(authors < 9, "five", "the rest"))
    column = by_column(sliced(judge, many, names), "group")
    few, five, rest = column.slices

    assert few.posts == 80
    assert np.isfinite(few.mean_score.value)
    assert np.isnan([few.mean_score.low, few.accuracy.low, few.auc.high]).all()
    assert five.mean_score.low < five.mean_score.value < five.mean_score.high
    gap = column.gaps["mean_score"]
    assert {gap.highest, gap.lowest} == {five.name, rest.name}


def test_a_slice_too_small_to_say_anything_makes_no_gap(judge: Judge, examples: Examples) -> None:
    column = by_column(sliced(judge, examples, ["rare"] * 5 + ["common"] * 235), "group")

    assert [one.posts for one in column.slices] == [235, 5]
    assert column.gaps == {}


def test_an_unknown_column_is_refused_with_those_there_are(judge: Judge, examples: Examples) -> None:
    with pytest.raises(DatasetError, match="no column 'gender' to slice by; there are: author, id"):
        measure(judged(judge, examples), ["gender"])


def test_three_labels_are_measured_too(tmp_path: Path) -> None:
    three = [{"name": name, "value": value} for name, value in (("bad", 0), ("fair", 0.5), ("good", 1))]
    judge = Judge(_three(tmp_path, three))
    examples = grey_dataset(tmp_path / "grey")
    rng = np.random.default_rng(0)
    labels = judge.card.labels
    measurement = measure(judged(judge, replace(examples, labels=labels, label=rng.integers(3, size=240))))

    assert np.sum(measurement.confusion) == 240
    assert measurement.threshold is None
    assert [one.name for one in measurement.labels] == ["bad", "fair", "good"]
    assert 0.3 < measurement.auc.value < 0.7
    json.dumps(measurement.as_json(), allow_nan=False)


def _three(folder: Path, labels: object) -> Path:
    import onnx

    # The tests' judge says "bright" twice with three labels, which do not sum to 1: a third of all each does.
    card = type(CARD).model_validate(CARD.model_dump() | {"labels": labels})
    file = brightness_judge(folder / "three.onnx", card=card.model_dump_json(), labels=3)
    model = onnx.load(file)
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "probabilities" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1))
    onnx.save(model, file)
    return file


def test_evaluate_prints_one_json_object(
    file: Path, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate([str(file), str(examples.folder), "--json", "--slice", "author"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["posts"] == 80
    assert found["split"] == "test"
    assert found["accuracy"].keys() == {"value", "low", "high"}
    assert found["columns"][0]["name"] == "author"
    assert len(found["reference"]) == 101


def test_evaluate_says_in_words_how_good_the_judge_is(
    file: Path, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    (examples.folder / "photos/002.png").write_bytes(b"nonsense")
    assert evaluate([str(file), str(examples.folder)]) == 0

    told = capsys.readouterr()
    assert "% of 76 posts" in told.out
    assert "better than guessing" in told.out
    assert told.err.startswith("photos/002.png: file is none of JPEG")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "holdout"], "no post is in the part 'holdout'"),
        (["--threshold", "1.5"], "--threshold is 1.5, it must be between 0 and 1"),
        (["--slice", "gender"], "no column 'gender'"),
        (["--resamples", "0"], "--resamples is 0"),
        (
            ["--report", "/no/such/folder/report.html"],
            "/no/such/folder/report.html cannot be written (No such file",
        ),
    ],
)
def test_evaluate_refuses_in_one_sentence(
    file: Path, examples: Examples, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert evaluate([str(file), str(examples.folder), *options]) == 1

    told = capsys.readouterr()
    assert words in told.err
    assert told.err.startswith("deepselfie: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_evaluate_needs_a_judge(
    tmp_path: Path, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate([str(tmp_path / "none.onnx"), str(examples.folder)]) == 1
    assert "none.onnx: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(("learned", "warned"), [("f" * 64, False), ("a" * 64, True), ("", False)])
def test_a_dataset_that_the_judge_did_not_learn_from_is_told_apart(
    tmp_path: Path, examples: Examples, capsys: pytest.CaptureFixture[str], learned: str, warned: bool
) -> None:
    card = type(CARD).model_validate(CARD.model_dump() | {"labels": LABELS, "dataset": learned})
    file = brightness_judge(tmp_path / "learned.onnx", card=card.model_dump_json())

    assert evaluate([str(file), str(examples.folder), "--resamples", "10"]) == 0

    assert ("may be among those it learned from" in capsys.readouterr().err) == warned
