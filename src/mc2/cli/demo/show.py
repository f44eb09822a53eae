"""The demonstration itself, told step by step."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mc2.cli.console import SIMULATION_BANNER, Console
from mc2.cli.options import output
from mc2.cli.start import check_server_installed
from mc2.errors import ReceiptError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from mc2.cli.demo.patients import Clinic
    from mc2.cli.demo.stage import Stage
    from mc2.client.party import Party
    from mc2.client.results import OpenedModel, OpenedTable

STUDY = Path(__file__).with_name("study.py")


@click.command(epilog="Example: mc2 demo --keep demo-run")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run in this folder and leave everything there to look at.",
)
@output
def command(console: Console, keep: Path | None) -> None:
    """Run a joint report and a joint model over real patients of two clinics.

    A coordinator, two enclave worker processes and three parties on this machine, with the real
    protocol and simulated enclaves. At the end, three attacks by the coordinator.
    """
    check_server_installed()
    console.banner(SIMULATION_BANNER)
    with _folder(keep) as folder:
        from mc2.cli.demo.stage import Stage

        _log_to(folder / "coordinator.log")
        facts = _Demonstration(console, Stage(folder)).run()
    text = "\n".join(f"{name.replace('_', ' '):<34}{value}" for name, value in facts.items())
    console.data(facts, text)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="mc2-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty", hint="name a new folder")
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield keep.resolve()


def _log_to(path: Path) -> None:
    """Send what the coordinator logs to a file, as `mc2 start` does."""
    logger = logging.getLogger("mc2")
    logger.addHandler(logging.FileHandler(path))
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _Demonstration:
    """One run; each method is a scene."""

    def __init__(self, console: Console, stage: Stage) -> None:
        self._console = console
        self._stage = stage
        self._script = STUDY.read_text()

    def run(self) -> dict[str, object]:
        from mc2.cli.demo.patients import load_clinics

        clinics = load_clinics()
        began = time.monotonic()
        root = self._stage.make_root()
        with self._stage.coordinator() as coordinator:
            self._say("1", "The operator starts a coordinator and two enclave workers", "mc2 start")
            self._note(f"listening at {coordinator.url}; trusted by nobody")
            parties = self._meet(root)
            self._upload(parties, clinics)
            job_id = self._agree(parties)
            seconds, results = self._compute(parties, job_id)
            self._compare(results, clinics)
            proof = parties["institute"].home.proofs.get(job_id)
        if proof is None:
            raise ReceiptError("the proof was not kept")
        self._search(parties, clinics)
        refused = self._attack(proof)
        return {
            "patients_in_the_study": sum(c.study.num_rows for c in clinics),
            "job_seconds": round(seconds, 2),
            "attacks_refused": f"{refused} of 3",
            "total_seconds": round(time.monotonic() - began, 1),
        }

    # --- scenes

    def _meet(self, root: Any) -> dict[str, Party]:
        self._say("2", "Three parties make their keys, at home", "mc2 init clinic_a")
        parties = self._stage.create_parties()
        for name, party in parties.items():
            self._note(f"{name:<10} fingerprint {party.identity.card.fingerprint}")
        self._stage.enrol(parties)
        self._say("3", "All read and sign one contract", "mc2 join contract.toml")
        contract = self._stage.draw_up_contract(parties, root)
        for party in parties.values():
            status = party.join(contract)
        self._note(f"{contract.name}, {status.digest[:23]}…: signed by {', '.join(status.signed)}")
        return parties

    def _upload(self, parties: Mapping[str, Party], clinics: tuple[Clinic, ...]) -> None:
        self._say("4", "Each clinic encrypts its patients at home", "mc2 upload tumours.csv")
        for clinic in clinics:
            sealed = parties[clinic.name].upload(clinic.study, "tumours")
            size = sum(c.size for c in sealed.manifest.chunks)
            self._note(f"{sealed.manifest.dataset}: {sealed.rows} rows, {size:,} bytes sealed")

    def _agree(self, parties: Mapping[str, Party]) -> str:
        self._say("5", "The institute compiles a script and proposes it", "mc2 propose study.py")
        proposed = parties["institute"].propose(self._script, script_name=STUDY.name)
        self._note(f"job {proposed.job_id[:8]}, plan {proposed.plan.digest[:23]}…")
        self._say("6", "Each clinic reads what would leave the enclave, for whom", "mc2 review")
        review = parties["clinic_a"].review(proposed.job_id).review
        for leaving in review.outputs:
            bound = f", at most {leaving.row_bound} rows" if leaving.row_bound else ""
            self._note(f"{leaving.name} ({leaving.kind}{bound}) to {', '.join(leaving.recipients)}")
            if leaving.each_row:
                self._note(f"  {leaving.each_row}")
        self._say("7", "It compiles the script again, compares, and signs", "mc2 approve")
        for name in review.approvers:
            approval = parties[name].approve(
                proposed.job_id, plan=proposed.plan.digest, script=self._script
            )
            self._note(f"{name} approves plan {approval.value.plan[:23]}…")
        return proposed.job_id

    def _compute(
        self, parties: Mapping[str, Party], job_id: str
    ) -> tuple[float, dict[str, OpenedTable | OpenedModel]]:
        from mc2.cli.demo.stage import answering
        from mc2.cli.run import describe

        self._say("8", "An enclave proves its code; each clinic checks, then releases", "mc2 run")
        told: list[str] = []
        owners = [parties["clinic_a"], parties["clinic_b"]]
        began = time.monotonic()
        with answering(*owners) as news:
            parties["institute"].run(
                job_id,
                timeout=timedelta(minutes=2),
                watch=lambda status: told.append(describe(replace(status, progress=""))),
            )
        seconds = time.monotonic() - began
        for text in dict.fromkeys(told):
            self._note(text)
        granted = sum(n.answer is not None and n.answer.name == "GRANTED" for n in news)
        self._note(f"{granted} clinics released keys; the job took {seconds:.2f} s")
        self._say("9", "Each recipient verifies the proof, then opens its results", "mc2 download")
        results = {name: party.results(job_id) for name, party in parties.items()}
        job = parties["institute"].verify_job(job_id)
        self._note(f"proof verified offline; tier {job.tier.word.upper()}")
        return seconds, results["institute"]

    def _compare(
        self, results: Mapping[str, OpenedTable | OpenedModel], clinics: tuple[Clinic, ...]
    ) -> None:
        from mc2.cli.demo.home_use import judge_model
        from mc2.client.results import OpenedModel, OpenedTable

        report, model = results["report"], results["model"]
        if not isinstance(report, OpenedTable) or not isinstance(model, OpenedModel):
            raise ReceiptError("the results are of other kinds than the plan says")
        self._note("")
        for line in _table_lines(report.table):
            self._note(line)
        self._say("10", "The model is a plain XGBoost file: judge it at home", "stock xgboost")
        verdict = judge_model(model.raw, clinics)
        for clinic, auc in verdict.auc.items():
            self._note(f"AUC on {clinic}'s patients that no one else saw: {auc:.4f}")
        self._note(f"AUC of a model trained on the pooled plaintext: {verdict.pooled_auc:.4f}")
        same = verdict.same_trees
        self._note("the two models are the same, tree by tree" if same else "THE TWO MODELS DIFFER")
        if not same or not math.isclose(verdict.joint_auc, verdict.pooled_auc):
            raise ReceiptError("the joint model is not the one that the pooled data give")

    def _search(self, parties: Mapping[str, Party], clinics: tuple[Clinic, ...]) -> None:
        from mc2.cli.demo.home_use import search_plaintext

        self._say("11", "What the coordinator holds is searched for patients' values", "")
        identities = [party.identity for party in parties.values()]
        keys = [bytes(i.master) for i in identities]
        keys += [i.signing.private_bytes() for i in identities]
        keys += [i.receiving.private_bytes() for i in identities]
        found = search_plaintext(self._stage.coordinator_folder, clinics, keys)
        self._note(
            f"{found.values:,} values and keys sought in {found.bytes:,} bytes: {found.hits} found"
        )
        if found.hits:
            raise ReceiptError("the coordinator holds plaintext")

    def _attack(self, proof: bytes) -> int:
        from mc2.cli.demo.attacks import attacks, attempt

        self._say("12", "Now the operator cheats, with a coordinator of its own making", "")
        refused = 0
        for attack in attacks(proof):
            error = attempt(self._stage, attack, self._script)
            self._note(f"it {attack.what}")
            if error is None:
                self._note("  NOT REFUSED")
                continue
            refused += 1
            self._note(f"  refused ({error.code}): {str(error).partition(' failed: ')[2] or error}")
        if refused < 3:
            raise ReceiptError("an attack was not refused")
        return refused

    def _say(self, number: str, text: str, like: str) -> None:
        self._console.note("")
        self._console.step(f"{number}. {text}" + (f"   ({like})" if like else ""))

    def _note(self, text: str) -> None:
        self._console.note(f"             {text}")


def _table_lines(table: pa.Table) -> list[str]:
    from mc2.cli.console import table as as_text

    return as_text(table.to_pylist(), table.column_names).splitlines()
