"""`mc2 start`: a coordinator and its enclave workers, in the background unless asked otherwise."""

from __future__ import annotations

import importlib
import importlib.util
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click

from mc2.attestation.collect.tees import AUTO, TEES, TPM, TPM_DEVICE, TpmSource
from mc2.cli.console import SIMULATION_BANNER, Console
from mc2.cli.options import output
from mc2.errors import AttestationError, CoordinatorError, UsageError

SIMULATED_ROOT_FILE: Final = "simulated-root.json"
LOG_FILE: Final = "coordinator.log"
TPM_LOG_FILE: Final = "tpm-code-log.json"
UNCONFINED_BANNER: Final = (
    "UNCONFINED WORKERS: they keep the privileges of their user; a flaw in one reaches this machine"
)
_ELSEWHERE_HINT: Final = (
    "with workers elsewhere: --workers 0 --worker-address ADDRESS; for a trial that protects "
    "nothing: --tee simulated --unsafe-simulation"
)
_BOOT_REGISTERS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 11)
"""What firmware, boot loader and kernel image are measured into (Linux, with a unified image)."""

_START_SECONDS: Final = 60.0
_SPARK_START_SECONDS: Final = 300.0  # a cluster may first have to find room
_LOG_LINES: Final = 15
_HOME_SECONDS: Final = 300


@click.command(
    epilog="Example: mc2 start --folder /srv/mc2 --host 0.0.0.0 --name mc2.example.org --workers 2"
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("coordinator"),
    show_default=True,
    help="Where the coordinator keeps everything.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, help="Port; 0 for a free one.")
@click.option("--name", "names", multiple=True, help="A host name that clients use; repeatable.")
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    default=1,
    show_default=True,
    help="Enclave workers to start here.",
)
@click.option(
    "--workers-per-job",
    type=click.IntRange(0, 64),
    default=0,
    show_default=True,
    help="How many workers may share a large job; 0 for all that are free.",
)
@click.option(
    "--home-seconds",
    type=click.IntRange(0, 24 * 3600),
    default=_HOME_SECONDS,
    show_default=True,
    help="How long a job waits for enclaves at parties' homes.",
)
@click.option("--worker-address", multiple=True, help="A worker that runs elsewhere; repeatable.")
@click.option(
    "--tee",
    type=click.Choice([*TEES, "simulated"]),
    default=AUTO,
    show_default=True,
    help="What proves the workers' code; auto is the strongest that keeps the host out.",
)
@click.option(
    "--tpm",
    type=click.Path(path_type=Path),
    help=f"With --tee tpm: its device, or a software TPM's socket.  [default: {TPM_DEVICE}]",
)
@click.option(
    "--tpm-chain",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --tee tpm: PEM of the authorities that certified it, root last.",
)
@click.option(
    "--tpm-log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --tee tpm: the one log of all workers of this machine.  "
    "[default: tpm-code-log.json in the folder]",
)
@click.option(
    "--unsafe-simulation",
    is_flag=True,
    help="Allow --tee simulated, which protects nothing.",
)
@click.option(
    "--unsafe-unconfined",
    is_flag=True,
    help="Start workers that keep their user's privileges, for hosts that cannot confine them.",
)
@click.option(
    "--backend",
    type=click.Choice(["local", "spark"]),
    default="local",
    show_default=True,
    help="Where large jobs run their tasks: in the workers here, or beside Spark's executors.",
)
@click.option("--master", help="With --backend spark: Spark's master, such as spark://host:7077.")
@click.option(
    "--spark-conf",
    multiple=True,
    metavar="spark.NAME=VALUE",
    help="With --backend spark: a setting of Spark; repeatable.",
)
@click.option(
    "--block-storage",
    help="With --backend spark: a path or URL that all hosts share, for sealed blocks.  "
    "[default: blocks in the folder]",
)
@click.option(
    "--ship",
    is_flag=True,
    help="With --backend spark: send mc2 itself to executors that do not have it.",
)
@click.option(
    "--result-storage",
    metavar="URL",
    help="A path or URL where sealed results stand, for recipients to fetch them from there.  "
    "[default: in the folder]",
)
@click.option("--foreground", is_flag=True, help="Do not return; log to standard error.")
@output
def command(
    console: Console,
    folder: Path,
    host: str,
    port: int,
    names: tuple[str, ...],
    workers: int,
    workers_per_job: int,
    home_seconds: int,
    worker_address: tuple[str, ...],
    tee: str,
    tpm: Path | None,
    tpm_chain: Path | None,
    tpm_log: Path | None,
    unsafe_simulation: bool,
    unsafe_unconfined: bool,
    backend: str,
    master: str | None,
    spark_conf: tuple[str, ...],
    block_storage: str | None,
    ship: bool,
    result_storage: str | None,
    foreground: bool,
) -> None:
    """Start a coordinator and its enclave workers.

    The coordinator is trusted by nobody: it stores sealed objects, passes messages and schedules.
    Hand out the file coordinator.json and the invitation token to the parties.
    """
    check_server_installed()
    _check(tee, unsafe_simulation)
    spark = _spark_arguments(backend, master, spark_conf, block_storage, ship=ship)
    source = _tpm_source(tee, tpm, tpm_chain, tpm_log or folder.absolute() / TPM_LOG_FILE)
    if source is None and tpm_log is not None:
        raise UsageError("--tpm-log is for --tee tpm", hint="leave it out")
    if workers:
        _check_hardware(tee, source)
    folder = _made(folder)
    arguments = ["--folder", str(folder), "--host", host, "--port", str(port)]
    arguments += [f"--name={name}" for name in names]
    arguments += [f"--worker-address={address}" for address in worker_address]
    arguments += ["--workers", str(workers), "--workers-per-job", str(workers_per_job)]
    arguments += ["--home-seconds", str(home_seconds)]
    arguments += [] if result_storage is None else ["--result-storage", result_storage]
    worker = worker_command(folder, tee, source, unconfined=unsafe_unconfined)
    arguments += ["--worker-command", shlex.join(worker), *spark]
    module = "mc2.spark" if spark else "mc2.coordinator"
    if tee == "simulated":
        console.banner(SIMULATION_BANNER)
    if unsafe_unconfined:
        console.banner(UNCONFINED_BANNER)
    if foreground:
        _run_here(module, arguments)
        return
    _run_in_background(folder, module, arguments, console)
    _report(console, folder, _policy_facts(folder, tee, source, unconfined=unsafe_unconfined))


