"""Takes from this process what it does not need: files, sockets, programs, children, other users.

Used by processes that read what strangers wrote: the enclave worker, and the worker that compiles
scripts. What is already open (a listening socket, a connection, pipes) stays usable and nothing
new can be opened, so import, connect and warm up everything first: afterwards even an `import`
of a module that is not loaded fails. There is no way back.

The walls, from the outside in: resource limits, `no_new_privs` and no dumps, an unprivileged user,
Landlock (where the kernel has it), and a seccomp *allow-list*: a system call that nobody thought
of is refused, with EPERM. A system call of another ABI (i386, x32) kills the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from mc2.errors import ConfinementError

_NOBODY: Final = 65534

# <linux/prctl.h>, <linux/capability.h>
_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

# <linux/landlock.h>; the three system calls have these numbers on every architecture.
_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_VERSION_FLAG: Final = 1
_LANDLOCK_FS_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 5: 16}  # ABI -> how many rights it knows
_LANDLOCK_NET_ABI: Final = 4  # bind and connect of TCP
_LANDLOCK_SCOPE_ABI: Final = 6  # abstract Unix sockets, signals to others

# <linux/sched.h>: a thread shares all of these; a namespace flag makes it no mere thread.
_CLONE_VM: Final = 0x100
_CLONE_SIGHAND: Final = 0x800
_CLONE_THREAD: Final = 0x10000
_CLONE_NAMESPACES: Final = 0x7E020080
_PROT_EXEC: Final = 4

_FIONREAD: Final = 0x541B
_FIONBIO: Final = 0x5421
_IPPROTO_TCP: Final = 6
_TCP_NODELAY: Final = 1
_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL = 1, 2, 3, 4

_ALLOWED: Final = (
    # what is open already
    "accept", "accept4", "close", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "fstat", "getpeername", "getsockname", "getsockopt", "lseek", "poll", "ppoll", "pread64",
    "pselect6", "pwrite64", "read", "readv", "recvfrom", "select", "sendto", "shutdown",
    "write", "writev",
    # memory
    "brk", "madvise", "mlock", "mlock2", "mremap", "munlock", "munmap",
    # threads and waiting
    "clock_nanosleep", "futex", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list",
    "membarrier", "nanosleep", "restart_syscall", "rseq", "sched_yield", "set_robust_list",
    "set_tid_address",
    # signals to itself (see the conditional rules), and the end
    "exit", "exit_group", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "sigaltstack",
    # questions about itself
    "clock_getres", "clock_gettime", "getcpu", "getegid", "geteuid", "getgid", "getgroups",
    "getpgrp", "getpid", "getppid", "getrandom", "getrlimit", "getresgid", "getresuid", "getrusage",
    "gettid", "gettimeofday", "getuid", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sysinfo", "time", "times",
    "uname",
    "getcwd",  # without it DuckDB aborts the process when it is told to leave files alone
)  # fmt: skip
"""System calls that are allowed whatever their arguments. Never here: whatever takes a path, makes
a descriptor of a new thing, or touches another process. Not here either: `recvmsg`, by which a
peer could hand in open files, and `sendmsg`, by which ours could be handed out."""


_FOR_CHILDREN: Final = ("fork", "mlockall", "wait4")


def confine(
    *,
    allow_threads: bool,
    memory_bytes: int | None,
    cpu_seconds: int | None,
    allow_children: bool = False,
) -> tuple[str, ...]:
    """Give up all privileges for good; says in plain words what is in force from now on.

    `allow_threads`: whether new threads may start. `allow_children`: whether the process may fork
    others that are confined as it is, wait for them and lock memory; no process runs a new program.
    `memory_bytes`, `cpu_seconds`: ceilings on address space and processor time, or None.

    Raises: ConfinementError if this system lacks what is needed. The process may then be half
    confined, and must end unless its operator accepted that explicitly.
    """
    if not sys.platform.startswith("linux"):
        raise ConfinementError(
            f"{sys.platform} has no seccomp: this process cannot be confined",
            hint="run it on Linux",
        )
    libc = ctypes.CDLL(None, use_errno=True)
    load_filter = _seccomp_filter(allow_threads=allow_threads, allow_children=allow_children)
    said = [*_limit(memory_bytes, cpu_seconds), *_drop_user(), *_no_new_privileges(libc)]
    said += _landlock(libc)
    load_filter()
    said.append(
        "seccomp, all threads: opens no file or socket, starts no program or process, signals "
        "and traces nobody, maps no new code" + ("" if allow_threads else ", starts no thread")
    )
    return tuple(said)


def keep_to_itself() -> tuple[str, ...]:
    """No core dumps, no debuggers, no new privileges, and nothing else is given up.

    For a process that must go on opening files, and reads nothing that a stranger wrote.

    Raises: ConfinementError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return (*_limit(None, None), *_no_new_privileges(libc))


def _limit(memory_bytes: int | None, cpu_seconds: int | None) -> list[str]:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    said = ["no core dumps"]
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        said.append(f"at most {memory_bytes} bytes of address space")
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        said.append(f"at most {cpu_seconds} seconds of processor time")
    return said


def _drop_user() -> list[str]:
    """Leave root, with all its groups; the C library does so in every thread."""
    if os.geteuid() != 0 and os.getuid() != 0:
        return [f"runs as the unprivileged user {os.geteuid()}"]
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError as error:
        raise ConfinementError(
            f"root could not be left: {error.strerror}",
            hint="start the process as an unprivileged user",
        ) from None
    if os.getresuid() != (_NOBODY,) * 3 or os.getresgid() != (_NOBODY,) * 3 or os.getgroups():
        raise ConfinementError("root could not be left: user or group are not what was set")
    return [f"runs as the unprivileged user {_NOBODY}, no longer as root"]


