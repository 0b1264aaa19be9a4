"""What each process counts and times for the operator, in Prometheus's terms.

Only what one process alone knows is here; what Redis knows of all of them, bot/gauges.py reads there.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from bot.messages import Declined, Judged
from bot.monitor import Check

# The promise is a minute and the aim two seconds: both have to be a bucket's edge.
ANSWER_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 45, 60, 90, 120, 300, 900)
STAGE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 55)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

ANSWER_SECONDS = Histogram(
    "deepselfie_answer_seconds",
    "From hearing of a mention to its reply being posted.",
    ["network"],
    buckets=ANSWER_BUCKETS,
)
STAGE_SECONDS = Histogram(
    "deepselfie_stage_seconds",
    "One step on a mention's way: queue, download, decode, model, post.",
    ["stage"],
    buckets=STAGE_BUCKETS,
)
BATCH_PHOTOS = Histogram(
    "deepselfie_batch_photos", "Photos that one call of the model judged.", buckets=BATCH_BUCKETS
)
PHOTOS = Counter(
    "deepselfie_photos_total", "Photos that were looked at: judged, or why they were declined.", ["outcome"]
)
DECODER_CRASHES = Counter("deepselfie_decoder_crashes_total", "Decoders that a photo ended by crashing.")

JUDGE = Gauge(
    "deepselfie_judge_info",
    "1 for each judge that this worker has loaded, by its role (current or shadow) and what it runs on.",
    ["role", "name", "version", "file", "provider"],
)
SWAPS = Counter(
    "deepselfie_judge_swaps_total",
    "Judges' files that came while the worker ran: used or refused.",
    ["outcome"],
)
SHADOW_DIFFERENCE = Histogram(
    "deepselfie_shadow_difference",
    "How far a shadow judge's score of a photo is from the one that was told, 0-1.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1),
)
SHADOW_PHOTOS = Counter(
    "deepselfie_shadow_photos_total",
    "Photos that a shadow judge saw: same label, other label, or dropped because it was too busy.",
    ["outcome"],
)

# A counter that is there from the start, Prometheus sees go from 0 to 1.
for _outcome in ("used", "refused"):
    SWAPS.labels(_outcome)
STAGES = {stage: STAGE_SECONDS.labels(stage) for stage in ("queue", "download", "decode", "model", "post")}


def judge_check() -> Check:
    """Whether a judge is loaded, as JUDGE says it; the value: which."""
    samples = [sample for metric in JUDGE.collect() for sample in metric.samples]
    current = [each.labels for each in samples if each.value and each.labels["role"] == "current"]
    return Check(bool(current), ", ".join(f"{judge['name']} {judge['version']}" for judge in current) or None)


def observe_mention(opinions: Iterable[Judged | Declined], **seconds: float) -> None:
    """Note that a worker has looked at a mention: at which photos, and how long each stage took."""
    for opinion in opinions:
        PHOTOS.labels(opinion.reason if isinstance(opinion, Declined) else "judged").inc()
    for stage, took in seconds.items():
        STAGES[stage].observe(took)
