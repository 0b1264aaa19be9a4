"""Decoders as processes: what a photo can do to one, and what it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from model.pixels import PhotoRejected, squish
from tests.photos import encoded, huge_png, portrait, portrait_jpeg
from tests.waiting import eventually
from worker.confinement import can_filter
from worker.decode import DecoderBroken, Decoders, Limits
from worker.place import shared

SIDE = 32
PHOTO = portrait_jpeg()

# A decoder in the hands of its photo: the photo is Python, and says what to do once all is locked.
TAKEN_OVER = """
import ctypes, mmap, os, resource, socket, threading
from model.pixels import PhotoRejected, squish
from worker.decoder import serve

def obey(photo, **options):
    if bytes(photo).startswith(b"\\xff\\xd8"):
        return squish(photo, **options)
    try:
        found = eval(bytes(photo))
    except Exception as error:
        raise PhotoRejected("damaged", f"{type(error).__name__}: {error}")
    raise PhotoRejected("damaged", f"it worked: {found!r}")

serve(obey)
"""

Start = Callable[..., Decoders]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    started = []

    def start(count: int = 1, seconds: float = 4, program: str = TAKEN_OVER) -> Decoders:
        started.append(Decoders(count, Limits(seconds=seconds), [sys.executable, "-c", program]))
        return started[-1]

    yield start
    for decoders in started:
        decoders.close()


@pytest.fixture(scope="module")
def taken_over(start: Start) -> Decoders:
    return start(seconds=10)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(2, Limits())
    yield decoders
    decoders.close()


def told(decoders: Decoders, words: str) -> str:
    """Tell a decoder that was taken over to do something, and return what came of it."""
    with pytest.raises(PhotoRejected) as rejection:
        decoders.squish(words.encode(), side=SIDE)
    return f"{rejection.value.fault}: {rejection.value}"


def alive(decoders: Decoders) -> bool:
    """Whether a good photo is decoded."""
    return decoders.squish(PHOTO, side=SIDE).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF"])
def test_a_decoder_gives_the_very_pixels_that_training_sees(decoders: Decoders, kind: str) -> None:
    photo = encoded(portrait(), kind)

    assert np.array_equal(decoders.squish(photo, side=SIDE), squish(photo, side=SIDE))


@pytest.mark.parametrize("photo", [b"", b"nonsense", PHOTO[:5000], huge_png()])
def test_a_photo_that_is_refused_is_refused_with_the_same_words(decoders: Decoders, photo: bytes) -> None:
    with pytest.raises(PhotoRejected) as here:
        squish(photo, side=SIDE)

    with pytest.raises(PhotoRejected) as there:
        decoders.squish(photo, side=SIDE)

    assert str(there.value) == str(here.value)
    assert (there.value.fault, there.value.megapixels) == (here.value.fault, here.value.megapixels)


def test_many_threads_share_a_few_decoders(decoders: Decoders) -> None:
    photos = [encoded(portrait().point(lambda level, n=n: level // (n + 1))) for n in range(12)]

    with ThreadPoolExecutor(len(photos)) as threads:
        found = list(threads.map(lambda photo: decoders.squish(photo, side=SIDE), photos))

    assert all(np.array_equal(pixels, squish(p, side=SIDE)) for pixels, p in zip(found, photos, strict=True))


@pytest.mark.skipif(not can_filter(), reason="needs seccomp")
@pytest.mark.parametrize(
    "words",
    [
        "open('/etc/passwd')",
        "open('/tmp/deepselfie-was-here', 'w')",
        "os.open('/proc/self/environ', os.O_RDONLY)",
        "os.listdir('/')",
        "os.stat('/etc')",
        "os.unlink('/etc/passwd')",
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getpid() - 1, 0)",
        "os.setuid(0)",
        "os.dup(0)",
        "os.pipe()",
        "os.memfd_create('x')",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))",
    ],
)
def test_a_decoder_has_no_files_no_network_and_no_other_processes(taken_over: Decoders, words: str) -> None:
    assert "PermissionError: [Errno 1]" in told(taken_over, words)
    assert taken_over.crashed + taken_over.overrun == 0


def test_a_decoder_cannot_give_itself_back_what_it_gave_up(taken_over: Decoders) -> None:
    for limit in ("AS", "FSIZE", "NOFILE", "CORE"):
        assert "ValueError: not allowed to raise" in told(
            taken_over, f"resource.setrlimit(resource.RLIMIT_{limit}, (-1, -1))"
        )


@pytest.mark.skipif(not can_filter(), reason="needs seccomp")
def test_a_decoder_may_change_the_limit_of_its_processor_time_alone(taken_over: Decoders) -> None:
    # Not even lower: where a kernel takes a lower limit from anybody, root may raise it again.
    for limit in ("AS", "NOFILE", "NPROC", "STACK"):
        words = f"resource.setrlimit(resource.RLIMIT_{limit}, (0, 0))"
        assert "ValueError: not allowed" in told(taken_over, words)
    assert "it worked" in told(taken_over, "resource.setrlimit(resource.RLIMIT_CPU, (60, -1))")


def test_a_decoder_has_half_a_gigabyte_at_the_most(taken_over: Decoders) -> None:
    assert "it worked: 314572800" in told(taken_over, "len(bytes(300 << 20))")
    assert "MemoryError" in told(taken_over, "len(bytes(512 << 20))")


@pytest.mark.skipif(sys.platform != "linux", reason="only there it is sealed")
def test_a_decoder_cannot_cut_off_the_memory_that_it_shares_with_the_worker(taken_over: Decoders) -> None:
    assert "it worked: b'o'" in told(taken_over, "os.lseek(3, 0, 0) or os.read(3, 1)")
    assert "PermissionError" in told(taken_over, "os.ftruncate(3, 0)")
    with shared(4096) as file, pytest.raises(PermissionError):
        os.ftruncate(file.fileno(), 0)


def test_a_file_that_is_larger_than_was_agreed_on_is_refused(start: Start) -> None:
    decoders = start()

    with pytest.raises(PhotoRejected, match=r"is a file of 33.0 MB, limit is 32 MB; send a smaller one"):
        decoders.squish(bytes(33 << 20), side=SIDE)
    assert alive(decoders)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_decoder_knows_no_secret_and_holds_no_file_of_the_worker(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:canary-in-the-environment@localhost")
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as opened:
        os.set_inheritable(opened.fileno(), True)
        decoders = start()
        assert alive(decoders)
        [pid] = decoders.pids

    assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
    files = {file.name: str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    assert set(files) == {"0", "1", "2", "3"}
    assert (files["1"], files["2"], files["3"]) == ("/dev/null", "/dev/null", "/memfd:photo (deleted)")
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert (status["NoNewPrivs"].strip(), status["Threads"].strip()) == ("1", "1")


@pytest.mark.parametrize(
    "words",
    [
        "ctypes.string_at(0)",  # a segmentation fault
        "os.abort()",
        "os._exit(0)",
        "any(iter(int, 1))",  # hangs
        "os.close(0)",
        "os.write(0, b'\\1\\xff\\xff\\xff\\xff')",  # says that four gigabytes of pixels will follow
        "os.write(0, b'\\0\\xff\\xff\\xff\\xff')",
        "os.write(0, b'\\0\\0\\0\\0\\2{}')",
        'os.write(0, b\'\\0\\0\\0\\0\\x1e\' + b\'{"fault":"mine","message":"x"}\')',
        'os.write(0, b\'\\0\\0\\0\\0\\x29\' + b\'{"fault":"too_many_pixels","message":"x"}\')',
        'os.write(0, b\'\\0\\0\\0\\0:\' + b\'{"fault":"too_many_pixels","message":"","megapixels":1e99}\')',
    ],
)
def test_a_photo_that_ends_its_decoder_fails_alone_and_the_pool_is_soon_whole_again(
    start: Start, words: str
) -> None:
    decoders = start(seconds=2)
    assert alive(decoders)

    begin = time.monotonic()
    assert told(decoders, words).startswith("too_costly: photo took too long or too much memory")
    assert time.monotonic() - begin < 2 + 3

    assert decoders.crashed + decoders.overrun == 1
    assert alive(decoders)


def test_a_lost_decoder_is_replaced_within_a_second(start: Start) -> None:
    decoders = start()
    seconds = []
    for _ in range(3):
        told(decoders, "os.abort()")
        begin = time.monotonic()
        assert alive(decoders)
        seconds.append(time.monotonic() - begin)

    # The machine that runs this test may have other things to do meanwhile.
    assert min(seconds) < 1


def test_while_one_photo_hangs_the_others_are_decoded(start: Start) -> None:
    decoders = start(2, seconds=5)
    assert all(alive(decoders) for _ in range(2))
    hanging = threading.Thread(target=told, args=(decoders, "any(iter(int, 1))"))
    hanging.start()

    assert all(alive(decoders) for _ in range(10))

    assert hanging.is_alive()
    hanging.join()


def test_a_decoder_that_does_not_start_says_why(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    decoders = start(program="raise SystemExit('no codecs here')")

    with pytest.raises(DecoderBroken, match="does not start: see its words above"):
        decoders.squish(PHOTO, side=SIDE)

    assert "no codecs here" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_decoders_end_with_their_worker() -> None:
    program = """
