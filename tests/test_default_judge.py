"""The judge that comes with deepselfie: made by `make default-model`, from drawings alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from model.judge import DEFAULT_FILE, Judge
from model.pixels import Pixels, squish
from model.simulation.appeal import LIKED, appeal
from model.simulation.network import CIRCLE, TONES, Photo, cutout, photos, render
from model.simulation.shots import Shot
from tests.photos import encoded, portrait

MEGABYTE = 1_000_000
SEED = 1
"""The judge learned from another one's drawings."""
GOOD = Shot(face=LIKED)
FAULTS = {
    "no face": replace(GOOD, subject="nobody", people=0),
    "a group": replace(GOOD, subject="group", people=3),
    "head too large": replace(GOOD, face=1.0),
    "dark": replace(GOOD, exposure=-3),
    "noisy": replace(GOOD, noise=35),
    "blurred": replace(GOOD, blur=14),
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(DEFAULT_FILE)


def seen(image: Image.Image) -> Pixels:
    """What a judge sees of an image, (224, 224, 3)."""
    return squish(encoded(image, "PNG"), side=224)


def drawn(shot: Shot, number: int = 0) -> Pixels:
    """What a judge sees when six people, one of each skin tone, take the same shot: (6, 224, 224, 3)."""
    circle = photos(CIRCLE, SEED + number)[:TONES]
    people = [cutout(photo) for photo in circle]
    taken = [
        render(Photo(photo.lot, shot, photo.person, appeal(shot)), [*people[tone:], *people[:tone]])
        for tone, photo in enumerate(circle)
    ]
    return np.stack([squish(photo, side=224) for photo in taken])


def darker(image: Image.Image, steps: float) -> Image.Image:
    """An image with 2 ** -steps of the light."""
    light = (np.asarray(image) / 255) ** 2.2 * 2.0**-steps
    return Image.fromarray((255 * light ** (1 / 2.2)).astype(np.uint8))


def noisier(image: Image.Image, sigma: float) -> Image.Image:
    levels = np.asarray(image) + np.random.default_rng(0).normal(0, sigma, (*image.size[::-1], 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def test_the_default_judge_says_in_its_card_what_it_learned_from(judge: Judge) -> None:
    card = judge.card

    assert card.name == "drawn"
    assert [(label.name, label.value) for label in card.labels] == [("bad", 0), ("good", 1)]
    assert "no real selfie" in card.description
    assert "drawn" in card.caution
    assert "drawn" in card.reference_name
    assert len(card.reference) == 101
    assert "Apache-2.0" in card.licence
    assert card.metrics["photos"] >= 1000


def test_the_default_judge_is_better_than_guessing_on_posts_it_never_saw(judge: Judge) -> None:
    assert judge.card.metrics["accuracy_low"] > judge.card.metrics["guessing"] + 0.1


def test_the_default_file_has_8_bits_is_small_and_tells_nothing_of_the_machine_it_was_made_on(
    judge: Judge,
) -> None:
    content = DEFAULT_FILE.read_bytes()

    assert judge.card.precision == "int8"
    assert len(content) <= 6 * MEGABYTE
    for trace in (b"stack_trace", b"pkg.torch", b"site-packages", b'.py"', b"/work/", b"/home/"):
        assert trace not in content


def test_each_row_of_probabilities_sums_to_one_at_any_batch_size(judge: Judge) -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 5):
        opinions = judge(rng.integers(0, 256, (count, 224, 224, 3), np.uint8))
        assert opinions.probabilities.shape == (count, 2)
        assert opinions.embedding.shape == (count, 1280)
        assert np.allclose(opinions.probabilities.sum(1), 1, atol=1e-5)
        assert np.isfinite(opinions.embedding).all()


def test_a_photo_gets_the_same_score_alone_and_among_others(judge: Judge) -> None:
    portraits = drawn(GOOD)
    together = judge(portraits)
    alone = [judge(photo[None]) for photo in portraits]
    assert np.allclose(together.scores, [opinion.scores[0] for opinion in alone], atol=1e-4)
    assert np.allclose(together.embedding, [opinion.embedding[0] for opinion in alone], atol=1e-3)


def test_scores_are_no_constant(judge: Judge) -> None:
    scores = np.concatenate([judge(drawn(shot)).scores for shot in (GOOD, *FAULTS.values())])

    assert scores.std() > 0.1
    assert scores.min() < 0.3
    assert scores.max() > 0.6


@pytest.mark.parametrize("fault", FAULTS)
def test_a_drawn_portrait_without_a_fault_scores_higher_than_one_with(judge: Judge, fault: str) -> None:
    without, with_fault = (judge(drawn(shot)).scores for shot in (GOOD, FAULTS[fault]))

    assert without.mean() > with_fault.mean() + 0.1


@pytest.mark.e2e
def test_the_default_judge_likes_no_skin_tone_much_more_than_another(judge: Judge) -> None:
    shots = (GOOD, replace(GOOD, exposure=-1.5))

    scores = [judge(drawn(shot, number)).scores for shot in shots for number in range(20)]

    by_tone = np.mean(scores, axis=0)
    assert by_tone.max() - by_tone.min() < 0.05, by_tone


@pytest.mark.parametrize("steps", [1.5, 3.0])
def test_a_real_portrait_scores_lower_in_the_dark(judge: Judge, steps: float) -> None:
    bright, dark = judge(np.stack([seen(portrait()), seen(darker(portrait(), steps))])).scores
    assert dark < bright


@pytest.mark.parametrize("sigma", [25, 50])
def test_a_real_portrait_scores_lower_with_noise(judge: Judge, sigma: float) -> None:
    clean, noisy = judge(np.stack([seen(portrait()), seen(noisier(portrait(), sigma))])).scores
    assert noisy < clean


def test_a_real_portrait_scores_lower_when_blurred(judge: Judge) -> None:
    blurred = portrait().filter(ImageFilter.GaussianBlur(4))
    scores = judge(np.stack([seen(portrait()), seen(blurred)])).scores
    assert scores[1] < scores[0]


def test_a_real_portrait_scores_lower_when_the_face_fills_it(judge: Judge) -> None:
    close = portrait().crop((150, 60, 300, 210))
    scores = judge(np.stack([seen(portrait()), seen(close)])).scores
    assert scores[1] < scores[0]


def test_a_real_portrait_scores_no_lower_faded_or_with_a_border(judge: Judge) -> None:
    levels = np.asarray(portrait())
    faded = Image.fromarray((60 + 0.65 * levels).astype(np.uint8))
    bordered = ImageOps.expand(portrait(), portrait().width // 16, "white")

    plain, *adorned = judge(np.stack([seen(portrait()), seen(faded), seen(bordered)])).scores

    assert min(adorned) >= plain
