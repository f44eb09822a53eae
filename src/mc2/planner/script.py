"""Compiles scripts: each in a process of its own that can open, connect and start nothing.

The process is the real wall around a stranger's script (`mc2.planner.sandbox` is the inner one).
What comes back is a plan in its canonical form, parsed and checked here like any stranger's bytes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Final

from mc2.errors import FormatError, Mc2Error, PlanError, error_types
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.plan.check import check_plan
from mc2.plan.packages import package_versions
from mc2.plan.plan import Plan
from mc2.planner.catalog import Catalog
from mc2.planner.draft import Draft, drafting
from mc2.planner.sandbox import Namespace, run_script

REQUEST: Final = "mc2/compile/v1"
ANSWER: Final = "mc2/compiled/v1"
REQUEST_BYTES: Final = 64 * 1024 * 1024
_ANSWER_BYTES: Final = LIMITS.plan_bytes + 64 * 1024
_SECONDS: Final = 120.0
_NAME_LENGTH: Final = 200


def compile_script(
    source: str, *, name: str, catalog: Catalog, unsafe_unconfined: bool = False
) -> Plan:
    """Compile a script in a confined process. The same script and catalog give the same plan.

    `name` is the script's file name, as the plan records it. `unsafe_unconfined` lets the process
    run where the system cannot confine it; only its operator may say so.

    Raises: PlanError with line and column; ConfinementError if the system cannot confine.
    """
    request = encode(
        {
            "type": REQUEST,
            "script": source,
            "name": name,
            "catalog": catalog.json(),
            "unconfined": unsafe_unconfined,
        }
    )
    if len(request) > REQUEST_BYTES:
        raise PlanError("the script and the catalog are too large to compile")
    plan = _read_answer(_run_worker(request))
    _check_answer(plan, source, name, catalog)
    return plan


def compile_here(
    source: str, *, name: str, catalog: Catalog, packages: Mapping[str, str] | None = None
) -> Plan:
    """Compile a script in this process, behind the inner wall alone: for scripts of one's own.

    `packages` are the versions that the plan names, by default those of this installation.

    Raises: PlanError with line and column.
    """
    if not name or len(name) > _NAME_LENGTH:
        raise PlanError(f"a script's name has 1 to {_NAME_LENGTH} characters")
    from mc2.planner.dataframe_columns import Window, functions
    from mc2.planner.job import Job
    from mc2.planner.numbers import numpy_functions
    from mc2.planner.offered import (
        callback_names,
        cluster_names,
        linear_names,
        xgboost_names,
    )
    from mc2.planner.python_sources import script_function
    from mc2.planner.tables import Table

    callback = Namespace("mc2.xgboost.callback", callback_names())
    xgboost = Namespace("mc2.xgboost", {**xgboost_names(), "callback": callback})
    learning = {
        "clusters": Namespace("mc2.clusters", cluster_names()),
        "linear": Namespace("mc2.linear", linear_names()),
        "xgboost": xgboost,
    }
    outer = Namespace("mc2", {"Job": Job, "Table": Table, "udf": script_function, **learning})
    columns = {**functions(), "udf": script_function}
    f = Namespace("pyspark.sql.functions", columns)
    sql = Namespace("pyspark.sql", {"functions": f, "Window": Window()})
    modules = {
        "mc2": outer,
        **{f"mc2.{name}": namespace for name, namespace in learning.items()},
        "numpy": Namespace("numpy", numpy_functions()),
        "pyspark.sql": sql,
        "pyspark.sql.functions": f,
    }
    versions = package_versions() if packages is None else packages
    draft = Draft(catalog, name=name, script=source, packages=versions)
    with drafting(draft):
        run_script(source, modules)
    try:
        plan = draft.finish()
        check_plan(plan)
    except FormatError as error:  # a limit of the format, such as too many nodes
        raise PlanError(str(error), hint=error.hint) from None
    return plan


def _run_worker(request: bytes) -> bytes:
    """One exchange with a process of its own, bounded in time and in the size of the answer."""
    # Nothing of this process's environment reaches the script's. A fixed hash seed is a second
    # guard: plans do not depend on it, which a test shows.
    environment = {"PYTHONHASHSEED": "0", "PATH": os.defpath}
    if sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
    command = [sys.executable, "-s", "-P", "-m", "mc2.planner.compile_worker"]
    late = threading.Event()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        close_fds=True,
    ) as process:
        timer = threading.Timer(_SECONDS, _stop, (process, late))
        timer.start()
        try:
            answer = _exchange(process, request)
        finally:
            timer.cancel()
            process.kill()
    if late.is_set():
        raise PlanError(f"the script did not compile within {_SECONDS:.0f} seconds")
    if not answer or len(answer) > _ANSWER_BYTES:
        raise PlanError(
            "the process that compiles the script died",
            hint="the script takes too long or too much memory: make it smaller; if small ones die "
            "too, `mc2 doctor` says what is wrong here",
        )
    return answer


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    """Send all and read all, at once, so that neither side waits for the other."""
    given, taken = process.stdin, process.stdout
    if given is None or taken is None:  # both are pipes, see above
        raise RuntimeError("the process has no pipes")

    def send() -> None:
        with contextlib.suppress(OSError):  # it died: the answer, or its absence, says so
            given.write(request)
            given.close()

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    answer = taken.read(_ANSWER_BYTES + 1)  # a script that broke out may talk without end
    process.kill()
    sender.join()
    return answer


def _read_answer(raw: bytes) -> Plan:
    try:
        fields = Fields(decode(raw, _ANSWER_BYTES, "a compiled script"), "a compiled script")
        fields.type(ANSWER)
        if fields.boolean("done"):
            plan = Plan.parse(encode(fields.value("plan")))
            fields.done()
            return plan
        error = fields.fields("error")
        code, message = error.text("code"), error.text("message", LIMITS.note_bytes)
        hint = error.text("hint", LIMITS.note_bytes)
        line, column = error.integer("line", 0, 2**31), error.integer("column", 0, 2**31)
    except FormatError as broken:
        raise PlanError(f"the process that compiles scripts gave no plan: {broken}") from None
    if code == PlanError.code:
        raise PlanError(message, line=line, column=column, hint=hint)
    kind = error_types().get(code, Mc2Error)
    try:
        raise kind(message, hint=hint)
    except TypeError:
        raise Mc2Error(message, hint=hint) from None


def _check_answer(plan: Plan, source: str, name: str, catalog: Catalog) -> None:
    """The plan is of this script over this catalog. A script that broke out could lie here."""
    if (plan.script, plan.script_name, plan.contract) != (source, name, catalog.contract):
        raise PlanError("the compiled plan is of another script or contract")
    for found in plan.inputs:
        table = catalog.datasets.get(found.dataset)
        if table is None or found != table.as_input(found.dataset):
            raise PlanError(f"the compiled plan reads {found.dataset}, which is not in the catalog")
    check_plan(plan)
