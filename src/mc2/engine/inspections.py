"""What stands in a model, as tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from mc2.formats.arrow import arrow_schema
from mc2.plan.infer_boosters import INSPECTED
from mc2.plan.models import Inspect

Row = tuple[Any, ...]


def inspect(booster: Any, operation: Inspect) -> pa.Table:
    """The table of what is asked of a model. What XGBoost raises must not leave the engine."""
    match operation.what:
        case "importance":
            rows = [r for kind in operation.kinds for r in _importance(booster, kind)]
        case "trees":
            rows = _trees(booster)
        case "dump":
            texts = booster.get_dump(with_stats=operation.stats, dump_format=operation.form)
            rows = list(enumerate(texts))
        case "attributes":
            rows = sorted(booster.attributes().items())
        case "splits":
            counts = Counter((t[3], t[4]) for t in _trees(booster) if t[4] is not None)
            rows = [(feature, split, count) for (feature, split), count in sorted(counts.items())]
        case _:
            rows = [_rounds(booster)]
    schema = arrow_schema(INSPECTED[operation.what])
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def _importance(booster: Any, kind: str) -> Iterator[Row]:
    for feature, score in sorted(booster.get_score(importance_type=kind).items()):
        scores = score if isinstance(score, list) else [score]
        yield from ((kind, feature, i, float(s)) for i, s in enumerate(scores))


def _rounds(booster: Any) -> Row:
    best, score = booster.attr("best_iteration"), booster.attr("best_score")
    return (
        booster.num_boosted_rounds(),
        booster.num_features(),
        None if best is None else int(best),
        None if score is None else float(score),
    )


def _trees(booster: Any) -> list[Row]:
    """The nodes of all trees, as stock XGBoost's `trees_to_dataframe` lists them."""
    found = []
    dumped = booster.get_dump(with_stats=True, dump_format="json")
    for number, text in enumerate(dumped):
        found += [_node(number, node) for node in _walk(json.loads(text))]
    return sorted(found, key=lambda row: row[:2])


def _walk(node: Any) -> Iterator[Any]:
    waiting = [node]  # a tree may be deeper than Python's stack
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(found.get("children", ()))


def _node(tree: int, node: Any) -> Row:
    place = node["nodeid"]
    name = f"{tree}-{place}"
    if "leaf" in node:
        nothing = (None,) * 4
        return (tree, place, name, "Leaf", *nothing, node["leaf"], node["cover"], None)
    split = node["split_condition"]
    categories = [str(c) for c in split] if isinstance(split, list) else None
    ways = (f"{tree}-{node[way]}" for way in ("yes", "no", "missing"))
    threshold = None if categories is not None else float(split)
    gain, cover = node["gain"], node["cover"]
    return (tree, place, name, node["split"], threshold, *ways, gain, cover, categories)
