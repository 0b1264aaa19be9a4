"""The judge that comes with deepselfie, and the drawn portraits it learned from."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from model.judge import DEFAULT_FILE, Judge
from model.pixels import Pixels, squish
from model.training.people import SKIN_TONES
from model.training.portraits import (
    SIDE,
    Composition,
    appeal,
    draw_composition,
    draw_portrait,
    render,
)
from tests.photos import encoded, portrait

MEGABYTE = 1_000_000
GOOD = Composition()
FAULTS = {
    "no face": Composition(faces=0),
    "headless": Composition(faces=0, headless=True),
    "a group": Composition(faces=3, face=0.2),
    "head too large": Composition(face=1.0),
    "tiny": Composition(face=0.1),
    "far from the middle": Composition(across=0.9),
    "far down": Composition(down=0.8),
    "dark": Composition(exposure=-2.5),
    "noisy": Composition(noise=40),
    "blurred": Composition(blur=14),
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(DEFAULT_FILE)


def seen(image: Image.Image) -> Pixels:
    """What a judge sees of an image, (224, 224, 3)."""
    return squish(encoded(image, "PNG"), side=224)


def drawn(composition: Composition, tone: int = 2, seed: int = 0) -> Pixels:
    """What a judge sees of a composition."""
    return seen(Image.fromarray(render(composition, tone, np.random.default_rng(seed))))


def darker(image: Image.Image, steps: float) -> Image.Image:
    """An image with 2 ** -steps of the light."""
    light = (np.asarray(image) / 255) ** 2.2 * 2.0**-steps
    return Image.fromarray((255 * light ** (1 / 2.2)).astype(np.uint8))


def noisier(image: Image.Image, sigma: float) -> Image.Image:
    levels = np.asarray(image) + np.random.default_rng(0).normal(0, sigma, (*image.size[::-1], 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def test_the_default_judge_says_in_its_card_what_it_learned_from(judge: Judge) -> None:
    card = judge.card
    assert (card.name, card.version) == ("first-drawn", "0.1.0")
    assert [(label.name, label.value) for label in card.labels] == [("bad", 0), ("good", 1)]
    assert "no real photo" in card.training
    assert "drawn" in card.caution
    assert "drawn" in card.reference_name
    assert len(card.reference) == 101
    assert card.metrics["held_out_portraits"] >= 500
    assert card.accuracy == card.metrics["accuracy"]
    assert "Apache-2.0" in card.licence


def test_the_default_judge_is_better_than_guessing_on_portraits_it_never_saw(judge: Judge) -> None:
    assert judge.card.metrics["accuracy"] > 0.8
    assert judge.card.metrics["auc"] > 0.9


def test_the_default_judge_likes_no_skin_tone_much_more_than_another(judge: Judge) -> None:
    assert judge.card.metrics["skin_tone_gap"] < 0.05


def test_the_default_file_is_small_and_tells_nothing_of_the_machine_it_was_made_on() -> None:
    content = DEFAULT_FILE.read_bytes()
    assert len(content) < 15 * MEGABYTE
    for trace in (b"stack_trace", b"pkg.torch", b"site-packages", b'.py"', b"/work/", b"/home/"):
        assert trace not in content


def test_each_row_of_probabilities_sums_to_one_at_any_batch_size(judge: Judge) -> None:
    rng = np.random.default_rng(0)
    for photos in (1, 2, 5):
        opinions = judge(rng.integers(0, 256, (photos, 224, 224, 3), np.uint8))
        assert opinions.probabilities.shape == (photos, 2)
        assert opinions.embedding.shape == (photos, 1280)
        assert np.allclose(opinions.probabilities.sum(1), 1, atol=1e-5)
        assert np.isfinite(opinions.embedding).all()


def test_a_photo_gets_the_same_score_alone_and_among_others(judge: Judge) -> None:
    photos = np.stack([drawn(composition) for composition in (GOOD, *FAULTS.values())])
    together = judge(photos)
    alone = [judge(photo[None]) for photo in photos]
    assert np.allclose(together.scores, [opinion.scores[0] for opinion in alone], atol=1e-4)
    assert np.allclose(together.embedding, [opinion.embedding[0] for opinion in alone], atol=1e-3)


def test_scores_are_no_constant(judge: Judge) -> None:
    portraits = [squish(draw_portrait(6 * take, seed=1).photo, side=224) for take in range(24)]
    scores = judge(np.stack(portraits)).scores
    assert scores.min() < 0.2
    assert scores.max() > 0.8
    assert scores.std() > 0.2


@pytest.mark.parametrize(
    "fault", ["no face", "a group", "head too large", "tiny", "dark", "noisy", "blurred"]
)
def test_a_drawn_portrait_without_a_fault_scores_higher_than_one_with(judge: Judge, fault: str) -> None:
    without, with_fault = (
        judge(np.stack([drawn(composition, tone, seed=tone) for tone in (0, 2, 5)])).scores
        for composition in (GOOD, FAULTS[fault])
    )
    assert without.mean() > with_fault.mean() + 0.2


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


def test_the_same_seed_draws_the_same_portrait_to_the_byte() -> None:
    first, again, other = (draw_portrait(7, seed).photo for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_composition_is_drawn_once_for_each_skin_tone() -> None:
    portraits = [draw_portrait(index, seed=3) for index in range(12, 18)]
    assert [one.tone for one in portraits] == list(range(6))
    assert len({one.composition for one in portraits}) == 1
    assert len({one.photo for one in portraits}) == 6
    assert draw_portrait(18, seed=3).composition != portraits[0].composition


def test_a_drawn_portrait_is_a_square_jpeg() -> None:
    with Image.open(BytesIO(draw_portrait(0, seed=0).photo)) as image:
        assert (image.format, image.size) == ("JPEG", (SIDE, SIDE))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_makes_a_portrait_bad(fault: str) -> None:
    assert appeal(FAULTS[fault]) < 0.5


def test_a_portrait_without_a_fault_could_not_be_better() -> None:
    assert appeal(GOOD) == 1
    assert appeal(replace(GOOD, down=0.3)) == 1


def test_a_filter_or_a_border_makes_nothing_worse() -> None:
    faded = replace(GOOD, filter="faded", border=0.1)
    assert appeal(faded) == appeal(GOOD)
    assert appeal(replace(faded, exposure=-2)) == appeal(replace(GOOD, exposure=-2))


def test_a_fault_counts_for_more_the_worse_it_is() -> None:
    by_exposure = [appeal(replace(GOOD, exposure=ev)) for ev in (0, -0.5, -1, -2, -4)]
    assert by_exposure == sorted(by_exposure, reverse=True)
    assert by_exposure[0] > by_exposure[2] > by_exposure[4]


def test_about_half_of_all_compositions_are_good() -> None:
    appeals = [appeal(draw_composition(np.random.default_rng((0, take)))) for take in range(2000)]
    assert 0.4 < np.mean(np.array(appeals) >= 0.5) < 0.6


def test_every_skin_tone_is_drawn_and_darker_from_one_to_the_next() -> None:
    faces = [drawn(GOOD, tone)[88:100, 104:120].mean() for tone in range(len(SKIN_TONES))]
    assert faces == sorted(faces, reverse=True)
