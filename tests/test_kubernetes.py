"""The manifests in deploy/kubernetes, as kustomize puts them together."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bot import queues
from bot.command import COMMANDS
from bot.networks.accounts import BlueskyAccount, MastodonAccount, XAccount
from bot.settings import BotSettings, Group, ListenerSettings, load
from worker.addresses import IPV4_NOT_PUBLIC, IPV6_NOT_PUBLIC
from worker.settings import WorkerSettings

OVERLAYS = ("example", "gpu")
# Some releases back, and the newest that the package knows.
VERSIONS = ("1.31", kubernetes_validate.latest_version())
# No part of Kubernetes itself.
CUSTOM = {"ScaledObject", "TriggerAuthentication", "PodMonitor"}

BOT: tuple[type[Group], ...] = (ListenerSettings, BotSettings, MastodonAccount, XAccount, BlueskyAccount)
SETTINGS: dict[str, tuple[type[Group], ...]] = {
    "listener": BOT,
    "responder": BOT,
    "worker": (WorkerSettings,),
}

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(__file__).parent.parent / "deploy" / "kubernetes"


def build(folder: Path) -> list[Manifest]:
    """What kustomize makes of a folder."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return list(yaml.safe_load_all(done.stdout))
    pytest.skip("neither kustomize nor kubectl is installed")


@pytest.fixture(scope="module", params=OVERLAYS)
def built(request: pytest.FixtureRequest, folder: Path) -> list[Manifest]:
    return build(folder / "overlays" / str(request.param))


