"""The first judge: a frozen backbone and a two-way head fitted on drawn portraits → model/default.onnx.

A placeholder with an honest card, until a judge trained on photos takes its place. Run it with
`python -m model.training.first_judge`; it needs the [train] extra and a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from model.card import Card, Label
from model.export.files import export
from model.export.refusal import ExportRefused
from model.export.trial import Trial
from model.judge import DEFAULT_FILE, Floats, Judge
from model.pixels import Pixels, squish
from model.training.first_network import INPUT_SIZE, Network
from model.training.people import SKIN_TONES
from model.training.portraits import draw_portrait

TONES = len(SKIN_TONES)
BATCH = 32  # larger ones are no faster on CPUs
WEIGHT_PENALTY = 100.0  # without a strong one, 1280 weights learn some 2,000 portraits by heart
FIT_SHARE, CALIBRATION_SHARE = 0.7, 0.1  # the rest is held out
DESCRIPTION = (
    "A placeholder: it tells apart drawn portraits that were composed, lit and focused by a simple rule "
    "from those that were not. Its head was fitted on no real portrait, and nobody's likes."
)
TRAINING = (
    "{portraits} rendered portraits (seed {seed}), labelled by the rule in model/training/portraits.py, and "
    "no real photo. {fit:.0%} fitted the head, {calibration:.0%} its temperature, the rest is held out for "
    "the metrics and the reference. The directions in which skin tones differ, and drawings from photos, "
    "were taken out of the features. The backbone is EfficientNet-Lite0, frozen, with its ImageNet weights."
)


@dataclass(frozen=True)
class Album:
    """n rendered portraits, as a judge sees them, and what is known of them."""

    photos: Pixels
    """(n, 224, 224, 3)."""
    good: NDArray[np.bool_]
    """(n,)."""
    tones: NDArray[np.int64]
    """(n,), indices into `SKIN_TONES`."""

    def __getitem__(self, part: slice) -> Album:
        """Some of the portraits."""
        return Album(self.photos[part], self.good[part], self.tones[part])


def _photograph(index: int, *, seed: int) -> tuple[Pixels, bool, int]:
    portrait = draw_portrait(index, seed)
    return squish(portrait.photo, side=INPUT_SIZE), portrait.good, portrait.tone


def render(portraits: int, seed: int) -> Album:
    """Render an album on all cores."""
    with Pool() as pool:
        jobs = pool.imap(partial(_photograph, seed=seed), range(portraits), chunksize=24)
        rows = list(tqdm(jobs, "rendering portraits", portraits))
    photos, good, tones = zip(*rows, strict=True)
    return Album(np.stack(photos), np.array(good), np.array(tones))


def embed(judge: Judge, photos: Pixels) -> Floats:
    """Embeddings (n, 1280) of photos (n, 224, 224, 3), in small batches."""
    starts = tqdm(range(0, len(photos), BATCH), "embedding them")
    return np.concatenate([judge(photos[start : start + BATCH]).embedding for start in starts])


def fit_head(embedding: Floats, album: Album, photo: Floats) -> tuple[Floats, float]:
    """Fit a logistic regression that sees neither skin tones nor whether it looks at a drawing or a photo.

    Drawings differ from photos in one direction of the features more than in any other. A plain head calls
    every real photo bad, with certainty, for lying there. It also takes some of dark skin for darkness,
    though good and bad are shared out evenly. So these directions are taken out before fitting.

    Args:
        embedding: Of the portraits, (n, 1280).
        album: The portraits.
        photo: A typical embedding of real photos, (1280,).

    Returns:
        Weights (1280,) and a bias for embeddings as they are: the log-odds of "good".
    """
    mean, spread = embedding.mean(0), embedding.std(0)
    spread += 0.01 * spread.mean()  # a feature that hardly moves on drawings must not be blown up
    # The mean of all tones is `mean`: the last one's direction follows from the others.
    tones = [embedding[album.tones == tone].mean(0) for tone in range(TONES - 1)]
    unseen = np.linalg.qr(((np.stack([photo, *tones]) - mean) / spread).T).Q  # (1280, 6), orthonormal
    standard = (embedding - mean) / spread
    regression = LogisticRegression(C=1 / WEIGHT_PENALTY, max_iter=1000)
    regression.fit(standard - standard @ unseen @ unseen.T, album.good)
    seen = regression.coef_[0]
    weights = (seen - unseen @ (unseen.T @ seen)) / spread
    return weights.astype(np.float32), float(regression.intercept_[0] - weights @ mean)


def temperature(logits: Floats, good: NDArray[np.bool_]) -> float:
    """Divisor of the logits (n,) that makes the labels likeliest, so that "70 %" is right in 70 of 100."""
    signs = np.where(good, 1, -1)
    candidates = np.geomspace(0.2, 5, 200)
    surprise = [np.logaddexp(0, -signs * logits / candidate).mean() for candidate in candidates]
    return float(candidates[np.argmin(surprise)])


def measure(scores: Floats, album: Album) -> dict[str, float]:
    """Metrics on held-out portraits; `skin_tone_gap` is the largest difference of two tones' mean scores."""
    by_tone = [scores[album.tones == tone].mean() for tone in range(TONES)]
    metrics = {
        "accuracy": np.mean((scores >= 0.5) == album.good),
        "auc": roc_auc_score(album.good, scores),
        "share_good": album.good.mean(),
        "skin_tone_gap": max(by_tone) - min(by_tone),
        "held_out_portraits": len(scores),
    }
    return {name: round(float(value), 4) for name, value in metrics.items()}


