"""A worker from its settings: decoders, downloader, judges, and the service that puts them to use."""

from __future__ import annotations

from redis import Redis

from bot.logs import Log
from model.cores import cores
from model.engine import Engine, choose, suited
from model.judge import DEFAULT_FILE
from worker import decode, download
from worker.batcher import batcher_of
from worker.confinement import can_filter
from worker.decode import Decoders
from worker.download import Downloader
from worker.judges import Judges
from worker.looker import Looker
from worker.service import Service
from worker.settings import WorkerSettings

LOG = Log(__name__)


def assemble(settings: WorkerSettings, redis: Redis) -> Service:
    """A service that is ready to run, its judge loaded.

    Raises:
        JudgeRefused: There is no judge that can serve.
    """
    # First of all, so that decoders get ready while the model is loaded.
    limits = decode.Limits(settings.max_megapixels, settings.decode_seconds, settings.max_megabytes)
    decoders = Decoders(settings.decoders or cores(), limits)
    if not can_filter():
        LOG.warning("this system cannot keep decoders from the network; Linux on x86_64 or aarch64 can")
    engine = _engine(settings)
    judges = Judges(settings.models, settings.model, engine)
    judges.watch(redis)
    downloader, photos = _downloader(settings), settings.photos_at_once
    batcher = batcher_of(engine, decoders.count, judges.compare)
    looker = Looker(downloader, decoders, batcher.do, photos=photos)
    return Service(redis, looker.look, batcher, lambda: judges.current, photos=photos)


def _engine(settings: WorkerSettings) -> Engine:
    choice = choose(settings.provider, DEFAULT_FILE)
    if choice.passed_over:
        # That there is a card but no TensorRT is how the image for GPUs comes.
        is_usual = settings.provider == "auto" and choice.provider == "cuda"
        reasons = "; ".join(f"{provider}: {why}" for provider, why in choice.passed_over.items())
        tell = LOG.info if is_usual else LOG.warning
        tell("provider passed over", wanted=settings.provider, used=choice.provider, reason=reasons)
    return suited(choice.provider, cores(), settings.batch)


def _downloader(settings: WorkerSettings) -> Downloader:
    allowed = settings.private_addresses == "allow"
    if allowed:
        LOG.warning(
            "WORKER_PRIVATE_ADDRESSES=allow: anyone can make this worker open addresses of your own network"
        )
    limits = download.Limits(
        settings.max_megabytes,
        settings.download_seconds,
        private_addresses=allowed,
        private_hosts=settings.private_hosts,
    )
    return Downloader(limits, contact=settings.contact)
