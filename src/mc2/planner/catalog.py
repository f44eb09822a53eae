"""What a script may refer to: the members of a contract, and their datasets. No data, ever.

Every owner compiles against a catalog made of the same signed contract and manifests, so all get
the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from mc2.crypto.digest import Digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.contract import ROLES, Contract
from mc2.formats.facts import TableFacts
from mc2.formats.fields import Fields, check_dataset_name, check_name, text_item
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import HOSTED, PLACEMENTS, SIZES, Manifest
from mc2.formats.result import KEPT, Result
from mc2.formats.schema import Schema
from mc2.plan.kept_models import ModelFacts
from mc2.plan.plan import PlanInput


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTable:
    """One version of a sealed table, as its manifest describes it.

    `allowed` are the columns that its owner's usage policy lets plans read, or None for all. Of a
    result that is kept sealed, `kept` are those who keep it, and `manifest` is its digest; of a
    model, `model` are its facts.
    """

    manifest: Digest
    owner: str
    schema: Schema
    row_bound: int
    sizes: str = "exact"
    facts: TableFacts = field(default_factory=TableFacts)
    allowed: tuple[str, ...] | None = None
    kept: tuple[str, ...] | None = None
    model: ModelFacts | None = None
    placement: str = HOSTED

    def as_input(self, dataset: str) -> PlanInput:
        """The table as a plan names it."""
        return PlanInput(
            dataset=dataset,
            owner=self.owner,
            manifest=self.manifest,
            schema=self.schema,
            row_bound=self.row_bound,
            sizes=self.sizes,
            placement=self.placement,
            facts=self.facts,
            kept=self.kept,
            model=self.model,
        )

    @classmethod
    def of_kept(cls, result: Result) -> Self:
        """A kept result. Raises: FormatError if it is none, PlanError if its facts are none."""
        if result.kept is None or result.columns is None:
            raise FormatError(f"{result.output} is not kept")
        model = result.kept.model
        return cls(
            manifest=result.digest,
            owner=KEPT,
            schema=result.columns,
            row_bound=result.row_bound,
            sizes=result.sizes,
            facts=result.facts,
            kept=tuple(sorted(result.kept.shares)),
            model=None if model is None else ModelFacts.read(model),
        )

    @property
    def cheapest(self) -> str:
        """The column that is read where only the number of rows counts: allowed, and narrow."""
        columns = [
            c for c in self.schema.columns if self.allowed is None or c.name in self.allowed
        ] or self.schema.columns
        return next((c for c in columns if not c.type.has_width), columns[0]).name

    def json(self) -> Json:
        """The table as canonical JSON has it."""
        return {
            "manifest": self.manifest,
            "owner": self.owner,
            "schema": self.schema.json(),
            "row_bound": self.row_bound,
            "sizes": self.sizes,
            "placement": self.placement,
            "facts": self.facts.json(),
            "allowed": None if self.allowed is None else list(self.allowed),
            "kept": None if self.kept is None else list(self.kept),
            "model": None if self.model is None else self.model.json(),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one table. Raises: FormatError."""
        fields = Fields(value, "a table of a catalog")
        model = fields.value("model")
        table = cls(
            manifest=fields.digest("manifest"),
            owner=fields.name("owner"),
            schema=Schema.read(fields.value("schema")),
            row_bound=fields.integer("row_bound", 0, LIMITS.row_bound),
            sizes=fields.choice("sizes", SIZES),
            placement=fields.choice("placement", PLACEMENTS),
            facts=TableFacts.read(fields.value("facts")),
            allowed=fields.optional("allowed", lambda name: _read_names(fields, name)),
            kept=fields.optional("kept", lambda name: _read_names(fields, name)),
            model=None if model is None else ModelFacts.read(model),
        )
        fields.done()
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The contract by digest and name, its members with their roles, and datasets by name."""

    TYPE: ClassVar[str] = "mc2/catalog/v1"

    contract: Digest
    name: str
    members: Mapping[str, tuple[str, ...]]
    datasets: Mapping[str, CatalogTable]

    @classmethod
    def of(
        cls,
        contract: Contract,
        manifests: Mapping[Digest, Manifest],
        kept: Mapping[str, Result] | None = None,
    ) -> Self:
        """The catalog of a contract, of manifests by digest, and of what is kept, by name.

        Of several versions of one dataset the newest counts; what a party brings that is no
        owner in the contract is left out.
        """
        owners = {m.name for m in contract.members if "owner" in m.roles}
        newest: dict[str, tuple[int, CatalogTable]] = {}
        for name, manifest in sorted(manifests.items()):
            before = newest.get(manifest.dataset)
            if manifest.owner in owners and (before is None or before[0] < manifest.version):
                table = CatalogTable(
                    manifest=name,
                    owner=manifest.owner,
                    schema=manifest.schema,
                    row_bound=manifest.row_bound,
                    sizes=manifest.sizes,
                    placement=manifest.placement,
                    facts=manifest.facts,
                    allowed=manifest.policy.columns,
                )
                newest[manifest.dataset] = (manifest.version, table)
        return cls(
            contract=contract.digest,
            name=contract.name,
            members={m.name: m.roles for m in contract.members},
            datasets={
                **{name: table for name, (_, table) in sorted(newest.items())},
                **{name: CatalogTable.of_kept(r) for name, r in sorted((kept or {}).items())},
            },
        )

    def json(self) -> Json:
        """The catalog as canonical JSON has it."""
        return {
            "type": self.TYPE,
            "contract": self.contract,
            "name": self.name,
            "members": {name: list(roles) for name, roles in self.members.items()},
            "datasets": {name: table.json() for name, table in self.datasets.items()},
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded catalog. Raises: FormatError."""
        fields = Fields(value, "a catalog")
        fields.type(cls.TYPE)
        catalog = cls(
            contract=fields.digest("contract"),
            name=fields.name("name"),
            members=_read_members(fields.value("members")),
            datasets=_read_datasets(fields.value("datasets")),
        )
        fields.done()
        return catalog


def _read_names(fields: Fields, name: str) -> tuple[str, ...]:
    return fields.items(name, LIMITS.columns, text_item("a column", lambda text, _: text))


def _read_members(value: Json) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or len(value) > LIMITS.members:
        raise FormatError("the members of a catalog are not an object")
    fields = Fields(value, "the members of a catalog")
    read_role = text_item("a role", _check_role)
    return {
        check_name(name, "a member"): fields.items(name, len(ROLES), read_role)
        for name in sorted(value)
    }


def _check_role(text: str, what: str) -> str:
    if text not in ROLES:
        raise FormatError(f"{what} is none of {', '.join(ROLES)}")
    return text


def _read_datasets(value: Json) -> dict[str, CatalogTable]:
    if not isinstance(value, Mapping):
        raise FormatError("the datasets of a catalog are not an object")
    return {
        check_dataset_name(name, "a dataset"): CatalogTable.read(value[name])
        for name in sorted(value)
    }