def _no_new_privileges(libc: Any) -> list[str]:
    zero = ctypes.c_ulong(0)
    one = ctypes.c_ulong(1)
    # Changing the user resets `dumpable`, so this comes after it.
    if libc.prctl(_PR_SET_DUMPABLE, zero, zero, zero, zero) != 0 or (
        libc.prctl(_PR_GET_DUMPABLE, zero, zero, zero, zero) != 0
    ):
        raise ConfinementError("the process could not be made undumpable")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) != 0 or (
        libc.prctl(_PR_GET_NO_NEW_PRIVS, zero, zero, zero, zero) != 1
    ):
        raise ConfinementError("no_new_privs could not be set")
    clear = ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL)
    libc.prctl(_PR_CAP_AMBIENT, clear, zero, zero, zero)  # fails only where there are none
    return ["no new privileges", "memory is closed to debuggers of the same user"]


def _landlock(libc: Any) -> list[str]:
    """Refuse all file access and TCP a second time. Older kernels lack it; seccomp does not."""
    abi = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG)
    if abi < 1:
        return []
    rights = max(count for since, count in _LANDLOCK_FS_RIGHTS.items() if since <= abi)
    fields = [(1 << rights) - 1]
    fields += [0b11] if abi >= _LANDLOCK_NET_ABI else []
    fields += [0b11] if abi >= _LANDLOCK_SCOPE_ABI else []
    ruleset = (ctypes.c_uint64 * len(fields))(*fields)
    handle = libc.syscall(
        _LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(8 * len(fields)), 0
    )
    if handle < 0:
        raise ConfinementError(f"Landlock refused its rules: {os.strerror(ctypes.get_errno())}")
    refused = libc.syscall(_LANDLOCK_RESTRICT_SELF, handle, 0) != 0
    os.close(handle)
    if refused:
        raise ConfinementError(f"Landlock is not in force: {os.strerror(ctypes.get_errno())}")
    network = " and no TCP" if abi >= _LANDLOCK_NET_ABI else ""
    return [f"Landlock ABI {abi}, this thread and those it starts: no file{network}"]


def _seccomp_filter(*, allow_threads: bool, allow_children: bool) -> Callable[[], None]:
    """Build the filter and give the function that puts it in force."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError):  # RuntimeError: the module, without its C library
        raise ConfinementError(
            "libseccomp is missing: this process cannot be confined",
            hint="install libseccomp (Debian: `apt-get install libseccomp2`) and pyseccomp",
        ) from None
    try:
        rules = _build_rules(pyseccomp, allow_threads=allow_threads, allow_children=allow_children)
    except OSError as error:
        raise ConfinementError(f"libseccomp is too old: {error.strerror}") from None

    def load() -> None:
        try:
            rules.load()
        except OSError as error:
            raise ConfinementError(f"the seccomp filter was refused: {error.strerror}") from None

    return load


def _build_rules(library: Any, *, allow_threads: bool, allow_children: bool) -> Any:
    rules = library.SyscallFilter(library.ERRNO(errno.EPERM))
    rules.set_attr(library.Attr.CTL_TSYNC, 1)  # threads of thread pools that exist already
    for name in _ALLOWED:
        _allow(library, rules, name)
    for name in ("mmap", "mprotect"):  # no page becomes code any more
        _allow(library, rules, name, (2, library.MASKED_EQ, _PROT_EXEC, 0))
    for command in (_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL):
        _allow(library, rules, "fcntl", (1, library.EQ, command))
    for request in (_FIONREAD, _FIONBIO):
        _allow(library, rules, "ioctl", (1, library.EQ, request))
    no_delay = ((1, library.EQ, _IPPROTO_TCP), (2, library.EQ, _TCP_NODELAY))
    _allow(library, rules, "setsockopt", *no_delay)
    _allow(library, rules, "tgkill", (0, library.EQ, os.getpid()))  # abort() raises a signal
    _allow(library, rules, "prctl", (0, library.EQ, _PR_SET_NAME))
    _allow(library, rules, "prlimit64", (0, library.EQ, 0), (2, library.EQ, 0))  # ask, not set
    if allow_threads:
        thread = _CLONE_THREAD | _CLONE_VM | _CLONE_SIGHAND
        mask = thread | _CLONE_NAMESPACES
        _allow(library, rules, "clone", (0, library.MASKED_EQ, mask, thread))
    if allow_children:
        # A fork shares nothing with its parent and stays in its namespaces.
        mask = _CLONE_THREAD | _CLONE_VM | _CLONE_SIGHAND | _CLONE_NAMESPACES
        _allow(library, rules, "clone", (0, library.MASKED_EQ, mask, 0))
        for name in _FOR_CHILDREN:
            _allow(library, rules, name)
    # Its flags lie in memory, where a filter cannot look: "no such call" makes the C library
    # fall back to clone, whose flags are checked above.
    rules.add_rule(library.ERRNO(errno.ENOSYS), "clone3")
    return rules


def _allow(library: Any, rules: Any, name: str, *conditions: tuple[int, ...]) -> None:
    number = library.resolve_syscall(library.Arch.NATIVE, name)
    if number < 0:
        return  # this architecture or library has no such call, so it stays refused
    rules.add_rule(library.ALLOW, number, *(library.Arg(*c) for c in conditions))
