"""The kernels of tree training against slow twins in numpy, on both instruction sets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.kernels import ISAS

from mc2 import _native

COUNTS = np.array([5, 64, 1, 255], np.uint32)
WORTH = np.array([16384, 1], np.int64)
NAN = float("nan")


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def slow_histograms(bins, planes, slots, slot_count):
    first = np.concatenate([[0], np.cumsum(COUNTS)]).astype(int)
    out = np.zeros((slot_count, first[-1], 2), np.int64)
    for pair, worth in enumerate(WORTH):
        for side in (0, 1):
            values = planes[2 * pair + side].astype(np.int64)
            for f, count in enumerate(COUNTS):
                for slot in range(slot_count):
                    here = (slots == slot) & (bins[f] < count)
                    np.add.at(
                        out[slot, :, side],
                        first[f] + bins[f][here].astype(int),
                        values[here] * worth,
                    )
    return out.reshape(-1)


def rows_of(rows, slot_count, seed=0):
    rng = np.random.default_rng(seed)
    bins = rng.integers(0, 256, (4, rows), dtype=np.uint8)
    planes = rng.integers(-64, 64, (4, rows)).astype(np.int8)
    planes[:, : rows // 2] = -64  # the greatest sums that lanes must hold
    bins[1, : rows // 2] = 7
    slots = rng.integers(0, 2 * slot_count, rows).astype(np.uint8)
    slots[slots >= slot_count] = 255
    return bins, planes, slots


@pytest.mark.parametrize("rows", [64, 192, 4096, 12_800])
@pytest.mark.parametrize("slots", [1, 3, 16])
def test_histograms_are_exact_however_rows_are_grouped(rows, slots):
    bins, planes, of = rows_of(rows, slots)
    expected = slow_histograms(bins, planes, of, slots)
    out = np.zeros_like(expected)
    _native.histograms(bins, COUNTS, planes, WORTH, of, slots, out)
    assert (out == expected).all()
    records = np.zeros((rows, 16), np.uint8)
    _native.fill_records(bins, records)
    _native.fill_digits(planes, WORTH, 4, records)
    for tile, capacity, block in ((rows, rows, 64), (1000, 1000, 128), (1 << 14, 1 << 14, 1024)):
        out[:], flags = 0, np.zeros(1, np.uint64)
        _native.grouped_histograms(
            records, COUNTS, WORTH, of, slots, tile, capacity, block, out, flags
        )
        assert flags[0] == 0
        assert (out == expected).all()


def test_a_tile_that_overflows_says_so():
    bins, _, of = rows_of(192, 2)
    records = np.zeros((192, 16), np.uint8)
    _native.fill_records(bins, records)
    out, flags = np.zeros(2 * 2 * 325, np.int64), np.zeros(1, np.uint64)
    most = max(int((of[i : i + 64] < 255).sum()) for i in range(0, 192, 64))
    for capacity, expected in ((most, 0), (most - 1, 4)):
        flags[:] = 0
        _native.grouped_histograms(records, COUNTS, WORTH, of, 2, 64, capacity, 64, out, flags)
        assert flags[0] == expected


@pytest.mark.parametrize("parents", [1, 5, 128])
def test_smaller_children_and_what_is_left(parents):
    rng = np.random.default_rng(parents)
    nodes = rng.integers(0, 2 * parents, 1280).astype(np.uint8)
    nodes[:300] = 0
    counts, smaller, slots = (
        np.zeros(2 * parents, np.uint64),
        np.zeros(parents, np.uint8),
        np.zeros(1280, np.uint8),
    )
    _native.count_nodes(nodes, counts)
    assert counts.tolist() == np.bincount(nodes, minlength=2 * parents).tolist()
    _native.choose_smaller(counts, smaller)
    assert smaller.tolist() == [int(counts[2 * p + 1] < counts[2 * p]) for p in range(parents)]
    _native.slots_of_smaller(nodes, smaller, slots)
    assert slots.tolist() == [n >> 1 if n & 1 == smaller[n >> 1] else 255 for n in nodes.tolist()]
    above, small = rng.integers(-9, 9, (2, parents, 3))
    out = np.zeros((parents, 2, 3), np.int64).reshape(-1)
    _native.unfold_histograms(above.reshape(-1), small.reshape(-1), smaller, out)
    for p, pair in enumerate(out.reshape(parents, 2, 3)):
        assert (pair[smaller[p]] == small[p]).all()
        assert (pair[1 - smaller[p]] == above[p] - small[p]).all()


def test_random_words_are_those_of_the_published_generator():
    """Known answers of Random123 for threefry2x32 with 20 rounds."""
    out = np.zeros(64, np.uint64)
    for key, counter, low, high in [
        (0, 0, 0x6B200159, 0x99BA4EFE),
        (2**64 - 1, 2**64 - 1, 0x1CB996FC, 0xBB002BE7),
        (0x0370734413198A2E, 0x85A308D3243F6A88, 0xC4923A9C, 0x483DF7A0),
    ]:
        _native.identity_words(np.full(64, counter, np.uint64), key, out)
        assert set(out.tolist()) == {high << 32 | low}


def test_digits_are_the_numbers():
    rng = np.random.default_rng(1)
    g = rng.standard_cauchy(640).astype(np.float32)
    h = rng.random(640).astype(np.float32)
    g[:64] = h[:64] = 0
    greatest, units = np.zeros(2), np.zeros(2)
    _native.greatest(g, h, greatest)
    assert greatest.tolist() == [np.abs(g).max(), h.max()]
    _native.gradient_units(greatest, units)
    fine = np.zeros((6, 640), np.int8)
    _native.fine_digits(g, h, greatest, fine)
    for side, values in enumerate((g, h)):
        number = sum(fine[side + 2 * k].astype(np.int64) * 128 ** (2 - k) for k in range(3))
        assert np.abs(number - values / units[side]).max() <= 0.501
    total = np.zeros((2, 640))
    names = np.arange(640, dtype=np.uint64)
    coarse = np.zeros((2, 640), np.int8)
    for key in range(400):
        _native.coarse_digits(g, h, greatest, names, key, coarse)
        assert not coarse[:, :64].any()
        assert np.abs(coarse).max() <= 63
        total += coarse
    wanted = np.array([g / (units[0] * 16384), h / (units[1] * 16384)])
    assert np.abs(total / 400 - wanted).max() < 0.13  # five standard deviations of a fair rounding


def test_samples_have_their_share_and_follow_identities():
    names = np.arange(64_000, dtype=np.uint64)
    g = np.ones(64_000, np.float32)
    h = g.copy()
    _native.sample_rows(names, 5, round(0.3 * 2**32), g, h)
    assert 0.29 < g.mean() < 0.31
    assert (g == h).all()
    mirrored = np.ones(64_000, np.float32)
    _native.sample_rows(names[::-1].copy(), 5, round(0.3 * 2**32), mirrored, mirrored.copy())
    assert (mirrored[::-1] == g).all()


MARGINS = st.lists(st.floats(-80, 80, width=32), min_size=64, max_size=64)


@settings(max_examples=20, deadline=None)
@given(MARGINS, st.integers(0, 2**32 - 1))
def test_gradients_and_losses_are_those_of_the_formulas(margins, seed):
    rng = np.random.default_rng(seed)
    m = np.array(margins, np.float32).reshape(1, 64)
    label = rng.integers(0, 2, 64).astype(np.float32)
    weight = rng.random(64).astype(np.float32)
    there = rng.integers(0, 2, 64).astype(np.uint8)
    g, h = np.zeros((2, 1, 64), np.float32)
    flags = np.zeros(1, np.uint64)
    wide, w = m[0].astype(float), weight * there
    p = 1 / (1 + np.exp(-wide))
    _native.gradients(0, 1.0, m, label, weight, there, g, h, flags)
    assert np.allclose(g[0], (p - label) * w, rtol=1e-6, atol=1e-12)
    assert np.allclose(h[0], np.maximum(p * (1 - p), 1e-16) * w, rtol=1e-5, atol=1e-15)
    _native.gradients(1, 1.0, m, label, weight, there, g, h, flags)
    assert np.allclose(g[0], (wide - label) * w, rtol=1e-6)
    _native.gradients(2, 0.7, m, label, weight, there, g, h, flags)
    mean = np.exp(np.minimum(wide, 60))
    assert np.allclose(g[0], (mean - label) * w, rtol=1e-6, atol=1e-9)
    assert np.allclose(h[0], mean * math.exp(0.7) * w, rtol=1e-6, atol=1e-28)
    loss, got = np.zeros((2, 64), np.float32)
    count = rng.integers(0, 50, 64).astype(np.float32)
    _native.losses(6, m, count, weight, there, loss, got)
    log_gamma = np.array([math.lgamma(c + 1) for c in count])
    assert np.allclose(loss, (mean - count * wide + log_gamma) * w, rtol=1e-6, atol=1e-5)
    assert (got == w.astype(np.float32)).all()
    _native.losses(0, m, label, weight, there, loss, got)
    assert np.allclose(loss, (np.logaddexp(0, wide) - label * wide) * w, rtol=1e-6, atol=1e-12)
    assert flags[0] == 0


VALUES = st.sampled_from([-2.5, -0.0, 0.0, 1.0, 1.0 + 1e-12, 3.5, 1e300, NAN, 7.0, -1e-320])


@given(st.lists(st.tuples(VALUES, st.integers(0, 1)), min_size=1, max_size=90))
def test_bins_count_the_cuts_below(rows):
    values = np.array([r[0] for r in rows])
    known = np.array([r[1] for r in rows], np.uint8)
    cuts = np.array([0.0, 1.0, 3.5, np.inf], np.float32)
    out, flags = np.zeros(len(rows), np.uint8), np.zeros(1, np.uint64)
    _native.encode_bins(values, known, cuts[:3], 7.0, out, flags)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    there = (known == 1) & ~np.isnan(single) & (single != 7)
    assert out.tolist() == np.where(there, np.searchsorted(cuts[:3], single, "right"), 255).tolist()
    assert flags[0] == (32 if (there & np.isinf(single)).any() else 0)


@given(
    st.lists(st.one_of(st.none(), st.integers(-6, 6)), min_size=1, max_size=120), st.integers(2, 9)
)
def test_cuts_are_all_values_or_quantiles(rows, bins):
    values = np.array([NAN if r is None else r for r in rows], float)
    words = np.zeros(len(rows), np.uint64)
    _native.sortable_floats(values, np.ones(len(rows), np.uint8), NAN, words)
    _native.sort([words], [1 << 63])
    cuts = np.zeros(bins - 1, np.float32)
    _native.choose_cuts(words, cuts)
    there = np.sort(values[~np.isnan(values)])
    distinct, starts = np.unique(there, return_index=True)
    if len(distinct) <= bins:
        expected = distinct[1:]
    else:
        quantile = starts * bins // len(there)
        chosen, last = [], 0
        for value, place in zip(distinct[1:], quantile[1:], strict=True):
            if place != last:
                chosen.append(value)
                last = place
        expected = np.array(chosen)
    assert cuts[: len(expected)].tolist() == expected.tolist()
    assert np.isinf(cuts[len(expected) :]).all()


@pytest.mark.parametrize("features", [3, 300])
def test_rows_walk_through_trees(features):
    rng = np.random.default_rng(features)
    trees, depth, rows = 4, 5, 192
    bins = rng.integers(0, 256, (features, rows), dtype=np.uint8)
    used = rng.integers(0, features, trees * 31).astype(np.uint32)
    thresholds = rng.integers(0, 256, trees * 31).astype(np.uint8)
    flags = rng.integers(0, 8, trees * 31).astype(np.uint8)
    leaves = rng.normal(size=trees * 32).astype(np.float32)
    classes = np.array([0, 1, 0, 1], np.uint32)
    margins = rng.normal(size=(2, rows)).astype(np.float32)
    expected, numbers = margins.copy(), np.zeros((trees, rows), np.uint8)
    for t in range(trees):
        for i in range(rows):
            node = 0
            while node < 31:
                at = 31 * t + node
                value = bins[used[at], i]
                left = value != thresholds[at] if flags[at] & 2 else value <= thresholds[at]
                if value == 255:
                    left = bool(flags[at] & 1)
                node = 2 * node + (1 if left else 2)
            numbers[t, i] = node - 31
            expected[classes[t], i] += leaves[32 * t + node - 31]
    _native.predict_trees(bins, depth, used, thresholds, flags, leaves, classes, margins)
    assert margins.tobytes() == expected.tobytes()
    found = np.zeros_like(numbers)
    _native.leaf_numbers(bins, depth, used, thresholds, flags, leaves, classes, found)
    assert (found == numbers).all()


def slow_split(histogram, total, first, counts, nullable, one_hot, rules):  # noqa: PLR0917 - a twin
    """The best gain, with its feature, bin and side of missing values."""
    shrink, alpha, gamma, least, _ = rules

    def score(g, h):
        size = max(abs(g) - alpha, 0)
        return size * size / (h + shrink) if h > 0 else 0.0

    best = (0.0, 0, 255, 1)
    for f, count in enumerate(counts):
        part = histogram[first[f] : first[f] + count].astype(float)
        missing = total - part.sum(0)
        for b, left_missing in candidates(count, nullable[f], one_hot[f]):
            side = total - part[b] - missing if one_hot[f] else part[: b + 1].sum(0)
            side = side + missing if left_missing else side
            other = total - side
            if min(side[1], other[1]) < least or min(side[1], other[1]) <= 0:
                continue
            gain = float(np.float32(score(*side) + score(*other) - score(*total)))
            if gain > max(best[0], 1e-6) and gain >= gamma:
                best = (gain, f, b, left_missing)
    return best


def candidates(count, nullable, one_hot):
    """Bins, and sides of missing values, in the order in which the first of equal gains wins."""
    if one_hot:
        return [(b, left) for b in range(count) for left in ((1, 0) if nullable else (1,))]
    forward, back = range(count), reversed(range(count if nullable else 0))
    return [*((b, 0) for b in forward), *((b, 1) for b in back)]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1.0, 0.0, 0.0, 1.0, 0.0), (0.0, 20.0, 5.0, 40.0, 0.0)]),
)
def test_splits_are_the_best_there_are(seed, rules):
    rng = np.random.default_rng(seed)
    counts, nodes = np.array([4, 9, 1], np.uint32), 3
    first = [0, 4, 13]
    sums = np.stack([rng.integers(-500, 500, (nodes, 14)), rng.integers(0, 300, (nodes, 14))], -1)
    missing = np.stack([rng.integers(-99, 99, nodes), rng.integers(0, 99, nodes)], -1)
    totals = sums[:, :4].sum(1) + missing
    sums[:, 4] += totals - sums[:, 4:13].sum(1) - rng.integers(0, 2, (nodes, 1))
    sums[:, 13] = totals
    one_hot, nullable = np.array([1, 0, 0], np.uint8), np.array([1, 1, 0], np.uint8)
    features, thresholds, flags = (
        np.zeros(nodes, np.uint32),
        np.zeros(nodes, np.uint8),
        np.zeros(nodes, np.uint8),
    )
    gains, children, bounds = np.zeros(nodes), np.zeros(4 * nodes, np.int64), np.zeros(4 * nodes)
    _native.find_splits(
        sums.reshape(-1),
        totals.reshape(-1),
        np.array([-1e300, 1e300] * nodes),
        np.ones((nodes, 3), np.uint8),
        counts,
        one_hot,
        nullable,
        np.zeros(3, np.int8),
        rules,
        np.ones(2),
        features,
        thresholds,
        flags,
        gains,
        children,
        bounds,
    )
    for n in range(nodes):
        gain, f, b, left = slow_split(
            sums[n], totals[n].astype(float), first, counts, nullable, one_hot, rules
        )
        assert gains[n] == pytest.approx(gain, rel=1e-9, abs=1e-9)
        assert bool(flags[n] & 4) == (gain > 0)
        assert (children.reshape(nodes, 2, 2)[n].sum(0) == totals[n]).all()
        if gain > 0:
            assert (features[n], thresholds[n], flags[n] & 1) == (f, b, left)


def refine(histogram, totals, found, *, shift, monotone=0, rules, bounds=1e300):
    """Look for splits found between cells once more, with the windows summed up slowly."""
    nodes, bins = len(totals), histogram.shape[1]
    features, thresholds, flags, gains, children, limits = found
    windows = np.zeros((nodes, 17, 2), np.int64)
    for n in range(nodes):
        base = max(0, (int(thresholds[n]) + 1 << shift) - 1 - 8)
        for b in range(bins):
            windows[n, min(max(b - base, 0), 16)] += histogram[n, b]
    _native.refine_splits(
        windows.reshape(-1),
        totals.reshape(-1),
        np.array([-bounds, bounds] * nodes),
        shift,
        bins,
        np.zeros(1, np.uint8),
        np.array([monotone], np.int8),
        rules,
        np.ones(2),
        features,
        thresholds,
        flags,
        gains,
        children,
        limits,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1.0, 0.0, 0.0, 1.0, 0.0), (0.0, 20.0, 5.0, 40.0, 0.0)]),
    st.sampled_from([(1, 33), (2, 97), (3, 255)]),
    st.sampled_from([0, 1, -1]),
)
def test_refined_splits_are_the_best_around_the_best_border_of_cells(seed, rules, cells, monotone):
    rng, (shift, bins), nodes = np.random.default_rng(seed), cells, 4
    histogram = np.stack(
        [rng.integers(-500, 500, (nodes, bins)), rng.integers(0, 300, (nodes, bins))], -1
    )
    totals = histogram.sum(1) + np.stack(
        [rng.integers(-99, 99, nodes), rng.integers(0, 99, nodes)], -1
    )
    histogram[3], totals[3] = 0, 0  # a node without rows is not split
    coarse = np.add.reduceat(histogram, np.arange(0, bins, 1 << shift), axis=1)
    counts, marks = np.array([coarse.shape[1]], np.uint32), np.ones(1, np.uint8)
    found = (
        np.zeros(nodes, np.uint32),
        np.zeros(nodes, np.uint8),
        np.zeros(nodes, np.uint8),
        np.zeros(nodes),
        np.zeros(4 * nodes, np.int64),
        np.zeros(4 * nodes),
    )
    _native.find_splits(
        np.ascontiguousarray(coarse).reshape(-1),
        totals.reshape(-1),
        np.array([-1e300, 1e300] * nodes),
        np.ones((nodes, 1), np.uint8),
        counts,
        np.zeros(1, np.uint8),
        marks,
        np.array([monotone], np.int8),
        rules,
        np.ones(2),
        *found,
    )
    before = [part.copy() for part in found]
    refine(histogram, totals, found, shift=shift, monotone=monotone, rules=rules)
    _, thresholds, flags, gains, children, _ = found
    assert not flags[3] & 4
    assert (gains >= before[3]).all()
    for n in range(nodes):
        assert bool(flags[n] & 4) == bool(before[2][n] & 4)
        if not flags[n] & 4:
            assert (thresholds[n], gains[n]) == (before[1][n], before[3][n])
            continue
        left = histogram[n, : int(thresholds[n]) + 1].sum(0)
        left = left + (totals[n] - histogram[n].sum(0)) * (flags[n] & 1)
        assert (children.reshape(nodes, 2, 2)[n] == [left, totals[n] - left]).all()
        if monotone:
            continue
        base = max(0, (int(before[1][n]) + 1 << shift) - 1 - 8)
        window = np.zeros((17, 2), np.int64)
        for b in range(bins):
            window[min(max(b - base, 0), 16)] += histogram[n, b]
        gain, _, place, side = slow_split(
            window, totals[n].astype(float), [0], [17], [1], [0], rules
        )
        assert gains[n] == pytest.approx(gain, rel=1e-9)
        expected = bins - 1 if place == 16 else base + place
        assert (thresholds[n], flags[n] & 1) == (expected, side)


def test_a_split_by_category_is_not_looked_for_again():
    found = (
        np.zeros(1, np.uint32),
        np.array([3], np.uint8),
        np.array([4 | 2 | 1], np.uint8),
        np.ones(1),
        np.arange(4, dtype=np.int64),
        np.zeros(4),
    )
    before = [part.copy() for part in found]
    rng = np.random.default_rng(1)
    histogram = np.stack([rng.integers(-500, 500, (1, 40)), rng.integers(1, 9, (1, 40))], -1)
    refine(
        histogram,
        histogram.sum(1),
        found,
        shift=1,
        rules=(1.0, 0.0, 0.0, 1.0, 0.0),
    )
    assert all((a == b).all() for a, b in zip(found, before, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.sampled_from([3, 300]))
def test_cells_and_places_in_windows(seed, shift, features):
    rng, rows, nodes = np.random.default_rng(seed), 128, 32
    bins = rng.integers(0, 256, (features, rows)).astype(np.uint8)
    cells = np.empty(rows, np.uint8)
    _native.cells_of_bins(bins[0], shift, cells)
    assert (cells == np.where(bins[0] == 255, 255, bins[0] >> shift)).all()
    used = rng.integers(0, features, nodes).astype(np.uint32)
    thresholds = rng.integers(0, 256 >> shift, nodes).astype(np.uint8)
    at = rng.integers(0, nodes, rows).astype(np.uint8)
    out, chosen = np.empty((2, rows), np.uint8)
    _native.window_places(bins, used, thresholds, shift, at, out, chosen)
    for row in range(rows):
        bin_ = int(bins[used[at[row]], row])
        assert chosen[row] == bin_
        base = max(0, (int(thresholds[at[row]]) + 1 << shift) - 1 - 8)
        assert out[row] == (255 if bin_ == 255 else min(max(bin_ - base, 0), 16))


def test_shapes_are_checked():
    column = np.zeros((1, 60), np.uint8)
    one = np.ones(1, np.uint32)
    with pytest.raises(ValueError, match="steps of 64"):
        _native.histograms(
            column,
            one,
            np.zeros((2, 60), np.int8),
            np.ones(1, np.int64),
            np.zeros(60, np.uint8),
            1,
            np.zeros(2, np.int64),
        )
    with pytest.raises(ValueError, match="254 cuts"):
        _native.encode_bins(
            np.zeros(1),
            np.ones(1, np.uint8),
            np.zeros(255, np.float32),
            NAN,
            np.zeros(1, np.uint8),
            np.zeros(1, np.uint64),
        )
