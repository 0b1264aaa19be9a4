"""The peers: how each is installed, into a virtual environment of its own, started, asked and understood.

They never become dependencies of ours: rooms are made on demand under build/peers/, and made anew when what
they hold is changed here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.footprint import family
from benchmarks.peers_client import Request, post
from bot.processes import ProcessDied, Processes
from model.judge import DEFAULT_FILE, Judge

REPOSITORY = Path(__file__).parent.parent
ROOMS = REPOSITORY / "build" / "peers"
READY_SECONDS = 120
TRIES = 3

# What all get, in the versions that we have: the same ONNX Runtime and the same decoder.
COMMON = ("onnxruntime", "pillow", "pillow-heif")
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


class Missing(Exception):
    """A peer cannot take part; the message says why."""


@dataclass(frozen=True)
class Peer:
    """One server of models."""

    name: str
    module: str
    requirements: tuple[str, ...]
    path: str
    """Where it takes photos."""
    body: Callable[[bytes], tuple[bytes, dict[str, str]]]
    """A photo → a request's body and headers, as the peer likes them."""
    own_python: bool = False
    """It brings a Python library of its own, which may be older than the standard library it then finds."""


@dataclass(frozen=True)
class Setting:
    """How a peer is to serve."""

    decoder: str
    """"own" or "docs"."""
    batch: int
    """Photos in one call at the most."""


@dataclass(frozen=True)
class Server:
    """A peer that runs."""

    peer: Peer
    url: str
    pid: int

    def requests(self, photos: list[bytes]) -> list[Request]:
        """What is sent to it."""
        return [Request(self.url, *self.peer.body(photo)) for photo in photos]


def as_form(field: str, photo: bytes) -> tuple[bytes, dict[str, str]]:
    """Multipart form data."""
    line = "a-line-that-no-photo-has"
    head = f'--{line}\r\nContent-Disposition: form-data; name="{field}"; filename="photo.jpg"\r\n'
    head += "Content-Type: image/jpeg\r\n\r\n"
    body = head.encode() + photo + f"\r\n--{line}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={line}"}


def as_body(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """The photo and nothing else."""
    return photo, {"Content-Type": "image/jpeg"}


def as_tensor(photo: bytes) -> tuple[bytes, dict[str, str]]:
    """Triton's way to put bytes behind JSON."""
    size = {"binary_data_size": len(photo) + 4}
    tensor = {"name": "photos", "shape": [1, 1], "datatype": "BYTES", "parameters": size}
    head = json.dumps({"inputs": [tensor]}).encode()
    body = head + struct.pack("<I", len(photo)) + photo
    return body, {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }


WEB = ("fastapi==0.165.0", "httptools==0.9.0", "starlette==1.10.0", "uvicorn==0.54.0", "uvloop==0.23.0")
PEERS = (
    Peer(
        "LitServe",
        "benchmarks.peers_litserve",
        ("litserve==0.2.19", *WEB, "python-multipart==0.0.34"),
        "/predict",
        partial(as_form, "photo"),
    ),
    Peer(
        "BentoML",
        "benchmarks.peers_bentoml",
        ("bentoml==1.4.40", "python-multipart==0.0.34", "starlette==1.10.0", "uvicorn==0.54.0"),
        "/judged",
        partial(as_form, "photos"),
    ),
    Peer("Ray Serve", "benchmarks.peers_ray", ("ray[serve]==2.60.0", *WEB), "/", as_body),
    Peer(
        "Triton",
        "benchmarks.peers_triton",
        ("nvidia-pytriton==0.7.0", "tritonclient==2.73.0", "numpy==1.26.4"),
        "/v2/models/judge/infer",
        as_tensor,
        own_python=True,
    ),
)


def room(peer: Peer, rooms: Path = ROOMS) -> Path:
    """A peer's Python, made if need be.

    Raises:
        Missing: It cannot be installed.
    """
    folder = rooms / peer.name.lower().replace(" ", "-")
    wanted = [*peer.requirements, *(f"{name}=={version(name)}" for name in COMMON)]
    label = folder / "holds.json"
    python = folder / "bin" / "python"
    if label.is_file() and json.loads(label.read_text()) == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing {peer.name} …", file=sys.stderr)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise Missing(f"cannot be installed: {(lines or done.stderr.splitlines() or ['?'])[0]}")
    label.write_text(json.dumps(wanted))
    return python


@contextmanager
def serving(peer: Peer, setting: Setting, photo: bytes, folder: Path) -> Iterator[Server]:
    """Run a peer until the block ends.

    Raises:
        Missing: It cannot be installed, or does not answer.
    """
    python = room(peer)
    for number in range(TRIES):
        place = folder / str(number)
        place.mkdir(parents=True)
        processes = Processes(lambda _name, _event: None)
        try:
            server = _start(peer, setting, python, place, processes)
            _wait(server, processes, photo)
            break
        except BaseException as error:
            _end(processes, peer)
            # On a busy machine Triton's processes may miss each other.
            if not isinstance(error, Missing) or number + 1 == TRIES:
                raise
    try:
        yield server
    finally:
        _end(processes, peer)


def _start(peer: Peer, setting: Setting, python: Path, place: Path, processes: Processes) -> Server:
    port = _free_ports(2)
    # Started where there is nothing else, since some leave files where they are started.
    command = ["env", "-C", str(place), str(python), "-m", peer.module]
    processes.start(peer.name, command, _environment(peer, setting, port, place))
    return Server(peer, f"http://127.0.0.1:{port}{peer.path}", processes.pid(peer.name))


def _end(processes: Processes, peer: Peer) -> None:
    pid = processes.pid(peer.name)
    left = family(pid)
    processes.stop()
    # Some leave workers behind when they are told to stop.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for one in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _environment(peer: Peer, setting: Setting, port: int, folder: Path) -> Mapping[str, str]:
    ours = {
        "HOME": str(folder),
        "PEER_BATCH": str(setting.batch),
        "PEER_DECODER": setting.decoder,
        "PEER_FOLDER": str(folder),
        "PEER_JUDGE": str(DEFAULT_FILE),
        "PEER_PORT": str(port),
        "PEER_SIDE": str(Judge().card.input_size),
        "PYTHONPATH": str(REPOSITORY),
    }
    library = Path(sysconfig.get_config_var("LIBDIR")) / str(sysconfig.get_config_var("INSTSONAME"))
    if peer.own_python and library.suffix != ".a" and library.is_file():
        ours["LD_PRELOAD"] = str(library)
    return os.environ | QUIET | ours


def _wait(server: Server, processes: Processes, photo: bytes) -> None:
    [request] = server.requests([photo])
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            processes.check()
            post(request)
        except ProcessDied as death:
            words = " ".join(str(death).split())
            raise Missing(f"does not start: … {words[-200:]}") from death
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise Missing(f"does not answer within {READY_SECONDS} s")


def probability(answer: bytes) -> float:
    """What a peer says of a photo."""
    said: Any = json.loads(answer)
    if isinstance(said, list):
        return float(said[0])
    return float(said["good"] if "good" in said else said["outputs"][0]["data"][0])


def _free_ports(count: int) -> int:
    """The first of some ports in a row that are free."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for number in range(count):
                stack.enter_context(socket.create_server(("127.0.0.1", port + number)))
            return port
