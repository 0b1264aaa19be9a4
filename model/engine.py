"""What a judge runs on: an execution provider of ONNX Runtime, and how it is asked for.

    tensorrt ─► cuda ─► cpu        the first one that loads on this machine

CPU: a core does most when it runs one call after the other alone, so there are as many calls as cores, each
with one thread. GPU: two calls, so that one copies while the other computes, and large batches.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

Provider = Literal["cpu", "cuda", "tensorrt"]
Wish = Literal["auto", "cpu", "cuda", "tensorrt"]

BEST_FIRST: tuple[Provider, ...] = ("tensorrt", "cuda", "cpu")
NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# On a CPU, two photos a call cost a small judge a tenth less than one by one, and more than two cost more.
CPU_BATCH, GPU_BATCH = 2, 32
# So many photos a core decodes before it judges them; more save nothing more.
CPU_TURN = 4
GPU_CALLS = 2

CUDA_OPTIONS = {
    # Every size of batch is warmed up before it serves: cuDNN may try all its ways then.
    "cudnn_conv_algo_search": "EXHAUSTIVE",
    # The faster ways need memory to work in.
    "cudnn_conv_use_max_workspace": "1",
    # Powers of two would take up to twice as much, and while judges are swapped two are in memory.
    "arena_extend_strategy": "kSameAsRequested",
}
# What to do where a library is missing.
_REMEDY = {
    "cuda": "libcuda comes with NVIDIA's driver (in containers: its container toolkit, and `--gpus all`), "
    "all else with `pip install 'deepselfie[gpu]'`",
    "tensorrt": "`pip install tensorrt` in the version that ONNX Runtime's documentation names for it, "
    "besides all that CUDA needs",
}


@dataclass(frozen=True)
class Engine:
    """How judges are run."""

    provider: Provider = "cpu"
    threads: int = 1
    """Of one call, on a CPU."""
    calls: int = 1
    """How many may be under way at a time."""
    most: int = CPU_BATCH
    """Photos in one call."""

    def threads_beside(self, decoders: int) -> int:
        """How many threads keep it and so many decoders busy.

        On a CPU they take turns, since they share its cores. On a GPU, who calls waits while others decode.
        """
        return max(self.calls, decoders) if self.provider == "cpu" else self.calls + decoders

    def ahead(self, decoders: int) -> int:
        """How many photos so many decoders make ready before they are judged, where more wait.

        On a CPU, whose cores do both, a few each. A GPU never waits, nor do decoders that are fewer than
        cores.
        """
        if self.provider != "cpu" or decoders < self.calls:
            return 0
        return self.calls * max(CPU_TURN, self.most)


@dataclass(frozen=True)
class Choice:
    """The provider that is used."""

    provider: Provider
    passed_over: dict[Provider, str] = field(default_factory=dict)
    """Those that would have been better, or were wished for, and why they are not used."""


def suited(provider: Provider, cores: int, batch: int | None = None) -> Engine:
    """The engine that does most with a provider and so many cores; `batch` is the operator's own limit."""
    if provider == "cpu":
        return Engine(provider, threads=1, calls=cores, most=batch or CPU_BATCH)
    return Engine(provider, threads=1, calls=GPU_CALLS, most=batch or GPU_BATCH)


def candidates(wish: Wish, offered: Sequence[str]) -> tuple[Provider, ...]:
    """The providers to try, in this order; `offered` are ONNX Runtime's names of those that it has."""
    if wish == "auto":
        return tuple(name for name in BEST_FIRST if NAMES[name] in offered or name == "cpu")
    return BEST_FIRST[BEST_FIRST.index(wish) :]


def choose(wish: Wish, probe: Path) -> Choice:
    """Find the provider that serves a wish best on this machine.

    Args:
        wish: What the operator asks for; "auto" for whatever is best.
        probe: Any ONNX file that can be loaded, to try providers with.
    """
    passed_over: dict[Provider, str] = {}
    for provider in candidates(wish, ort.get_available_providers()):
        why = trouble(provider, probe)
        if not why:
            return Choice(provider, passed_over)
        passed_over[provider] = why
    return Choice("cpu", passed_over)


def trouble(provider: Provider, probe: Path) -> str | None:
    """Why a provider cannot be used here, and what to do about it; None if it can."""
    if provider == "cpu":
        return None
    offered = ort.get_available_providers()
    if NAMES[provider] not in offered:
        return (
            f"this ONNX Runtime offers {', '.join(offered)} only; `pip uninstall onnxruntime`, then "
            "`pip install 'deepselfie[gpu]'`: the two cannot live together"
        )
    preload(provider)
    if missing := _missing(provider):
        return f"{missing}; {_REMEDY[provider]}"
    try:
        used = start(probe, 1, provider).get_providers()[0]
    # ONNX Runtime's errors share no base class but Exception.
    except Exception as error:
        return f"it does not start ({error}); `nvidia-smi` should list a card"
    if used != NAMES[provider]:
        return "it does not start, though its libraries load; `nvidia-smi` should list a card"
    return None


def preload(provider: Provider) -> None:
    """Load the libraries that came as Python packages, where ONNX Runtime alone would not find them."""
    # It prints what is missing; that is looked for here as well, and told in one sentence.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        ort.preload_dlls()
        if provider == "tensorrt":
            with suppress(ImportError, OSError):
                import_module("tensorrt")


def _missing(provider: Provider) -> str | None:
    """Which library a provider needs and lacks, in the loader's words. ONNX Runtime tells only its log."""
    place = Path(ort.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(place / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(place / f"libonnxruntime_providers_{provider}.so"))
    except OSError as error:
        return str(error)
    return None


def listing(provider: Provider, cache: Path | None = None) -> list[tuple[str, dict[str, str]]]:
    """Providers and their options, as ONNX Runtime wants them: whatever one cannot do, the next one does.

    Args:
        provider: The one to use.
        cache: Where TensorRT keeps what it has built, which takes it minutes; None for nowhere.
    """
    tensorrt = {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"} if cache else {}
    if cache:
        tensorrt |= {"trt_engine_cache_path": str(cache), "trt_timing_cache_path": str(cache)}
    options: dict[Provider, dict[str, str]] = {"tensorrt": tensorrt, "cuda": CUDA_OPTIONS, "cpu": {}}
    return [(NAMES[each], options[each]) for each in BEST_FIRST[BEST_FIRST.index(provider) :]]


def start(model: Path | bytes, threads: int, provider: Provider = "cpu") -> ort.InferenceSession:
    """Load an ONNX file, or what would be in one, to run with so many threads a call."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads burn a whole core while the bot waits for the next mention.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = listing(provider, _cache() if provider == "tensorrt" else None)
    # Without its own way back, which prints, and hides what has failed.
    further: dict[str, Any] = {"enable_fallback": 0}
    return ort.InferenceSession(model, options, providers=providers, **further)


def _cache() -> Path | None:
    # In the user's own folder: what is in it runs on the card.
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepselfie" / "tensorrt"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None
