"""Members of a training as processes of their own, which get sealed messages over pipes."""

from __future__ import annotations

import multiprocessing
import os
import signal

import numpy as np

from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.epoch import Epoch, Member
from mc2.enclave.training_session import MemberSide
from mc2.formats.release import JobContext
from mc2.formats.schema import DataType
from mc2.formats.training_message import TrainingName
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_partition import Partition
from mc2.ml.boosting_rounds import Form
from mc2.ml.secret_matrix import Feature, bin_rows, public_cuts
from mc2.operators.handles import Layout, SecretColumn, SecretMarks
from mc2.operators.run import Run

KEY = bytes(range(32))
_ZERO = Digest("sha256:" + "0" * 64)
CONTEXT = JobContext(contract=_ZERO, policy=_ZERO, plan=_ZERO, job_id="00" * 16, attempt=1)


def epoch(number=0):
    """One member's view of an epoch of eight."""
    keys = [SigningKey(i.to_bytes(32, "big")) for i in range(8)]
    members = tuple(Member(i, digest(bytes([i])), k.public) for i, k in enumerate(keys))
    return Epoch(CONTEXT, 1, members, DataKey(bytes([7]) * 32), number, keys[number])


def name_of(pieces):
    """The training over these partitions."""
    places = tuple(len(p) for p in pieces)
    return TrainingName(context=CONTEXT, epoch=1, node=0, places=places)


def cuts_of(x, bins):
    """Public cuts: the same for all members, without a look at rows together."""
    edges = np.linspace(-2, 2, bins - 1).astype(np.float32).tolist()
    features = [Feature(f"f{i}") for i in range(x.shape[1])]
    return public_cuts(features, {f.name: edges for f in features})


def matrix_of(run, cuts, x, y, rows):
    """Rows by their place in all of them."""
    known = np.ones(len(rows), np.uint8)
    double = Layout(DataType("double"))

    def column(values):
        words = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64).reshape(-1, 1)
        return SecretColumn(double, words, known.copy())

    columns = {f.name: column(x[rows, i]) for i, f in enumerate(cuts.features)}
    marks = SecretMarks(known.copy())
    identity = rows.astype(np.uint64)
    return bin_rows(run, cuts, columns, marks, label=column(y[rows]), identity=identity)


def _work(pipe, place, pieces, made, settings, bins):
    """Run a member: what comes is a message, or a list to catch up on; None is the end."""
    x, y = made
    run, cuts = Run(), cuts_of(x, bins)
    matrix = matrix_of(run, cuts, x, y, pieces[place])
    parameters = BoostingParameters.read(settings, [f.name for f in cuts.features])
    rows = Partition(run, [matrix], parameters, KEY, all_rows=len(x), first=place)
    form = Form.of(parameters, int(cuts.counts.sum()), 0)
    side = MemberSide(epoch(place), name_of(pieces), place, form, rows)
    while (got := pipe.recv()) is not None:
        if isinstance(got, list):
            side.catch_up(got)
        else:
            pipe.send(side.answer(got))


class Worker:
    """A member in a process of its own."""

    def __init__(self, *arguments):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self):
        """End it as a machine that fails would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.pipe.close()

    def stop(self):
        """Let it end."""
        self.pipe.send(None)
        self.process.join()
        self.pipe.close()
