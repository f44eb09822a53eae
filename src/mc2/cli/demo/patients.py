"""The demonstration's data: 569 real patients, divided between two clinics.

Breast Cancer Wisconsin (Diagnostic), Wolberg, Street and Mangasarian, 1995, as scikit-learn ships
it. Each clinic keeps every fourth patient back, to judge the model at home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from mc2.errors import UsageError

CLINICS: Final = ("clinic_a", "clinic_b")
LABEL: Final = "malignant"
IDENTIFIER: Final = "patient"
_KEPT_BACK: Final = 4


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic's patients: those it brings to the study, and those it keeps back as a test."""

    name: str
    study: pa.Table
    test: pa.Table


def load_clinics() -> tuple[Clinic, Clinic]:
    """Divide the patients between the two clinics, always in the same way.

    Raises: UsageError if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError:
        raise UsageError(
            "the demonstration takes its patients from scikit-learn, which is not installed",
            hint="pip install 'mc2[demo]'",
        ) from None
    source = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in source.feature_names]
    columns: dict[str, pa.Array] = {
        IDENTIFIER: pa.array(range(100_000, 100_000 + len(source.target)), pa.int64())
    }
    columns |= {name: pa.array(source.data[:, i]) for i, name in enumerate(names)}
    # The source says 0 for malignant and 1 for benign.
    columns[LABEL] = pa.array([1 - int(t) for t in source.target], pa.int64())
    patients = pa.table(columns)
    first, second = (patients.take(list(range(n, len(patients), 2))) for n in range(2))
    return _clinic(CLINICS[0], first), _clinic(CLINICS[1], second)


def _clinic(name: str, patients: pa.Table) -> Clinic:
    test = [i for i in range(len(patients)) if i % _KEPT_BACK == 0]
    study = [i for i in range(len(patients)) if i % _KEPT_BACK]
    return Clinic(name, patients.take(study), patients.take(test))