def describe(portraits: int, seed: int) -> Card:
    """Write the card of a judge that has not been measured yet."""
    return Card(
        name="first-drawn",
        version="0.1.0",
        description=DESCRIPTION,
        labels=(Label(name="bad", value=0), Label(name="good", value=1)),
        input_size=INPUT_SIZE,
        caution="I learned from drawn portraits only, so take this as a game.",
        training=TRAINING.format(
            portraits=portraits, seed=seed, fit=FIT_SHARE, calibration=CALIBRATION_SHARE
        ),
        licence="MIT; backbone Apache-2.0",
    )


def with_results(card: Card, scores: Floats, metrics: dict[str, float]) -> Card:
    """Add to a card what was measured on held-out portraits, whose scores have shape (n,)."""
    quantiles = np.quantile(scores, np.linspace(0, 1, 101)).round(4)
    measured = {
        "metrics": metrics,
        "reference": quantiles.tolist(),
        "reference_name": "the drawn portraits I was tested on",
    }
    return Card.model_validate(card.model_dump() | measured)


def contact_sheet(album: Album, scores: Floats) -> Image.Image:
    """Lay out portraits, a row a skin tone: a green frame where the rule says good, brighter by score."""
    tiles = []
    for photo, good, score in zip(album.photos, album.good, scores, strict=True):
        level = int(90 + 165 * score)
        frame = (0, level, 0) if good else (level, 0, 0)
        tiles.append(np.asarray(ImageOps.expand(Image.fromarray(photo).resize((112, 112)), 4, frame)))
    starts = range(0, len(tiles) - TONES + 1, TONES)
    return Image.fromarray(np.hstack([np.vstack(tiles[start : start + TONES]) for start in starts]))


def make(file: Path, portraits: int, seed: int, sheet: Path | None) -> Card:
    """Render, fit, measure and write the judge.

    Raises:
        ExportRefused: The file would not do what the network does; nothing was written.
    """
    album, card, network = render(portraits, seed), describe(portraits, seed), Network()
    # Portraits of one composition must not be on both sides of a cut.
    fitted, calibrated = (
        int(portraits // TONES * share) * TONES for share in (FIT_SHARE, FIT_SHARE + CALIBRATION_SHARE)
    )
    test = album[slice(calibrated, None)]
    with TemporaryDirectory() as folder:
        # The features come from an exported file and not from torch, so that the head is fitted on exactly
        # what it will see when serving, 16-bit weights included; it also takes half the time.
        backbone = export(
            network, card, Path(folder) / "backbone.onnx", trial=Trial(test.photos[:16]), precision="fp16"
        )
        embedding = embed(backbone, album.photos)
    weights, bias = fit_head(embedding[:fitted], album[slice(fitted)], network.typical_photo())
    logits = embedding @ weights + bias
    divisor = temperature(logits[fitted:calibrated], album.good[fitted:calibrated])
    network.set_head(weights / divisor, bias / divisor)
    scores = 1 / (1 + np.exp(-logits[calibrated:] / divisor))
    card = with_results(card, scores, measure(scores, test))
    export(network, card, file, trial=Trial(test.photos[:16]), precision="fp16")
    if sheet:
        contact_sheet(test[slice(96)], scores[:96]).save(sheet)
    return card


def main() -> None:
    """Make the judge as the command line says, and print its metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_FILE, help="the judge's file")
    parser.add_argument("--portraits", type=int, default=4200, help="how many to render, at least 120")
    parser.add_argument("--seed", type=int, default=2015, help="another seed renders other portraits")
    parser.add_argument("--contact-sheet", type=Path, help="where to save a picture of held-out portraits")
    wanted = parser.parse_args()
    if wanted.portraits < 120:
        parser.error(f"--portraits is {wanted.portraits}, at least 120 are needed to fit, calibrate and test")
    try:
        card = make(wanted.out, wanted.portraits, wanted.seed, wanted.contact_sheet)
    except ExportRefused as error:
        sys.exit(str(error))
    sys.stdout.write(f"{wanted.out}: {card.name} {card.version}, {card.metrics}\n")


if __name__ == "__main__":
    main()