def _made(folder: Path) -> Path:
    """The coordinator's folder, by its whole path. Raises: UsageError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {folder}: {error.strerror}", hint="name another: --folder"
        ) from None
    return folder.resolve()


def check_server_installed() -> None:
    """The base installation is for parties. Raises: UsageError without the extra."""
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")):
        raise UsageError(
            "the coordinator's packages are not installed", hint="pip install 'mc2[server]'"
        )


def _check(tee: str, unsafe_simulation: bool) -> None:
    if tee == "simulated" and not unsafe_simulation:
        raise UsageError(
            "simulated workers protect nothing",
            hint="for a demonstration or a test, add --unsafe-simulation",
        )
    if unsafe_simulation and tee != "simulated":
        raise UsageError("--unsafe-simulation is for --tee simulated", hint="leave it out")


def _check_hardware(tee: str, source: TpmSource | None) -> None:
    """Whether workers can prove themselves here, which else only their logs would tell.

    Raises: AttestationError.
    """
    if tee == "simulated":
        return
    from mc2.attestation.collect.choose import choose

    try:
        choose(tee, tpm=source)
    except AttestationError as error:
        raise AttestationError(str(error), hint=f"{error.hint}; {_ELSEWHERE_HINT}") from None


def _tpm_source(tee: str, tpm: Path | None, chain: Path | None, log: Path) -> TpmSource | None:
    """Where workers find the TPM. They run elsewhere, so paths are made absolute."""
    if tee != TPM:
        if tpm is not None or chain is not None:
            raise UsageError("--tpm and --tpm-chain are for --tee tpm", hint="leave them out")
        return None
    if chain is None:
        raise UsageError(
            "a TPM's evidence needs the certificates of its maker",
            hint="give the authorities above its endorsement certificate: --tpm-chain FILE",
        )
    path = (tpm or TPM_DEVICE).absolute()
    return TpmSource(path, chain.read_bytes(), log.absolute(), chain.absolute())


def worker_command(
    folder: Path, tee: str, source: TpmSource | None, *, unconfined: bool
) -> list[str]:
    """How the coordinator starts a worker here."""
    arguments = ["-m", "mc2.enclave", "--tee", tee]
    if tee == "simulated":
        from mc2.attestation.simulated.root import SimulatedRoot

        root = folder / SIMULATED_ROOT_FILE
        if not root.exists():
            SimulatedRoot.make().store(root)
        arguments += ["--simulated-root", str(root), "--unsafe-simulation"]
    if source is not None:
        from mc2.enclave.measured_code import ISOLATED

        # What is not measured must not run: no environment, no byte-code caches.
        arguments = [*ISOLATED, *arguments, "--tpm", str(source.path)]
        arguments += ["--tpm-chain", str(source.chain_file), "--tpm-log", str(source.code_log)]
    if unconfined:
        arguments.append("--unsafe-unconfined")
    return [sys.executable, *arguments]


def _spark_arguments(
    backend: str,
    master: str | None,
    settings: tuple[str, ...],
    storage: str | None,
    *,
    ship: bool = False,
) -> list[str]:
    """What the coordinator is told of Spark; nothing for the local backend."""
    if backend == "local":
        if master or settings or storage or ship:
            raise UsageError(
                "--master, --spark-conf, --block-storage and --ship are for --backend spark",
                hint="add --backend spark, or leave them out",
            )
        return []
    if master is None:
        raise UsageError(
            "the Spark backend needs a master", hint="for instance --master spark://host:7077"
        )
    from mc2.spark.session import check_spark_installed

    check_spark_installed()
    found = ["--master", master, *(f"--spark-conf={text}" for text in settings)]
    found += ["--ship"] if ship else []
    return found if storage is None else [*found, "--block-storage", storage]


def _run_here(module: str, arguments: list[str]) -> None:
    code: int = importlib.import_module(f"{module}.__main__").main(arguments)
    if code != 0:
        raise SystemExit(code)


def _run_in_background(folder: Path, module: str, arguments: list[str], console: Console) -> None:
    """Start the process, and wait until it answers or ends. Raises: CoordinatorError."""
    from mc2.coordinator.folder import running_process

    running = running_process(folder)
    if running is not None:
        raise CoordinatorError(
            f"a coordinator runs on {folder} already (process {running})",
            hint=f"stop it first: mc2 stop --folder {folder}",
        )
    ready = folder / "coordinator.json"
    ready.unlink(missing_ok=True)
    log = folder / LOG_FILE
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    console.step("starting the coordinator")
    seconds = _SPARK_START_SECONDS if module == "mc2.spark" else _START_SECONDS
    deadline = time.monotonic() + seconds
    while not ready.exists():
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            process.kill()
            for line in log.read_text(errors="replace").splitlines()[-_LOG_LINES:]:
                console.note(f"  {line}")
            raise CoordinatorError(
                f"the coordinator did not start; its log is {log}",
                hint="mend what the end of the log names, then start again",
            )
        time.sleep(0.02)


def _policy_facts(
    folder: Path, tee: str, source: TpmSource | None, *, unconfined: bool
) -> dict[str, object]:
    """What a contract says to accept the workers that were started, where that can be told."""
    if tee == "simulated":
        return dict(simulated_policy(folder))
    return {} if source is None else tpm_policy(source, unconfined=unconfined)


def _report(console: Console, folder: Path, facts: dict[str, object]) -> None:
    from mc2.formats.coordinator_file import CoordinatorFile

    found = CoordinatorFile.parse((folder / "coordinator.json").read_bytes())
    data = {
        "url": found.url,
        "fingerprint": found.fingerprint,
        "coordinator_file": str(folder / "coordinator.json"),
        "invitation_file": found.invitation_file,
        "log": str(folder / LOG_FILE),
    }
    console.data(data | facts)
    console.note("")
    console.note("next: give each party coordinator.json and the invitation token;")
    console.note("      each then runs: mc2 join contract.toml --coordinator coordinator.json")


def tpm_policy(source: TpmSource, *, unconfined: bool) -> dict[str, object]:
    """What a contract says to accept workers on this machine, as it stands now.

    Members must not take this from an operator whom they do not trust: they measure the code for
    themselves (`mc2 measure`), and know the roots from the makers of TPMs.

    Raises: AttestationError.
    """
    from mc2.attestation.collect.choose import tpm_collector
    from mc2.enclave.measured_code import measure_in_fresh_process

    machine = tpm_collector(source).machine()
    code = measure_in_fresh_process(sys.executable, unconfined=unconfined).event()
    return {
        "tpm_root": machine.root,
        "tpm_platform": machine.platform,
        "tpm_reset_count": machine.reset_count,
        "tpm_code": code.digest.hex(),
        "tpm_pcrs": {str(n): machine.pcrs[n].hex() for n in _BOOT_REGISTERS},
    }


def simulated_policy(folder: Path) -> dict[str, str]:
    """What a contract says to accept this deployment's simulated workers."""
    from mc2.attestation.simulated.report import measure
    from mc2.attestation.simulated.root import SimulatedRoot
    from mc2.enclave.code_identity import code_identity

    root = SimulatedRoot.load(folder / SIMULATED_ROOT_FILE)
    return {"simulated_root": root.digest, "simulated_measurement": measure(code_identity())}
