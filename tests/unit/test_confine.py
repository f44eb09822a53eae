"""Every denial is tried, in a process of its own: a wall that nobody ran into is a rumour."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

import pytest

from mc2.confine import confine
from mc2.errors import ConfinementError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confinement is for Linux")

PROBES = r"""
import ctypes, errno, json, mmap, os, platform, queue, socket, sys, threading
from mc2.confine import confine

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
INTEL = platform.machine() == "x86_64"

def call(intel, *args, arm=None):
    number = intel if INTEL else arm
    if number is None:
        return 0
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *args) == -1:
        raise OSError(ctypes.get_errno(), "")
    return 0

def outcome(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except (RuntimeError, MemoryError) as error:
        return type(error).__name__
    return "done"

def fork():
    if os.fork() == 0:
        os._exit(0)

def thread():
    t = threading.Thread(target=int)
    t.start()
    t.join()

Z = ctypes.c_long(0)
here = ctypes.c_long(-100)  # AT_FDCWD
name = ctypes.create_string_buffer(b"/etc/hostname")
page = mmap.mmap(-1, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(page)) & ~4095
tcp = socket.socket(); udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
caller = socket.create_connection(listener.getsockname())
left, right = socket.socketpair()
readable, writable = os.pipe()
directory = os.open("/", os.O_RDONLY)
parent = os.getppid()

PROBES = {
    "open": lambda: open("/etc/hostname").close(),
    "open for writing": lambda: open("/tmp/mc2-must-not-exist", "w").close(),
    "openat2": lambda: call(437, here, name, Z, Z, arm=437),
    "open by directory": lambda: os.open("etc/hostname", os.O_RDONLY, dir_fd=directory),
    "proc": lambda: open("/proc/self/mem", "rb").close(),
    "stat": lambda: os.stat("/etc/hostname"),
    "statx": lambda: call(332, here, name, Z, Z, Z, arm=291),
    "access": lambda: call(21, name, Z) if INTEL else os.stat("/"),
    "list": lambda: os.listdir("/"),
    "list held directory": lambda: os.listdir(directory),
    "readlink": lambda: os.readlink("/proc/self/exe"),
    "unlink": lambda: os.unlink("/tmp/mc2-must-not-exist"),
    "mkdir": lambda: os.mkdir("/tmp/mc2-must-not-exist"),
    "rename": lambda: os.rename("/tmp/a-mc2", "/tmp/b-mc2"),
    "link": lambda: os.link("/etc/hostname", "/tmp/mc2-must-not-exist"),
    "symlink": lambda: os.symlink("/etc", "/tmp/mc2-must-not-exist"),
    "chmod": lambda: os.chmod("/tmp", 0o777),
    "chdir": lambda: os.chdir("/"),
    "truncate": lambda: os.truncate("/tmp/mc2-must-not-exist", 0),
    "memfd": lambda: os.memfd_create("x"),
    "new pipe": os.pipe,
    "new tcp socket": lambda: socket.socket().close(),
    "new unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "new netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "socketpair": lambda: socket.socketpair(),
    "connect held socket": lambda: tcp.connect(listener.getsockname()),
    "connect held udp": lambda: udp.connect(("127.0.0.1", 53)),
    "bind held socket": lambda: tcp.bind(("127.0.0.1", 0)),
    "listen": lambda: tcp.listen(),
    "receive descriptors": lambda: socket.recv_fds(left, 1, 1),
    "send descriptors": lambda: socket.send_fds(left, [b"x"], [0]),
    "execve": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "execveat": lambda: call(322, here, name, Z, Z, Z, arm=281),
    "fork": fork,
    "vfork": lambda: call(58) if INTEL else fork(),
    "spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
    "clone with a namespace": lambda: call(
        56, ctypes.c_long(0x10000000 | 0x10900), Z, Z, Z, Z, arm=220),
    "kill parent": lambda: os.kill(parent, 0),
    "kill all": lambda: os.kill(-1, 0),
    "signal parent's thread": lambda: call(
        234, ctypes.c_long(parent), ctypes.c_long(parent), Z, arm=131),
    "ptrace": lambda: call(101, Z, Z, Z, Z, arm=117),
    "read another's memory": lambda: call(310, ctypes.c_long(parent), Z, Z, Z, Z, Z, arm=270),
    "pidfd": lambda: os.pidfd_open(parent),
    "become root": lambda: os.setuid(0),
    "unshare": lambda: call(272, ctypes.c_long(0x10000000), arm=97),
    "mount": lambda: call(165, name, name, name, Z, Z, arm=40),
    "chroot": lambda: os.chroot("/"),
    "io_uring": lambda: call(425, ctypes.c_long(1), Z, arm=425),
    "bpf": lambda: call(321, Z, Z, Z, arm=280),
    "perf": lambda: call(298, Z, Z, Z, Z, Z, arm=241),
    "userfaultfd": lambda: call(323, Z, arm=282),
    "keyring": lambda: call(250, Z, Z, Z, Z, Z, arm=219),
    "shared memory": lambda: call(29, Z, ctypes.c_long(4096), ctypes.c_long(0o1600), arm=194),
    "make memory code": lambda: call(
        10, ctypes.c_long(address), ctypes.c_long(4096), ctypes.c_long(7), arm=226),
    "map code": lambda: mmap.mmap(-1, 4096, prot=7),
    "raise a limit": lambda: call(302, Z, Z, name, Z, arm=261),
    "be dumpable": lambda: outcome_of_prctl(4, 1),
    "terminal input": lambda: call(16, Z, ctypes.c_long(0x5412), name, arm=29),
    "set clock": lambda: call(227, Z, name, arm=112),
    "thread": thread,
    # what must go on working
    "write to held pipe": lambda: os.write(writable, b"x"),
    "read from held pipe": lambda: os.read(readable, 1),
    "talk over held socket": lambda: (left.sendall(b"x"), right.recv(1)),
    "timeouts": lambda: (left.settimeout(5), right.sendall(b"y"), left.recv(1)),
    "accept on held listener": lambda: listener.accept()[0].close(),
    "random": lambda: os.urandom(8),
    "memory": lambda: bytes(50_000_000),
}

def outcome_of_prctl(option, value):
    if libc.prctl(option, ctypes.c_ulong(value), Z, Z, Z) != 0:
        raise OSError(ctypes.get_errno(), "")

orders, answers = queue.SimpleQueue(), queue.SimpleQueue()
def serve():
    while (order := orders.get()) is not None:
        answers.put(outcome(PROBES[order]))
older = threading.Thread(target=serve, daemon=True)  # started before the walls went up
older.start()

def older_thread(order):
    orders.put(order)
    return answers.get(timeout=20)

before = {name: outcome(PROBES[name]) for name in ("open", "stat", "new tcp socket", "fork")}
said = confine(allow_threads=sys.argv[1] == "threads", memory_bytes=None, cpu_seconds=60)
after = {name: outcome(probe) for name, probe in PROBES.items()}
after_in_older = {n: older_thread(n) for n in ("open", "new tcp socket", "fork", "execve")}
status = {"said": said, "before": before, "after": after, "older": after_in_older,
          "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups()}
os.write(1, json.dumps(status).encode())
"""

ALLOWED = {
    "write to held pipe",
    "read from held pipe",
    "talk over held socket",
    "timeouts",
    "accept on held listener",
    "random",
    "memory",
}


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@cache
def probed(threads: str) -> Mapping[str, Mapping[str, str]]:
    done = run(PROBES, threads)
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Mapping[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("threads", ["threads", "none"])
def test_denies_every_way_out(threads: str) -> None:
    after = dict(probed(threads)["after"])
    thread = after.pop("thread")
    assert thread == ("done" if threads == "threads" else "RuntimeError")
    open_ways = {name: how for name, how in after.items() if name not in ALLOWED and how != "EPERM"}
    assert open_ways == {}


def test_what_is_denied_worked_before() -> None:
    assert set(probed("threads")["before"].values()) == {"done"}


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_leaves_what_is_open_usable(name: str) -> None:
    assert probed("threads")["after"][name] == "done"


def test_holds_in_threads_that_were_there_before() -> None:
    assert set(probed("threads")["older"].values()) == {"EPERM"}


def test_leaves_root_for_good() -> None:
    found = probed("threads")
    assert 0 not in found["uid"]
    assert 0 not in found["gid"]
    if os.geteuid() == 0:
        assert found["groups"] == []
        assert any("no longer as root" in line for line in found["said"])


def test_says_in_words_what_is_in_force() -> None:
    said = " / ".join(probed("none")["said"])
    for words in ("core dumps", "unprivileged user", "no new privileges", "seccomp", "60 seconds"):
        assert words in said
    assert "starts no thread" in said
    assert "starts no thread" not in " / ".join(probed("threads")["said"])


def test_another_abi_kills_the_process() -> None:
    done = run(
        "import ctypes, platform, os\n"
        "from mc2.confine import confine\n"
        "libc = ctypes.CDLL(None)\n"
        "confine(allow_threads=False, memory_bytes=None, cpu_seconds=None)\n"
        "if platform.machine() == 'x86_64':\n"
        "    libc.syscall(ctypes.c_long(0x40000000 | 39))\n"  # getpid, the x32 way
        "else:\n"
        "    os.kill(os.getpid(), 31)\n"
    )
    assert done.returncode in (-signal.SIGSYS, 1)


def test_memory_ceiling() -> None:
    done = run(
        "from mc2.confine import confine\n"
        "confine(allow_threads=False, memory_bytes=400_000_000, cpu_seconds=None)\n"
        "try:\n"
        "    bytearray(1_000_000_000)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    assert done.stdout == "refused\n", done.stderr


def test_processor_ceiling() -> None:
    done = run(
        "from mc2.confine import confine\n"
        "confine(allow_threads=False, memory_bytes=None, cpu_seconds=1)\n"
        "while True: pass\n"
    )
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)


def test_engines_with_threads_run_inside() -> None:
    done = run(
        "import duckdb, numpy, pyarrow, xgboost\n"
        "from mc2.confine import confine\n"
        "def work(n):\n"
        "    with duckdb.connect(config={'threads': 2}) as con:\n"
        "        t = pyarrow.table({'k': numpy.arange(n) % 100, 'v': numpy.arange(n) * 0.5})\n"
        "        con.register('t', t)\n"
        "        rows = con.sql('SELECT k, sum(v) AS s FROM t GROUP BY k ORDER BY k').fetchall()\n"
        "    x = numpy.arange(n * 3, dtype=float).reshape(n, 3) % 17\n"
        "    data = xgboost.DMatrix(x, label=numpy.arange(n) % 2)\n"
        "    model = xgboost.train({'nthread': 2}, data, num_boost_round=2)\n"
        "    return rows, model.save_raw('json')\n"
        "work(10)\n"
        "free = work(200_000)\n"
        "confine(allow_threads=True, memory_bytes=None, cpu_seconds=None)\n"
        "assert work(200_000) == free\n"
        "print('same')\n"
    )
    assert done.stdout == "same\n", done.stderr


def test_an_unprivileged_user_is_confined_too() -> None:
    done = run(
        "import os, pyseccomp, resource\n"
        "from mc2.confine import confine\n"
        "if os.getuid() == 0:\n"
        "    os.setresuid(65534, 65534, 65534)\n"
        "print(*confine(allow_threads=False, memory_bytes=None, cpu_seconds=None), sep='; ')\n"
        "try:\n"
        "    os.listdir('/')\n"
        "except PermissionError:\n"
        "    print('refused')\n",
    )
    assert "runs as the unprivileged user" in done.stdout, done.stderr
    assert done.stdout.endswith("refused\n")


def test_a_process_that_must_open_files_gains_nothing_else() -> None:
    done = run(
        "import ctypes, os, resource\n"
        "from mc2.confine import keep_to_itself\n"
        "said = ' / '.join(keep_to_itself())\n"
        "open('/etc/hostname').close()\n"
        "libc = ctypes.CDLL(None)\n"
        "assert libc.prctl(3, 0, 0, 0, 0) == 0  # dumpable\n"
        "assert libc.prctl(39, 0, 0, 0, 0) == 1  # no_new_privs\n"
        "assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
        "print(said)\n"
    )
    assert "no core dumps" in done.stdout, done.stderr
    assert "no new privileges" in done.stdout
    assert "seccomp" not in done.stdout


SABOTAGE = {
    "cannot be confined": "sys.platform = 'darwin'",
    "libseccomp is missing": "sys.modules['pyseccomp'] = None",
    "seccomp filter was refused": """
import pyseccomp
def load(self): raise OSError(22, 'Invalid argument')
pyseccomp.SyscallFilter.load = load
""",
    "libseccomp is too old": """
import pyseccomp
def add(self, *a): raise OSError(22, 'Invalid argument')
pyseccomp.SyscallFilter.add_rule = add
""",
    "root could not be left: Operation": """
def refuse(*a): raise OSError(1, 'Operation not permitted')
os.geteuid = lambda: 0
os.setgroups = lambda groups: None
os.setresgid = refuse
""",
    "root could not be left: user": """
os.geteuid = lambda: 0
os.setgroups = os.setresgid = os.setresuid = lambda *a: None
os.getresuid = lambda: (65534, 0, 0)
""",
}


@pytest.mark.parametrize("words", SABOTAGE)
def test_fails_closed(words: str) -> None:
    done = run(
        "import os, sys\n"
        "from mc2.confine import confine\n"
        "from mc2.errors import ConfinementError\n"
        f"{SABOTAGE[words]}\n"
        "try:\n"
        "    confine(allow_threads=False, memory_bytes=None, cpu_seconds=None)\n"
        "except ConfinementError as error:\n"
        "    print('refused:', error)\n"
    )
    assert done.stdout.startswith("refused:"), done.stderr
    assert words in done.stdout


def test_other_systems_are_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfinementError, match="no seccomp") as refused:
        confine(allow_threads=True, memory_bytes=None, cpu_seconds=None)
    assert refused.value.hint


CHILDREN = r"""
import json, os, socket, subprocess
from mc2.confine import confine

confine(allow_threads=True, memory_bytes=None, cpu_seconds=60, allow_children=True)
found = {}
child = os.fork()
if child == 0:
    for name, action in {
        "socket": socket.socket,
        "socketpair": socket.socketpair,
        "file": lambda: open("/etc/hostname"),
        "program": lambda: os.execv("/bin/true", ["true"]),
        "signal": lambda: os.kill(os.getppid(), 0),
    }.items():
        try:
            action()
            found[name] = "done"
        except OSError as error:
            found[name] = "refused"
    os.write(1, json.dumps(found).encode())
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def test_children_are_confined_as_their_parent_is() -> None:
    done = run(CHILDREN)
    found = json.loads(done.stdout)
    assert set(found) == {"socket", "socketpair", "file", "program", "signal"}
    assert set(found.values()) == {"refused"}, done.stderr