import os, signal
from worker.decode import Decoders, Limits
print(*Decoders(2, Limits()).pids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pids = done.stdout.split()

    assert len(pids) == 2
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.parametrize("words", ["os._exit(1)", "os.write(0, b'\\1\\0\\0\\x0c\\0' + bytes(3072))"])
def test_a_decoder_that_strays_after_its_answer_costs_nobody_else_a_photo(start: Start, words: str) -> None:
    decoders = start()
    [pid] = decoders.pids

    assert "it worked" in told(decoders, f"threading.Timer(0.1, lambda: {words}).start()")
    time.sleep(2)

    assert np.array_equal(decoders.squish(PHOTO, side=SIDE), squish(PHOTO, side=SIDE))
    assert decoders.crashed == 1
    assert decoders.pids != [pid]


def test_decoders_that_cannot_be_started_any_more_say_so_and_lose_no_place(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    decoders = Decoders(1, Limits(), [str(python), "-c", TAKEN_OVER])
    assert alive(decoders)
    opened = len(os.listdir("/dev/fd"))  # noqa: PTH208

    python.rename(tmp_path / "elsewhere")
    told(decoders, "os.abort()")
    for _ in range(3):
        with pytest.raises(DecoderBroken, match="cannot be started"):
            decoders.squish(PHOTO, side=SIDE)
    assert len(os.listdir("/dev/fd")) == opened - 2  # noqa: PTH208  socket and memory of the one that is gone

    (tmp_path / "elsewhere").rename(python)
    assert alive(decoders)
    decoders.close()


def test_what_a_decoder_says_does_not_get_into_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    told(start(), "os.write(0, b'\\0\\0\\0\\0\\6canary')")

    [record] = caplog.records
    assert record.getMessage() == "decoder lost"
    assert "canary" not in str(vars(record))
