"""What `deepselfie doctor` looks at where workers run: the judge, and the decoders' confinement."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec

from bot.doctor.finding import Finding, failed, ok, warning
from bot.settings import load
from bot.spelling import DOTENV, misspelt
from worker.settings import NO_JUDGE, WorkerSettings

# In a process of its own, as it cannot be undone.
CONFINE = "from worker.confinement import confine; confine(megabytes=64)"
TIMEOUT_SECONDS = 20


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check what a worker needs, if this machine can have one."""
    for words in misspelt([WorkerSettings], environment, DOTENV):
        yield warning("settings", words)
    settings = load(WorkerSettings, environment)
    if find_spec("onnxruntime") is None:
        yield ok("judge", "not on this machine, which has no ONNX Runtime; check where the workers run")
        return
    yield _judge(settings)
    yield _confinement()


def _judge(settings: WorkerSettings) -> Finding:
    # Late: this module must be loadable where there is no ONNX Runtime.
    survey = import_module("model.survey").survey
    refused: list[str] = []
    try:
        for found in survey(settings.models, settings.model):
            if card := found.card:
                # Nobody asks for it as long as the folder has a judge, and all do when it has none.
                if settings.model and not settings.model.is_file():
                    refused.append(f"WORKER_MODEL is {settings.model}: no such file")
                words = f"{card.name} {card.version}: {', '.join(label.name for label in card.labels)}"
                return (
                    warning("judge", f"{words}; refused: {'; '.join(refused)}")
                    if refused
                    else ok("judge", words)
                )
            refused.append(found.refused)
    except OSError as error:
        return failed(
            "judge", f"WORKER_MODELS is {settings.models}: {error.strerror}; make it, or correct that"
        )
    return failed("judge", f"{'; '.join(refused)}; {NO_JUDGE}")


def _confinement() -> Finding:
    name = "decoders"
    done = subprocess.run(
        [sys.executable, "-P", "-c", CONFINE],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return failed(name, f"they cannot be locked away ({why}); does a container's profile forbid seccomp?")
    if not import_module("worker.confinement").can_filter():
        return warning(name, "only Linux on x86_64 and aarch64 can forbid system calls; run workers there")
    return ok(name, "they can be locked away")
