"""The house rules that a program can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

OURS = {"bot", "worker", "model"}
ALLOWED = {
    "bot": {"bot"},
    "model": {"model"},
    "worker": {
        "worker",
        "bot.bench",
        "bot.chaos",
        "bot.doctor.finding",
        "bot.jobs",
        "bot.judges",
        "bot.keeper",
        "bot.ledger",
        "bot.logs",
        "bot.messages",
        "bot.metrics",
        "bot.monitor",
        "bot.queues",
        "bot.record",
        "bot.settings",
        "bot.spelling",
        "model",
    },
}
TRAINING = {
    f"model/{step}" for step in ("collection", "dataset", "evaluation", "export", "simulation", "training")
}
ONLY_FOR_TRAINING = {
    "accelerate",
    "duckdb",
    "ibis",
    "matplotlib",
    "onnx",
    "onnxscript",
    "pyarrow",
    "pyspark",
    "scipy",
    "sklearn",
    "torch",
    "tqdm",
}


def modules(repository: Path, package: str) -> list[Path]:
    return sorted((repository / package).rglob("*.py"))


def imports(file: Path) -> set[str]:
    """Everything a module imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", sorted(OURS))
def test_imports_go_one_way(repository: Path, package: str) -> None:
    for file in modules(repository, package):
        for name in imports(file):
            if name.partition(".")[0] in OURS:
                allowed = any(f"{name}.".startswith(f"{prefix}.") for prefix in ALLOWED[package])
                assert allowed, f"{file.relative_to(repository)} imports {name}"


@pytest.mark.parametrize("package", sorted(OURS))
def test_only_training_knows_the_training_libraries(repository: Path, package: str) -> None:
    for file in modules(repository, package):
        if str(file.parent.relative_to(repository)) in TRAINING:
            continue
        tops = {name.partition(".")[0] for name in imports(file)}
        assert not tops & ONLY_FOR_TRAINING, file


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages that a fresh Python has loaded after importing some modules."""
    program = f"import sys\nfor name in {modules}: __import__(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("process", ["bot.listeners", "bot.responder", "worker.assembly"])
def test_no_process_loads_torch(process: str) -> None:
    assert not loaded_by(process) & ONLY_FOR_TRAINING


@pytest.mark.parametrize("process", ["bot.listeners", "bot.responder", "bot.networks"])
def test_listener_and_responder_do_without_what_only_the_worker_needs(process: str) -> None:
    assert not loaded_by(process) & {"onnxruntime", "numpy", "PIL", "httpcore", "starlette", "uvicorn"}


def test_nothing_is_loaded_of_a_network_that_the_bot_is_not_on() -> None:
    assert not loaded_by("bot.listeners", "bot.responder") & {"tweepy", "twitter_text", "mastodon"}


@pytest.mark.parametrize("process", ["bot.listeners", "bot.responder", "bot.networks", "worker.assembly"])
def test_nothing_of_bluesky_is_loaded_without_an_account_there(process: str) -> None:
    assert not loaded_by(process) & {"atproto", "atproto_client", "atproto_core", "regex"}


def test_bluesky_does_without_pillow_until_a_picture_is_too_large() -> None:
    assert "PIL" not in loaded_by("bot.networks.bluesky")


@pytest.mark.parametrize("package", sorted(OURS))
def test_every_module_says_what_it_is_for_and_stays_small(repository: Path, package: str) -> None:
    for file in modules(repository, package):
        text = file.read_text()
        assert ast.get_docstring(ast.parse(text)), file
        assert len(text.splitlines()) <= 250, file


@pytest.mark.parametrize("package", sorted(OURS))
def test_functions_stay_small(repository: Path, package: str) -> None:
    for file in modules(repository, package):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node, clean=False)
                lines = (node.end_lineno or 0) - node.lineno + 1 - len((docstring or "").splitlines())
                assert lines <= 32, f"{file.relative_to(repository)}: {node.name} has {lines} lines"


@pytest.mark.e2e
@pytest.mark.parametrize("command", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]])
def test_the_code_is_clean(repository: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=repository, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
