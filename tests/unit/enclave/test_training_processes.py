"""A training over processes of their own, one of which is killed while it works."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.support.training_workers import KEY, Worker, cuts_of, epoch, matrix_of, name_of

from mc2.enclave.training_session import LeadingSide
from mc2.ml.boosted_trees import release
from mc2.ml.boosting import Leader, Training, train
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.operators.run import Run

SETTINGS = {"objective": "binary:logistic", "max_depth": 3, "subsample": 0.8, "max_bin": 16}
ROUNDS = 2


def test_processes_train_the_model_of_one_though_one_is_killed():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 4))
    y = (x[:, 0] + x[:, 1] ** 2 + rng.normal(size=600) > 0.5) * 1.0
    pieces = np.split(rng.permutation(600), [200])
    parameters = BoostingParameters.read(SETTINGS, [f"f{i}" for i in range(4)])

    run, cuts = Run(), cuts_of(x, 16)
    trainer = Leader(run, cuts, parameters, Training(ROUNDS), KEY)
    side = LeadingSide(epoch(), name_of(pieces), trainer)
    workers = [Worker(i, pieces, (x, y), SETTINGS, 16) for i in range(2)]
    killed = False
    while not side.over:
        for worker in workers:
            worker.pipe.send(side.told)
        if len(side.messages) == 11 and not killed:
            killed = True  # in the second round: its answer to this message is lost
            workers[1].kill()
            with pytest.raises(OSError, match="closed"):
                workers[1].pipe.recv()
            workers[1] = Worker(1, pieces, (x, y), SETTINGS, 16)
            workers[1].pipe.send(side.messages[:-1])
            workers[1].pipe.send(side.told)
        side.take([worker.pipe.recv() for worker in workers])
    for worker in workers:
        worker.stop()
    assert killed

    alone = Run()
    whole = matrix_of(alone, cuts, x, y, np.arange(600))
    expected = train(alone, [whole], parameters, Training(ROUNDS), KEY)
    run.finish()
    found = release(run, trainer.trained().model)
    assert json.dumps(found) == json.dumps(release(alone, expected.model))
