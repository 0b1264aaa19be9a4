"""Locks the process it runs in away from everything but memory, processor time and its open files.

What decodes strangers' photos needs nothing else: no file, no network, no other program. Should a photo take
a decoder over, this is all that it has won.
"""

from __future__ import annotations

import ctypes
import math
import platform
import resource
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

MEGABYTE = 1 << 20

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_SECCOMP_RET_ALLOW = 0x7FFF0000
_SECCOMP_RET_KILL_PROCESS = 0x80000000
# Refused calls fail with EPERM instead of ending the process, so that a library that asks for something it
# can do without, goes on without.
_SECCOMP_RET_EPERM = 0x00050001
_SECCOMP_RET_ENOSYS = 0x00050026

# Classic BPF, as <linux/filter.h> has it; a system call's number stands at 0 of what a filter sees, the
# architecture at 4, the arguments from 16 on (their lower halves first, on the little-endian machines below).
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 24, 32

# Audit architecture, and the numbers of the system calls that remain, from the kernel's own tables:
# memory, locks, signals, clocks and randomness, reading and writing what is open, threads, and the end.
_ALLOWED: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8,
            "munmap": 11, "brk": 12, "mremap": 25, "madvise": 28,
            "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131,
            "restart_syscall": 219, "futex": 202, "sched_yield": 24, "sched_getaffinity": 204,
            "clock_gettime": 228, "getrandom": 318, "getpid": 39, "gettid": 186, "getrusage": 98,
            "set_robust_list": 273, "rseq": 334, "exit": 60, "exit_group": 231,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62,
            "munmap": 215, "brk": 214, "mremap": 216, "madvise": 233,
            "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sigaltstack": 132,
            "restart_syscall": 128, "futex": 98, "sched_yield": 124, "sched_getaffinity": 123,
            "clock_gettime": 113, "getrandom": 278, "getpid": 172, "gettid": 178, "getrusage": 165,
            "set_robust_list": 99, "rseq": 293, "exit": 93, "exit_group": 94,
        },
    ),
}  # fmt: skip
# What is asked for may be anything but memory to run: no code comes to that which is loaded.
_MMAP, _MPROTECT = {"x86_64": 9, "aarch64": 222}, {"x86_64": 10, "aarch64": 226}
_PROT_EXEC = 4
# Changes any limit of any process of the same user, and for root raises it: only allowed for one's own, which
# is process 0, and for processor time.
_PRLIMIT64 = {"x86_64": 302, "aarch64": 261}
# libde265 decodes a HEIC photo in a thread: allowed. A process of its own is not. What clone3 is to make, a
# filter cannot see: it is said to be missing, and the C library then uses clone.
_CLONE, _CLONE_THREAD = {"x86_64": 56, "aarch64": 220}, 0x00010000
_CLONE3 = 435


def confine(*, megabytes: int) -> None:
    """Give up, for good, all that decoding a photo does not need.

    On Linux: no system call but those above, so no process but this, and no new privileges. Everywhere: no
    core dump, no file written, no file opened, no more than so much more address space, and the first to go
    where memory runs out.

    Args:
        megabytes: Address space that may be added to what the process has.

    Raises:
        OSError: The kernel does not take the filter.
    """
    if sys.platform == "linux":
        # Where memory runs out, this process goes before the worker, and one photo before all in hand.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        space = _address_space() + megabytes * MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Files that are open stay open; the next one would get a number that is not allowed.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    if sys.platform == "linux":
        _forbid_system_calls()


def allow_processor_time(seconds: float) -> None:
    """Have the kernel end this process when it has used so many more seconds of processor time."""
    until = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def can_filter() -> bool:
    """Whether system calls can be forbidden on this machine."""
    return sys.platform == "linux" and platform.machine() in _ALLOWED


def _address_space() -> int:
    """Bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _forbid_system_calls() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # Also what lets a process without privileges install a filter.
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if not can_filter():
        return
    instructions = _filter(platform.machine())
    program = ctypes.create_string_buffer(b"".join(instructions))
    # struct sock_fprog: the number of instructions, and where they are.
    header = struct.pack("HP", len(instructions), ctypes.addressof(program))
    _checked(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0))


def _filter(machine: str) -> list[bytes]:
    architecture, allowed = _ALLOWED[machine]
    allow, refuse = _instruction(_RETURN, _SECCOMP_RET_ALLOW), _instruction(_RETURN, _SECCOMP_RET_EPERM)
    first_argument = _instruction(_LOAD, _FIRST_ARGUMENT)
    return [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_JUMP_IF_EQUAL, architecture, if_so=1),
        _instruction(_RETURN, _SECCOMP_RET_KILL_PROCESS),
        _instruction(_LOAD, _NUMBER),
        *(part for number in allowed.values() for part in (_skip_unless(number), allow)),
        _skip_unless(_CLONE3),
        _instruction(_RETURN, _SECCOMP_RET_ENOSYS),
        _instruction(_JUMP_IF_EQUAL, _CLONE[machine], if_not=4),
        first_argument,
        _instruction(_JUMP_IF_SET, _CLONE_THREAD, if_not=1),
        allow,
        refuse,
        _instruction(_JUMP_IF_EQUAL, _MMAP[machine], if_so=1),
        _instruction(_JUMP_IF_EQUAL, _MPROTECT[machine], if_not=4),
        _instruction(_LOAD, _THIRD_ARGUMENT),
        _instruction(_JUMP_IF_SET, _PROT_EXEC, if_so=1),
        allow,
        refuse,
        _instruction(_JUMP_IF_EQUAL, _PRLIMIT64[machine], if_not=5),
        first_argument,
        _instruction(_JUMP_IF_EQUAL, 0, if_not=3),
        _instruction(_LOAD, _SECOND_ARGUMENT),
        _skip_unless(resource.RLIMIT_CPU),
        allow,
        refuse,
    ]


def _skip_unless(value: int) -> bytes:
    return _instruction(_JUMP_IF_EQUAL, value, if_not=1)


def _instruction(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    """One sock_filter; the jumps are counted in instructions to skip."""
    return struct.pack("HBBI", code, if_so, if_not, value)


def _checked(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, "the kernel does not confine this process; decoders need Linux 3.17 or later")
