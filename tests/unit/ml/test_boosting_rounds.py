"""Training step by step over several workers: the same model as one, by messages of fixed length."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.boosting import KEY, column, features_of
from tests.unit.ml.test_boosting import OBJECTIVES, asked, made

from mc2.errors import EngineError
from mc2.ml.boosted_trees import release
from mc2.ml.boosting import Leader, Training, train
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_partition import Partition
from mc2.ml.boosting_rounds import Form, Kind, Step, packed, summed, unpacked
from mc2.ml.secret_matrix import bin_rows, choose_cuts
from mc2.operators.handles import SecretMarks
from mc2.operators.run import Run


class World:
    """A leader, and workers with a run of their own; every message passes as bytes."""

    def __init__(self, x, y, settings, pieces, rounds=3, *, evaluate=True, **training):
        self.run = Run(record=True)
        self.training = Training(rounds, **training)
        self.parameters = BoostingParameters.read(settings, [f.name for f in features_of(x)])
        self.features = features_of(x)
        whole = {f.name: [column(x[:, i])] for i, f in enumerate(self.features)}
        self.cuts = choose_cuts(self.run, self.features, whole, self.parameters.max_bin)
        self.x, self.y, self.pieces, self.evaluate = x, y, pieces, evaluate
        self.workers = [self.worker(place) for place in range(len(pieces))]
        names = ("train",) if evaluate else ()
        self.leader = Leader(self.run, self.cuts, self.parameters, self.training, KEY, names)
        self.log, self.lengths = [], []

    def matrix(self, run, rows):
        return bin_rows(
            run,
            self.cuts,
            {f.name: column(self.x[rows, i]) for i, f in enumerate(self.features)},
            SecretMarks(np.ones(len(rows), np.uint8)),
            label=column(self.y[rows]),
            identity=rows.astype(np.uint64),
        )

    def worker(self, place):
        run = Run(record=True)
        matrices = [self.matrix(run, self.pieces[place])]
        found = Partition(
            run,
            matrices,
            self.parameters,
            KEY,
            all_rows=len(self.x),
            first=place,
            evaluations={"train": matrices} if self.evaluate else None,
        )
        return run, found

    def step(self, order=None):
        leader, step = self.leader, self.leader.step
        told = packed(leader.form.told(step), leader.told)
        self.lengths.append((step, len(told)))
        answers = []
        for place in order or range(len(self.workers)):
            _, worker = self.workers[place]
            found = worker.answer(step, unpacked(leader.form.told(step), told))
            raw = packed(leader.form.answered(step), found)
            self.lengths.append((step, len(raw)))
            answers.append(unpacked(leader.form.answered(step), raw))
        self.log.append((step, unpacked(leader.form.told(step), told)))
        leader.take(answers)

    def play(self, order=None):
        while self.leader.step is not None:
            self.step(order)
        return digest(self.run, self.leader.trained())

    def alone(self):
        run = Run()
        matrix = self.matrix(run, np.arange(len(self.x)))
        sets = {"train": [matrix]} if self.evaluate else None
        arguments = (run, [matrix], self.parameters, self.training, KEY)
        return digest(run, train(*arguments, evaluations=sets))


def digest(run, trained):
    text = json.dumps([release(run, trained.model), trained.history, trained.best_round])
    return hashlib.sha256(text.encode()).hexdigest()


@settings(max_examples=16, deadline=None)
@given(st.data(), st.sampled_from(OBJECTIVES), st.integers(2, 300), st.integers(0, 2**32 - 1))
def test_any_partition_of_rows_gives_the_model_of_one_enclave(data, objective, rows, seed):
    x, y = made(rows, objective, seed)
    edges = data.draw(st.lists(st.integers(1, rows - 1), max_size=3, unique=True))
    mixed = np.random.default_rng(seed).permutation(rows)
    pieces = np.split(mixed, sorted(edges))
    more = data.draw(
        st.sampled_from([{}, {"subsample": 0.6}, {"colsample_bynode": 0.5}, {"base_score": 0.3}])
    )
    how = data.draw(st.sampled_from([{}, {"model": "public"}, {"early_stopping_rounds": 1}]))
    parameters = asked(objective, max_depth=3, max_bin=16, **more)
    world = World(x, y, parameters, pieces, **how)
    order = data.draw(st.permutations(range(len(pieces))))
    assert world.play(order) == world.alone()


def test_grouped_and_coarse_rows_of_uneven_workers_give_the_model_of_one():
    x, y = made(140_000, "binary:logistic")
    pieces = np.split(np.arange(140_000), [9_000, 60_000])
    parameters = asked("binary:logistic", max_depth=4, max_bin=16, subsample=0.8)
    world = World(x, y, parameters, pieces, rounds=2)
    assert world.play() == world.alone()


@pytest.mark.parametrize("model", ["public", "secret"])
def test_messages_and_kernel_calls_depend_on_shapes_only(model):
    seen = []
    for seed in range(3):
        x, y = made(400, "binary:logistic", seed)
        if seed == 2:
            x[:], y[:] = 1.0, 0.0
        pieces = np.split(np.arange(400), [150])
        parameters = asked("binary:logistic", max_depth=4, max_bin=16)
        world = World(x, y, parameters, pieces, model=model)
        world.play()
        calls = [world.run.calls, *(run.calls for run, _ in world.workers)]
        shown = [run.declassified for run, _ in world.workers]
        seen.append((world.lengths, calls, shown))
    # Cuts of equal number: the shape of histograms is that of declared bins.
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][2] == [[], []]  # workers make nothing public at all


def test_a_public_model_shows_its_features_in_the_step():
    x, y = made(300, "binary:logistic", features=40)
    pieces = np.split(np.arange(300), [100])
    parameters = asked("binary:logistic", max_depth=2, max_bin=8)
    shown = World(x, y, parameters, pieces, model="public")
    secret = World(x, y, parameters, pieces)
    assert shown.play() == secret.play()
    assert any(step.shown for step, _ in shown.log)
    assert not any(step.shown for step, _ in secret.log)


def test_a_training_whose_rounds_may_begin_again_shows_no_split():
    """A round that a host ends would leave splits in the open that no model has."""
    x, y = made(300, "binary:logistic", features=40)
    pieces = np.split(np.arange(300), [100])
    parameters = asked("binary:logistic", max_depth=2, max_bin=8)
    world = World(x, y, parameters, pieces, model="public", resumable=True)
    world.play()
    assert not any(step.shown for step, _ in world.log)
    assert not [said for said in world.run.declassified if "splits" in said]


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
def test_a_worker_that_is_lost_in_any_step_is_replaced(objective):
    x, y = made(120, objective)
    parameters = asked(objective, max_depth=2, max_bin=8, subsample=0.7)
    pieces = np.split(np.arange(120), [50])
    expected = World(x, y, parameters, pieces, rounds=2).play()
    steps = World(x, y, parameters, pieces, rounds=2)
    steps.play()
    for lost in range(len(steps.log)):
        world = World(x, y, parameters, pieces, rounds=2)
        for _ in range(lost):
            world.step()
        world.workers[1] = world.worker(1)
        world.workers[1][1].catch_up(world.log)
        assert world.play() == expected, steps.log[lost][0]


def test_a_label_that_one_worker_finds_unfit_fails_the_training_of_all():
    x, y = made(100, "binary:logistic")
    y[90] = 2
    world = World(x, y, asked("binary:logistic"), np.split(np.arange(100), [50]), rounds=1)
    world.play()
    with pytest.raises(EngineError, match="declared domain"):
        world.run.finish()


def test_a_missing_partition_changes_the_model_so_nothing_may_be_left_out():
    """What the check of complete answers is for: a sum without one of them is another model."""
    x, y = made(200, "reg:squarederror")
    pieces = np.split(np.arange(200), [50])
    whole = World(x, y, asked("reg:squarederror"), pieces)
    part = World(x, y, asked("reg:squarederror"), pieces)
    part.workers.pop()
    assert whole.play() != part.play()


def test_messages_of_another_shape_are_refused():
    form = Form(bins=10, classes=1, depth=2, metrics=1)
    shape = form.answered(Step(Kind.LEVEL, level=1))
    assert shape == (("<i8", 40),)
    (array,) = unpacked(shape, packed(shape, (np.arange(40),)))
    assert array.tolist() == list(range(40))
    for wrong in (np.arange(39), np.arange(40, dtype=np.int32)):
        with pytest.raises(EngineError, match="shape"):
            packed(shape, (wrong,))
    for raw in (b"", bytes(319), bytes(321)):
        with pytest.raises(EngineError, match="length"):
            unpacked(shape, raw)


def test_sums_do_not_depend_on_the_order_of_answers():
    rng = np.random.default_rng(1)
    answers = [
        (
            rng.integers(-(2**40), 2**40, 6),
            np.abs(rng.normal(size=4)).astype(np.float32).astype(np.float64),
            rng.integers(0, 64, 1).astype(np.uint64),
        )
        for _ in range(4)
    ]
    whole, real, flags = summed(Run(), answers)
    assert (whole == sum(a[0] for a in answers)).all()
    assert (real == np.max([a[1] for a in answers], axis=0)).all()
    assert flags[0] == np.bitwise_or.reduce([a[2][0] for a in answers])
    again = summed(Run(), answers[::-1])
    assert all(a.tobytes() == b.tobytes() for a, b in zip((whole, real, flags), again, strict=True))


def test_a_training_takes_answers_only_while_it_asks():
    x, y = made(40, "binary:logistic")
    world = World(x, y, asked("binary:logistic", max_depth=1), [np.arange(40)], rounds=1)
    with pytest.raises(EngineError, match="not over"):
        world.leader.trained()
    with pytest.raises(EngineError, match="step by step"):
        world.leader.take([])
    world.play()
    with pytest.raises(EngineError, match="step by step"):
        world.leader.take([()])
