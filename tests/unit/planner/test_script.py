"""One script, one plan: in every process, on every machine; and nothing else comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.support.catalogs import PACKAGES, catalog, catalog_of, contract, manifests
from tests.support.golden import SCRIPTS

from mc2.crypto.digest import digest
from mc2.errors import ConfinementError, Mc2Error, PlanError, UsageError
from mc2.formats.canonical import encode
from mc2.plan.plan import Plan
from mc2.planner import compile_worker, script
from mc2.planner.job import Job
from mc2.planner.script import ANSWER, REQUEST, compile_here, compile_script

SIMPLE = (
    "import mc2\n"
    "job = mc2.Job('t')\n"
    "job.release('n', job.sql('SELECT count(*) AS n FROM clinic_a.visits'), to='institute')\n"
)
CATALOG = catalog()


def request(source=SIMPLE, *, unconfined=False, **changes):
    fields = {
        "type": REQUEST,
        "script": source,
        "name": "s.py",
        "catalog": CATALOG.json(),
        "unconfined": unconfined,
    }
    return encode({**fields, **changes})


def worker(raw, **environment):
    return subprocess.run(
        [sys.executable, "-m", "mc2.planner.compile_worker"],
        input=raw,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


def test_the_process_gives_the_same_plan_as_this_one():
    for path in SCRIPTS[:3]:
        known = catalog_of(contract(), manifests())
        source = path.read_text()
        confined = compile_script(source, name=path.name, catalog=known)
        assert confined == compile_here(source, name=path.name, catalog=known)


def test_the_bytes_do_not_depend_on_the_process():
    """Other hash seeds, another folder, another time zone, another language."""
    source = next(p for p in SCRIPTS if p.stem == "predictions").read_text()
    raw = request(source)
    answers = {
        worker(raw, PYTHONHASHSEED=seed, TZ=zone, LC_ALL=locale).stdout
        for seed, zone, locale in [
            ("0", "UTC", "C"),
            ("1", "Asia/Tokyo", "tr_TR.UTF-8"),
            ("random", "UTC", "C.UTF-8"),
        ]
    }
    assert len(answers) == 1
    assert json.loads(answers.pop())["done"] is True


def test_compiling_twice_in_one_process_gives_the_same_bytes():
    for path in SCRIPTS:
        source, known = path.read_text(), catalog_of(contract(), manifests())
        plans = [
            compile_here(source, name="s.py", catalog=known, packages=PACKAGES) for _ in range(2)
        ]
        assert plans[0].encode() == plans[1].encode()
        assert Plan.parse(plans[0].encode()) == plans[0]


def test_the_order_of_a_catalog_does_not_matter():
    turned = replace(
        CATALOG,
        members=dict(reversed(CATALOG.members.items())),
        datasets=dict(reversed(CATALOG.datasets.items())),
    )
    for path in SCRIPTS[:4]:
        source = path.read_text()
        one, other = (
            compile_here(source, name="s.py", catalog=c, packages=PACKAGES)
            for c in (CATALOG, turned)
        )
        assert one.encode() == other.encode()


def test_the_plan_holds_what_it_was_made_of():
    plan = compile_script(SIMPLE, name="s.py", catalog=CATALOG)
    assert plan.script == SIMPLE
    assert plan.script_name == "s.py"
    assert plan.contract == CATALOG.contract
    assert [i.dataset for i in plan.inputs] == ["clinic_a.visits"]
    assert plan.inputs[0].manifest == CATALOG.datasets["clinic_a.visits"].manifest


def test_errors_cross_the_process_with_their_place():
    with pytest.raises(PlanError) as refused:
        compile_script(SIMPLE + "x = 1 / 0\n", name="s.py", catalog=CATALOG)
    assert (refused.value.line, refused.value.column) == (4, 5)
    assert str(refused.value) == "line 4, column 5: ZeroDivisionError: division by zero"
    with pytest.raises(PlanError) as refused:
        compile_script(SIMPLE.replace("count(*)", "cnt(*)"), name="s.py", catalog=CATALOG)
    assert refused.value.hint


@pytest.mark.parametrize(
    "source",
    [
        "x = 'a' * 100000000000\n",
        "x = [0] * 100000000000\n",
        "def f(): return f()\nf()\n",
        "x = int('9' * 5000)\n",
    ],
    ids=["text", "list", "recursion", "digits"],
)
def test_greed_is_an_error(source):
    with pytest.raises(PlanError):
        compile_script(source, name="s.py", catalog=CATALOG)


def test_endless_work_ends(monkeypatch):
    """The kernel ends it after some seconds of processor time; the client after some more."""
    monkeypatch.setattr(script, "_SECONDS", 1.0)
    with pytest.raises(PlanError, match="did not compile within"):
        compile_script("for x in range(10000000000): pass", name="s.py", catalog=CATALOG)


def test_the_process_is_limited_in_time_and_memory():
    assert 0 < compile_worker._CPU_SECONDS <= 60
    assert 0 < compile_worker._MEMORY_BYTES <= 4 * 1024**3


def test_the_worker_is_confined_before_the_script_runs(monkeypatch):
    """What a script could do after breaking out of the sandbox, tried at its place."""
    code = (
        "import os, socket, sys\n"
        "import mc2.planner.compile_worker as worker\n"
        "def broken_out(script, **_):\n"
        "    from mc2.errors import PlanError\n"
        "    found = []\n"
        "    for name, attempt in {\n"
        "        'read': lambda: open('/etc/hostname').read(),\n"
        "        'list': lambda: os.listdir('/'),\n"
        "        'write': lambda: open('/tmp/mc2-broken-out', 'w'),\n"
        "        'socket': lambda: socket.socket(),\n"
        "        'run': lambda: os.execv('/bin/true', ['true']),\n"
        "        'fork': os.fork,\n"
        "    }.items():\n"
        "        try:\n"
        "            attempt()\n"
        "            found.append(name)\n"
        "        except PermissionError:\n"
        "            pass\n"
        "    raise PlanError('ways out: ' + ','.join(found))\n"
        "original = worker.compile_here\n"
        "worker._warm_up()\n"
        "worker._warm_up = lambda: None\n"
        "worker.compile_here = broken_out\n"
        "sys.exit(worker.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=request(), capture_output=True, timeout=60, check=False
    )
    assert json.loads(done.stdout)["error"]["message"] == "ways out: "


def test_fails_closed_where_the_system_cannot_confine():
    code = (
        "import sys\n"
        "import mc2.planner.compile_worker as worker\n"
        "sys.platform = 'darwin'\n"
        "sys.exit(worker.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=request(), capture_output=True, timeout=60, check=False
    )
    answer = json.loads(done.stdout)
    assert answer["done"] is False
    assert answer["error"]["code"] == "confinement"
    unconfined = subprocess.run(
        [sys.executable, "-c", code],
        input=request(unconfined=True),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert json.loads(unconfined.stdout)["done"] is True


def test_unconfined_needs_to_be_said(monkeypatch):
    seen = []

    def run(raw):
        seen.append(json.loads(raw)["unconfined"])
        raise PlanError("stop")

    monkeypatch.setattr(script, "_run_worker", run)
    for said in (False, True):
        with pytest.raises(PlanError, match="stop"):
            compile_script(SIMPLE, name="s.py", catalog=CATALOG, unsafe_unconfined=said)
    assert seen == [False, True]


def answering(monkeypatch, answer):
    raw = answer if isinstance(answer, bytes) else encode(answer)
    monkeypatch.setattr(script, "_run_worker", lambda _request: raw)


PLAN = compile_here(SIMPLE, name="s.py", catalog=CATALOG)


def lie(**changes):
    return {"type": ANSWER, "done": True, "plan": replace(PLAN, **changes).json()}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lie(script="# other"), "another script or contract"),
        (lie(script_name="t.py"), "another script or contract"),
        (lie(contract=digest(b"other")), "another script or contract"),
        (lie(inputs=(replace(PLAN.inputs[0], manifest=digest(b"x")),)), "not in the catalog"),
        (lie(inputs=(replace(PLAN.inputs[0], row_bound=1),)), "not in the catalog"),
        (
            lie(inputs=(replace(PLAN.inputs[0], dataset="clinic_a.more"),)),
            "not in the catalog",
        ),
        (lie(outputs=(replace(PLAN.outputs[0], node=0),)), "no output needs"),
        ({"type": ANSWER, "done": True, "plan": {}}, "gave no plan"),
        ({"type": ANSWER, "done": True}, "gave no plan"),
        ({"type": "other", "done": True, "plan": PLAN.json()}, "gave no plan"),
        ({"type": ANSWER, "done": False}, "gave no plan"),
        ({"type": ANSWER, "done": True, "plan": PLAN.json(), "more": 1}, "gave no plan"),
        (b"", "gave no plan"),
        (b"{}", "gave no plan"),
        (b" {}", "gave no plan"),
        (b"Traceback", "gave no plan"),
    ],
)
def test_a_script_that_broke_out_cannot_lie(monkeypatch, answer, words):
    answering(monkeypatch, answer)
    with pytest.raises(PlanError, match=words):
        compile_script(SIMPLE, name="s.py", catalog=CATALOG)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("confinement", ConfinementError), ("usage", UsageError), ("nonsense", Mc2Error)],
)
def test_other_errors_keep_their_type(monkeypatch, code, kind):
    error = {"code": code, "message": "m", "hint": "h", "line": 0, "column": 0}
    answering(monkeypatch, {"type": ANSWER, "done": False, "error": error})
    with pytest.raises(kind) as refused:
        compile_script(SIMPLE, name="s.py", catalog=CATALOG)
    assert (str(refused.value), refused.value.hint) == ("m", "h")


def test_a_dead_process_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PlanError, match="died"):
        compile_script(SIMPLE, name="s.py", catalog=CATALOG)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys\nwhile True: sys.stdout.write('x' * 100000)", "died"),
        ("import sys\nsys.stdin.buffer.read(1)\nprint('{}', end='')", "gave no plan"),
        ("", "died"),
        ("import time\ntime.sleep(60)", "did not compile within"),
        ("import os\nos.close(0)\nos.close(1)\nimport time\ntime.sleep(60)", "died"),
    ],
    ids=["endless answer", "no waiting", "no answer", "silence", "closed pipes"],
)
def test_whatever_the_process_does_ends_in_an_error(monkeypatch, tmp_path, code, words):
    """What a script that broke out could make of the process that it runs in."""
    fake = tmp_path / "python"
    fake.write_text(f"#!{sys.executable}\n{code}\n")
    fake.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setattr(script, "_SECONDS", 2.0)
    large = SIMPLE + "#" * 200_000
    with pytest.raises(PlanError, match=words):
        compile_script(large, name="s.py", catalog=CATALOG)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", request(type="x"), request(name=1)])
def test_the_worker_answers_nonsense_with_an_error(raw):
    assert compile_worker._answer(raw)["done"] is False


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "makes no job"),
        ("import mc2\n", "makes no job"),
        ("import mc2\njob = mc2.Job('t')\n", "releases nothing"),
        ("import mc2\nmc2.Job('a')\nmc2.Job('b')\n", "a script has one job"),
    ],
)
def test_scripts_without_an_end(source, words):
    with pytest.raises(PlanError, match=words):
        compile_here(source, name="s.py", catalog=CATALOG)


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_the_name_of_a_script_has_a_length(name):
    with pytest.raises(PlanError, match="name has 1 to 200"):
        compile_here(SIMPLE, name=name, catalog=CATALOG)


def test_nothing_of_one_script_reaches_the_next():
    with pytest.raises(PlanError):
        compile_here(SIMPLE + "x = 1 / 0", name="s.py", catalog=CATALOG)
    with pytest.raises(UsageError, match="while a script is compiled"):
        Job("outside")
    assert compile_here(SIMPLE, name="s.py", catalog=CATALOG) == PLAN
