"""What parties do at home with results, and what a suspicious person would check."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import xgboost

from mc2.cli.demo.patients import IDENTIFIER, LABEL, Clinic

# As in study.py.
_PARAMETERS: Final = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "max_depth": 3,
    "eta": 0.3,
}
_ROUNDS: Final = 30
_SHORTEST: Final = 5  # text of a value that is too short occurs by chance


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good the joint model is, and whether it is what the pooled plaintext gives."""

    auc: Mapping[str, float]
    joint_auc: float
    pooled_auc: float
    same_trees: bool


def judge_model(raw: bytes, clinics: tuple[Clinic, ...]) -> Verdict:
    """Load the model with stock XGBoost and use it on the patients that the clinics kept back."""
    from sklearn.metrics import roc_auc_score

    joint = xgboost.Booster(model_file=bytearray(raw))
    pooled_rows = pa.concat_tables([c.study for c in clinics])
    pooled = xgboost.train(_PARAMETERS, _matrix(pooled_rows), _ROUNDS)
    test = pa.concat_tables([c.test for c in clinics])

    def auc(model: Any, rows: pa.Table) -> float:
        return float(roc_auc_score(rows[LABEL].to_numpy(), model.predict(_matrix(rows))))

    return Verdict(
        auc={c.name: auc(joint, c.test) for c in clinics},
        joint_auc=auc(joint, test),
        pooled_auc=auc(pooled, test),
        same_trees=_trees(joint) == _trees(pooled),
    )


def _matrix(rows: pa.Table) -> Any:
    features = [n for n in rows.column_names if n not in {IDENTIFIER, LABEL}]
    values = np.column_stack([rows[n].to_numpy() for n in features])
    return xgboost.DMatrix(values, rows[LABEL].to_numpy(), feature_names=features)


def _trees(model: Any) -> Any:
    learner = json.loads(bytes(model.save_raw("json")))["learner"]
    return learner["gradient_booster"]["model"]["trees"]


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search: how many values, in how many bytes, how often found."""

    values: int
    bytes: int
    hits: int


def search_plaintext(folder: Path, clinics: Iterable[Clinic], keys: Iterable[bytes]) -> Found:
    """Look for the clinics' values, as text and as doubles, and for keys in all files there."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    needles = {*_needles(clinics), *keys}
    size = hits = 0
    for path in files:
        raw = path.read_bytes()
        size += len(raw)
        hits += sum(needle in raw for needle in needles)
    return Found(len(needles), size, hits)


def _needles(clinics: Iterable[Clinic]) -> Iterator[bytes]:
    for clinic in clinics:
        for name in clinic.study.column_names:
            for value in clinic.study[name].to_pylist():
                if isinstance(value, float) and len(repr(value)) > _SHORTEST:
                    # Doubles of few digits end in zero bytes, which occur by chance.
                    yield struct.pack("<d", value)
                    yield f",{value!r},".encode()
                elif name == IDENTIFIER:
                    yield f'"{value}"'.encode()
