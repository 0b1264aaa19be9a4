"""A whole bot, watched from outside: its ports, its log, and a real Prometheus that scrapes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bot.demo import Bot, started
from bot.processes import Processes
from tests.events import Log
from tests.monitored import ask, families, free_port
from tests.operating import run
from tests.photos import portrait_jpeg
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

PROCESSES = ("worker", "responder", "listener")
NAME = re.compile(r"\bdeepselfie_[a-z_]+")
# What one of a process's metrics is called in a query.
SUFFIX = re.compile(r"_(total|bucket|sum|count)$")
# Nothing of these is there while all is well, or while there is neither X nor a shadow judge.
MAY_BE_EMPTY = re.compile(r"deepselfie_(alarm|cost_dollars|budget_dollars|shadow_)")


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    first = free_port(in_a_row=3)
    return {name: first + place for place, name in enumerate(PROCESSES)}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory, log: Log, ports: dict[str, int]) -> Iterator[Bot]:
    directory = tmp_path_factory.mktemp("bot")
    (directory / "photo.jpg").write_bytes(portrait_jpeg())
    with ExitStack() as running:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("METRICS_PORT", str(ports["worker"]))
            bot = running.enter_context(started(directory, 0, log))
        bot.answer(directory / "photo.jpg")
        # The last that is done about a mention.
        assert eventually(lambda: bool(log.named("answered")), 10)
        yield bot


def exported(ports: dict[str, int]) -> set[str]:
    """The names of all our metrics, of all processes, as queries have them without their suffixes."""
    answers = [ask(port, "/metrics").text for port in ports.values()]
    return {name for answer in answers for name in families(answer) if name.startswith("deepselfie_")}


def queried(repository: Path) -> dict[str, list[str]]:
    """Every query of the alarms and of the dashboard, and our metrics that it names."""
    folder = repository / "deploy/metrics"
    groups = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    panels = json.loads((folder / "grafana/dashboard.json").read_text())["panels"]
    queries = [rule["expr"] for group in groups for rule in group["rules"]]
    queries += [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return {query: [SUFFIX.sub("", name) for name in NAME.findall(query)] for query in queries}


def test_every_metric_that_is_asked_for_is_exported(
    bot: Bot, ports: dict[str, int], repository: Path
) -> None:
    bot.processes.check()

    asked_for = {name for names in queried(repository).values() for name in names}

    assert asked_for - exported(ports) == set()


def test_every_metric_that_is_exported_is_looked_at(
    bot: Bot, ports: dict[str, int], repository: Path
) -> None:
    bot.processes.check()

    asked_for = {name for names in queried(repository).values() for name in names}

    assert exported(ports) - asked_for == set()


def test_an_answer_is_counted_and_timed_where_it_happens(bot: Bot, ports: dict[str, int]) -> None:
    bot.processes.check()
    told = {
        name: {
            (sample.name, *sample.labels.values()): sample.value
            for metric in families(ask(port, "/metrics").text).values()
            for sample in metric.samples
        }
        for name, port in ports.items()
    }

    answers = told["responder"]["deepselfie_answer_seconds_count", "mastodon"]
    assert answers >= 1
    assert 0 < told["responder"]["deepselfie_answer_seconds_sum", "mastodon"] < 60 * answers
    assert told["responder"]["deepselfie_stage_seconds_count", "post"] == answers
    for stage in ("queue", "download", "decode", "model"):
        assert told["worker"]["deepselfie_stage_seconds_count", stage] == answers
        assert told["worker"]["deepselfie_stage_seconds_sum", stage] > 0
    assert told["worker"]["deepselfie_photos_total", "judged"] == answers
    assert told["worker"]["deepselfie_batch_photos_sum",] == answers
    assert told["listener"]["deepselfie_mentions_total", "sent"] == answers


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_runs_is_healthy_and_ready(bot: Bot, ports: dict[str, int], name: str) -> None:
    bot.processes.check()
    environment = {"METRICS_PORT": str(ports[name])}

    assert run("probe", environment=environment).stdout == "healthy\n"
    assert run("probe", "--ready", environment=environment).stdout == "ready\n"


def test_each_loop_of_the_listener_is_named(bot: Bot, ports: dict[str, int]) -> None:
    bot.processes.check()
    checks = ask(ports["listener"], "/healthz").json()["checks"]

    assert set(checks) == {"loop", "mastodon poll"}
    assert all(0 <= check["value"]["seconds"] < check["value"]["limit"] for check in checks.values())


def test_what_makes_it_ready_is_named(bot: Bot, ports: dict[str, int]) -> None:
    bot.processes.check()
    ready = {name: ask(port, "/readyz").json()["checks"] for name, port in ports.items()}

    assert ready["worker"]["judge"] == {"ok": True, "value": "drawn 1.0.0"}
    assert ready["listener"]["logged in"] == {"ok": True, "value": ["mastodon"]}
    assert ready["responder"]["logged in"] == {"ok": True, "value": ["mastodon"]}
    assert {checks["redis"]["value"] for checks in ready.values()} == {"answers"}


def test_one_mention_can_be_followed_through_all_three_processes(bot: Bot, log: Log) -> None:
    bot.processes.check()
    key = log.named("answered")[0]["key"]

    # Each process has a pipe of its own, and these may overtake each other.
    followed = sorted((name, event["event"]) for name, event in log.events if event.get("key") == key)

    assert followed == [("listener", "heard"), ("responder", "answered"), ("worker", "judged")]


def test_a_process_that_stands_still_is_neither_healthy_nor_ready(bot: Bot, ports: dict[str, int]) -> None:
    os.kill(bot.processes.pid("worker"), signal.SIGSTOP)
    try:
        done = run("probe", environment={"METRICS_PORT": str(ports["worker"])})
    finally:
        os.kill(bot.processes.pid("worker"), signal.SIGCONT)

    assert (done.returncode, "nothing answers" in done.stderr) == (1, True)


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, bot: Bot, ports: dict[str, int]
) -> Iterator[httpx.Client]:
    """A real Prometheus, with our alarms, that scrapes this bot."""
    if not (binary := shutil.which("prometheus")):
        pytest.skip("no prometheus; install Debian's package prometheus")
    bot.processes.check()
    directory = tmp_path_factory.mktemp("prometheus")
    alerts = Path(__file__).parent.parent / "deploy/metrics/alerts.yml"
    configuration = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
        "rule_files": [str(alerts)],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in ports.items()
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port()}"
    processes = Processes(lambda _name, _event: None)
    options = {"config.file": directory / "prometheus.yml", "storage.tsdb.path": directory / "data"}
    command = [binary, *(f"--{name}={value}" for name, value in options.items())]
    processes.start("prometheus", [*command, f"--web.listen-address={address}"], os.environ)
    try:
        with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
            assert eventually(lambda: is_scraping(client), 30)
            yield client
    finally:
        processes.stop()


def is_scraping(client: httpx.Client) -> bool:
    """Whether all three have been scraped often enough for rates."""
    try:
        return len(query(client, "count_over_time(up[1m]) >= 6")) == len(PROCESSES)
    except (httpx.TransportError, json.JSONDecodeError):
        return False


def query(client: httpx.Client, words: str) -> list[Any]:
    answer = client.get("/api/v1/query", params={"query": words}).json()
    assert answer["status"] == "success", (words, answer)
    found: list[Any] = answer["data"]["result"]
    return found


def test_prometheus_finds_something_for_every_panel(prometheus: httpx.Client, repository: Path) -> None:
    panels = json.loads((repository / "deploy/metrics/grafana/dashboard.json").read_text())["panels"]
    targets = [target["expr"] for panel in panels for target in panel.get("targets", [])]

    def empty() -> list[str]:
        found = [words for words in targets if not query(prometheus, words.replace("$__rate_interval", "1m"))]
        return [words for words in found if not MAY_BE_EMPTY.search(words)]

    # A scrape that comes half a second too late leaves nothing until the next one.
    assert eventually(lambda: not empty(), 15), empty()


def test_no_alarm_is_raised_while_all_is_well(prometheus: httpx.Client) -> None:
    rules = prometheus.get("/api/v1/rules").json()["data"]["groups"]

    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
    assert query(prometheus, 'ALERTS{alertstate="firing"}') == []
