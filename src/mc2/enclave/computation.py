"""The part of a job that sees plaintext: inputs in, outputs out. Steps E16 to E19."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.enclave.admission import AdmittedJob
from mc2.enclave.drawing import drawing_key
from mc2.enclave.kept import KeptTable, Shared
from mc2.enclave.outputs import Unsealed, seal_output
from mc2.enclave.release import Lease
from mc2.enclave.tables import SealedTable
from mc2.enclave.trainings import LedTrainings
from mc2.engine.database import DatabaseAhead
from mc2.engine.limits import EngineLimits
from mc2.engine.oblivious import run as oblivious
from mc2.engine.outputs import Output
from mc2.engine.run import execute
from mc2.errors import DatasetError, EngineError, Mc2Error
from mc2.formats.result import Result
from mc2.formats.worker_progress import Said, StageHead, StagesCut
from mc2.plan.home import home_inputs

ReadChunk = Callable[[Digest], bytes]
WriteChunk = Callable[[Digest, bytes], None]

_HINT: Final = "try the plan on data of your own; if it works there, report this"


class Computation:
    """One run of an admitted job with its keys, within their lease."""

    def __init__(
        self,
        job: AdmittedJob,
        ciphers: Mapping[str, ChunkCipher],
        lease: Lease,
        read_chunk: ReadChunk,
        progress: Callable[[str], None],
        *,
        threads: int = 1,
    ) -> None:
        self._job = job
        self._lease = lease
        self._read_chunk = read_chunk
        self._progress = progress
        self._key = drawing_key(job.context, ciphers)
        self._tables: dict[str, SealedTable | KeptTable] = {
            name: KeptTable(job.kept[name], cipher, self._read)
            if name in job.kept
            else SealedTable(job.manifests[name].value, cipher, self._read, threads=threads)
            for name, cipher in ciphers.items()
            if name in home_inputs(job.plan, None)  # what stays at home, no leader reads
        }

    @property
    def job(self) -> AdmittedJob:
        """The job that is computed."""
        return self._job

    def compute(
        self,
        limits: EngineLimits,
        led: LedTrainings | None = None,
        ahead: DatabaseAhead | None = None,
    ) -> Mapping[str, Output]:
        """E18. Run exactly the plan, then forget the keys of its inputs.

        What `led` trains, the members of its epoch read, who sign that they read it whole. `ahead`
        is a database that was opened within the same limits.

        Raises: EngineError; what reading a table raised, whatever the engine made of that.
        """
        try:
            outputs = self._outputs(limits, led, ahead)
            for name, table in self._tables.items():
                if led is None or name not in led.read:
                    table.read_rest()
        except Exception as error:  # noqa: BLE001  whatever it is, it is told without its text
            raise self._cause(error) from None
        finally:
            self.forget()
        if outputs.keys() != {o.name for o in self._job.plan.outputs}:
            raise EngineError("the engine gave other outputs than the plan says", hint=_HINT)
        return outputs

    def forget(self) -> None:
        """Forget the keys of the inputs."""
        for table in self._tables.values():
            table.close()

    def _outputs(
        self, limits: EngineLimits, led: LedTrainings | None, ahead: DatabaseAhead | None
    ) -> Mapping[str, Output]:
        """By the engine of the plan's mode, and never by the other one."""
        checked = self._job.checked
        kinds = tuple(n.operation.OP for n in checked.plan.nodes if n.operation.OP != "scan")
        self._tell(Said("one stage", StagesCut((StageHead(kinds, 1),))))
        if checked.plan.mode == "oblivious":
            return oblivious.execute(
                checked,
                self._tables,
                self._tell,
                threads=limits.threads,
                key=self._key,
                together=led,
            )
        return execute(checked, self._tables, limits, self._tell, ahead, self._key)

    def seal(self, name: str, output: Output, write_chunk: WriteChunk) -> Result:
        """E19. Seal one output for exactly the plan's recipients, or keep it for its owners."""
        declared = next(o for o in self._job.plan.outputs if o.name == name)
        members = self._job.members
        schema = self._job.checked.schema(declared)
        unsealed = Unsealed(declared, schema, output)
        facts = self._job.kept_facts(declared)
        names = declared.recipients if facts is None else facts.owners
        keys = {n: members.member(n).card.receiving_key for n in names}
        to = keys if facts is None else Shared(facts, keys)
        return seal_output(unsealed, self._job.context, to, write_chunk)

    def _cause(self, error: Exception) -> Exception:
        for table in self._tables.values():
            if table.failure is not None:
                return table.failure
        if isinstance(error, Mc2Error):
            return error
        if isinstance(error, MemoryError):
            return EngineError(
                "the job needs more memory than the enclave has",
                hint="read or release less, or ask the operator for a larger machine",
            )
        # The text of a foreign error may quote data. Its type does not.
        return EngineError(f"the engine failed with {type(error).__name__}", hint=_HINT)

    def _read(self, name: Digest) -> bytes:
        self._lease.check()  # E16
        try:
            return self._read_chunk(name)
        except Mc2Error:
            raise
        except Exception as error:
            raise DatasetError(
                f"the host did not give the chunk {name}: {type(error).__name__}",
                hint="let its owner upload the dataset again, then propose the job again",
            ) from error

    def _tell(self, text: str) -> None:
        self._lease.check()  # E16
        self._progress(text)