def of(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Each Deployment's name, its pods and their container."""
    for name, deployment in of(manifests, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        yield name, pod, container


def values(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """A container's environment."""
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            found |= of(manifests, "ConfigMap")[source["configMapRef"]["name"]]["data"]
        else:
            data = of(manifests, "Secret")[source["secretRef"]["name"]]["data"]
            found |= {name: b64decode(value).decode() for name, value in data.items()}
    return found


def files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*.yaml")) if file.name != "kustomization.yaml"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_kubernetes_own_fits_its_schemas(folder: Path, version: str) -> None:
    """Of the files as they lie there, because kustomize is not everywhere."""
    manifests = [one for file in files(folder) for one in yaml.safe_load_all(file.read_text())]
    ours = [one for one in manifests if one["kind"] not in CUSTOM]
    assert len(ours) > 10

    for one in ours:
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_kustomize_makes_of_it_fits_too(built: list[Manifest], version: str) -> None:
    for one in built:
        if one["kind"] not in CUSTOM:
            kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_field_is_found(folder: Path) -> None:
    deployment = yaml.safe_load((folder / "base/worker.yaml").read_text())
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 1

    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


def test_every_component_can_be_built_in(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(folder, copied)
    mine = copied / "overlays" / "mine" / "kustomization.yaml"
    mine.parent.mkdir()
    components = [f"../../components/{one.name}" for one in (folder / "components").iterdir()]
    mine.write_text(yaml.safe_dump({"resources": ["../example"], "components": components}))

    manifests = build(mine.parent)

    scaled = of(manifests, "ScaledObject")["worker"]["spec"]
    [trigger] = scaled["triggers"]
    assert "fallback" not in scaled
    assert (trigger["type"], trigger["metricType"]) == ("prometheus", "Value")
    assert "deepselfie_queue_age_seconds" in trigger["metadata"]["query"]
    [endpoint] = of(manifests, "PodMonitor")["deepselfie"]["spec"]["podMetricsEndpoints"]
    for _, _, container in pods(manifests):
        assert endpoint["port"] in [port["name"] for port in container["ports"]]


def test_every_process_runs_a_command_that_there_is(built: list[Manifest]) -> None:
    assert {name: container["args"] for name, _, container in pods(built)} == {
        "listener": ["listen"],
        "responder": ["respond"],
        "worker": ["work"],
    }
    assert {"listen", "respond", "work"} <= set(COMMANDS)


def test_every_setting_is_one_that_its_process_reads(built: list[Manifest]) -> None:
    for name, _, container in pods(built):
        known = {str(field.alias) for group in SETTINGS[name] for field in group.model_fields.values()}
        given = values(built, container)
        assert "REDIS_URL" in given
        assert set(given) <= known, name
        load(SETTINGS[name][0], given)


def test_a_worker_gets_no_accounts(built: list[Manifest]) -> None:
    [worker] = [container for name, _, container in pods(built) if name == "worker"]

    ours = {name for name in values(built, worker) if not name.startswith(("WORKER_", "METRICS_"))}
    assert ours == {"REDIS_URL", "LOG_FORMAT"}


def test_every_image_is_an_operators_own(built: list[Manifest]) -> None:
    images = {name: container["image"] for name, _, container in pods(built)}

    assert all(image.startswith("registry.example.org/deepselfie:") for image in images.values())
    kinds = {name: image.rpartition("-")[2] for name, image in images.items()}
    is_gpu = "nvidia.com/gpu" in str(built)
    assert kinds == {"listener": "bot", "responder": "bot", "worker": "gpu" if is_gpu else "cpu"}


def test_every_volume_is_mounted_and_every_mount_has_its_volume(built: list[Manifest]) -> None:
    for name, pod, container in pods(built):
        volumes = [volume["name"] for volume in pod["volumes"]]
        assert sorted(volumes) == sorted(mount["name"] for mount in container["volumeMounts"]), name
        for volume in pod["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in of(built, "PersistentVolumeClaim")


def test_every_selector_matches_its_pods(built: list[Manifest]) -> None:
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"] for name, one in of(built, "Deployment").items()
    }
    for name, deployment in of(built, "Deployment").items():
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
        [spread] = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"].items() <= labels[name].items()
    for name, budget in of(built, "PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
    assert set(of(built, "PodDisruptionBudget")) == set(labels)
    for name, policy in of(built, "NetworkPolicy").items():
        wanted = policy["spec"]["podSelector"].get("matchLabels", {}).items()
        assert any(wanted <= pod.items() for pod in labels.values()), name


def test_nobody_may_do_more_than_they_must(built: list[Manifest]) -> None:
    for name, pod, container in pods(built):
        assert pod["automountServiceAccountToken"] is False
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_health_is_asked_where_it_is_told(built: list[Manifest]) -> None:
    for _, _, container in pods(built):
        assert values(built, container)["METRICS_PORT"] == "9100"
        assert values(built, container)["METRICS_HOST"] == "0.0.0.0"
        assert container["ports"] == [{"name": "metrics", "containerPort": 9100}]
        probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
        assert {probe["port"] for probe in probes.values()} == {"metrics"}
        assert [probes[name]["path"] for name in ("readiness", "liveness")] == ["/readyz", "/healthz"]


def test_a_worker_has_time_to_hand_back_before_it_is_killed(built: list[Manifest]) -> None:
    [(pod, container)] = [(pod, container) for name, pod, container in pods(built) if name == "worker"]
    grace = float(values(built, container)["WORKER_GRACE_SECONDS"])

    assert grace + 10 <= pod["terminationGracePeriodSeconds"]


def test_workers_are_as_many_as_the_queue_needs(built: list[Manifest]) -> None:
    deployments = of(built, "Deployment")
    scaled = of(built, "ScaledObject")["worker"]["spec"]
    [trigger] = scaled["triggers"]

    assert scaled["scaleTargetRef"]["name"] in deployments
    # Two who set it would fight.
    assert "replicas" not in deployments["worker"]["spec"]
    assert deployments["listener"]["spec"]["replicas"] == 2
    assert trigger["metadata"]["listName"] == f"rq:queue:{queues.PHOTOS}"
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    # KEDA refuses a fallback for anything else, and where it is not written down.
    assert trigger["metricType"] == "AverageValue"
    assert 0 < scaled["minReplicaCount"] <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]
    authentication = of(built, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    for target in authentication["spec"]["secretTargetRef"]:
        assert target["key"] in of(built, "Secret")[target["name"]]["data"]


PRIVATE = (
    "10.1.2.3",
    "172.20.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "127.0.0.1",
    "100.64.0.1",
    "fd00::1",
    "::1",
    "2002:a01:203::1",
)


def test_a_worker_reaches_the_internet_and_redis_and_nothing_else(built: list[Manifest]) -> None:
    policies = of(built, "NetworkPolicy")
    assert policies["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    allowed = [
        (ipaddress.ip_network(to["ipBlock"]["cidr"]), to["ipBlock"].get("except", []), name)
        for name in ("internet", "photos", "redis")
        for rule in policies[name]["spec"]["egress"]
        for to in rule["to"]
    ]

    def who_lets(address: str) -> set[str]:
        ip = ipaddress.ip_address(address)
        return {
            name
            for network, excepted, name in allowed
            if ip in network and not any(ip in ipaddress.ip_network(one) for one in excepted)
        }

    assert who_lets("93.184.215.14") == who_lets("2606:2800:21f::1") == {"internet", "photos"}
    assert who_lets("10.20.0.5") == {"redis"}
    assert [address for address in PRIVATE if who_lets(address)] == []
    # What the worker itself takes for nobody's business, no policy lets through either.
    blocks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [*IPV4_NOT_PUBLIC, *IPV6_NOT_PUBLIC]
    for block in blocks:
        assert not {who for edge in (block[0], block[-1]) for who in who_lets(str(edge))} - {"redis"}, block
    ports = {name: policies[name]["spec"]["egress"][0]["ports"] for name in ("internet", "photos", "redis")}
    assert ports == {"internet": [{"port": 443}], "photos": [{"port": 80}], "redis": [{"port": 6379}]}
    assert [rule for one in policies.values() for rule in one["spec"].get("ingress", [])] == [
        {
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "ports": [{"port": 9100}],
        }
    ]
