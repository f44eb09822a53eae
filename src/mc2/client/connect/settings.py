"""Settings of a Spark session: those that say how to compute are kept, meanings cannot be changed.

Sealed tables have one meaning: times in UTC, ANSI rules, names without regard to case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError

FIXED: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.repl.eagerEval.enabled": "false",
    "spark.sql.storeAssignmentPolicy": "ANSI",
    "spark.sql.crossJoin.enabled": "true",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
"""Settings with one value."""

_DEFAULTS: Final[Mapping[str, str]] = {
    "spark.sql.shuffle.partitions": "200",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.enabled": "true",
    "spark.sql.execution.arrow.pyspark.selfDestruct.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    "spark.sql.execution.pandas.structHandlingMode": "legacy",
    "spark.sql.execution.pandas.convertToArrowArraySafely": "false",
    "spark.sql.execution.pandas.inferPandasDictAsMap": "false",
    "spark.sql.execution.pyspark.binaryAsBytes": "true",
    "spark.sql.pyspark.inferNestedDictAsStruct.enabled": "false",
    "spark.sql.pyspark.legacy.inferArrayTypeFromFirstElement.enabled": "false",
    "spark.sql.pyspark.legacy.inferMapTypeFromFirstPair.enabled": "false",
    "spark.sql.repl.eagerEval.maxNumRows": "20",
    "spark.sql.repl.eagerEval.truncate": "20",
    "spark.sql.connect.serverStacktrace.enabled": "false",
    "spark.sql.pyspark.jvmStacktrace.enabled": "false",
    "spark.sql.session.localRelationBatchOfChunksSizeBytes": "16777216",
    "spark.sql.session.localRelationCacheThreshold": "67108864",
    "spark.sql.session.localRelationChunkSizeBytes": "16777216",
    "spark.sql.session.localRelationChunkSizeRows": "10000",
    "spark.sql.session.localRelationSizeLimit": "67108864",
}
_FREE: Final = (
    "spark.app.",
    "spark.default.parallelism",
    "spark.driver.",
    "spark.executor.",
    "spark.sql.adaptive.",
    "spark.sql.autoBroadcastJoinThreshold",
    "spark.sql.execution.arrow.",
    "spark.sql.execution.pandas.",
    "spark.sql.pyspark.",
    "spark.sql.repl.eagerEval.maxNumRows",
    "spark.sql.repl.eagerEval.truncate",
    "spark.sql.shuffle.partitions",
    "spark.ui.",
)
"""How Spark computes and shows; none of it changes a row."""


class Settings:
    """The settings of one session."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Keep a setting. Raises: PlanError for one that would change what rows are."""
        if name in FIXED:
            if value.casefold() != FIXED[name].casefold():
                raise PlanError(
                    f"{name} is {FIXED[name]} over sealed tables and cannot be {value!r}",
                    hint="docs/howto/pyspark.md says which meanings are fixed",
                )
            return
        if not name.startswith(_FREE):
            raise PlanError(
                f"the setting {name} is not supported over sealed tables",
                hint="docs/howto/pyspark.md lists those that are",
            )
        self._own[name] = value

    def unset(self, name: str) -> None:
        """Forget a setting."""
        self._own.pop(name, None)

    def get(self, name: str) -> str | None:
        """A setting's value; None if there is none."""
        return self._own.get(name) or FIXED.get(name) or _DEFAULTS.get(name)

    def all(self, prefix: str) -> dict[str, str]:
        """All settings that begin so."""
        merged = {**_DEFAULTS, **FIXED, **self._own}
        return {k: v for k, v in sorted(merged.items()) if k.startswith(prefix)}

    @staticmethod
    def can_change(name: str) -> bool:
        """Whether `set` takes it."""
        return name not in FIXED and name.startswith(_FREE)
