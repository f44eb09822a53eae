"""A party's own tables on their way to a coordinator, and those that others brought."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from mc2.client.contracts import verified_contract
from mc2.client.desk import Desk
from mc2.client.home import check_not_older
from mc2.client.outbox import Outbox
from mc2.client.progress import Progress, no_progress
from mc2.client.seal import NewVersion, OwnerKeys, Sealed, SealOptions
from mc2.client.sources.columns import column_text
from mc2.client.sources.open import open_source
from mc2.client.sources.source import RowSource
from mc2.crypto.digest import Digest
from mc2.crypto.signatures import VerifyKey
from mc2.errors import ContractError, CoordinatorError, DatasetError, FormatError, UsageError
from mc2.formats.contract import Contract
from mc2.formats.fields import check_dataset_name, check_name
from mc2.formats.manifest import Manifest, UsagePolicy
from mc2.formats.statement import Verified
from mc2.formats.status import DatasetEntry

_ROLLED_BACK: Final = "the coordinator holds it back or lost it: ask its operator"


def dataset_name(party: str, name: str) -> str:
    """The full name of a table of one's own: `visits` is `clinic_a.visits`.

    Raises: FormatError, UsageError for a name of someone else's.
    """
    if "." not in name:
        # A table's name is often a file's, so the hint says how to choose another.
        try:
            name = f"{party}.{check_name(name, repr(name))}"
        except FormatError as error:
            raise FormatError(str(error), hint=f"{error.hint}: mc2 upload FILE --as NAME") from None
    full = check_dataset_name(name, "the dataset")
    if not full.startswith(f"{party}."):
        raise UsageError(
            f"{full} would be a dataset of another party", hint=f"yours are called {party}.…"
        )
    return full


def upload(
    desk: Desk,
    table: Any,
    name: str,
    *,
    policy: UsagePolicy | None = None,
    options: SealOptions | None = None,
    progress: Progress = no_progress,
    **source: Any,
) -> Sealed:
    """Seal a table here and publish it as the next version of a dataset.

    With `options.append` the version has the rows of the one before it, and these after them.
    Columns, sizes and policy are then those of that version, unless another policy is given.

    `table` is a file's path, a frame or an Arrow table; `source` goes to `open_source`. If the
    upload breaks off, `resume_uploads` ends it without sealing again.

    Raises: UsageError, DatasetError, CoordinatorError.
    """
    dataset = dataset_name(desk.name, name)
    version = _next_version(desk, dataset, policy)
    append = options is not None and options.append
    if append:
        version = _appending(desk, version, policy)
        source["columns"] = _same_columns(version, source.get("columns", ()))
    rows: RowSource = open_source(table, **source)
    outbox = Outbox(desk.home.outbox)
    for parcel in outbox.parcels():
        if parcel.manifest.dataset == dataset:
            if append:  # its rows are not yet among those that these would follow
                raise DatasetError(
                    f"an upload of {dataset} broke off",
                    hint="finish it first: mc2 upload --resume",
                )
            parcel.discard()  # a newer table takes its place
    owner = OwnerKeys(secret=desk.identity.master, signer=desk.identity.signing)
    sealed = outbox.seal(rows, version, owner, options, progress)
    outbox.parcel(dataset, version.version).publish(desk.coordinator, progress)
    _remember(desk, sealed.envelope)
    return sealed


def resume_uploads(desk: Desk, progress: Progress = no_progress) -> list[Manifest]:
    """End all uploads that broke off. Raises: CoordinatorError, DatasetError."""
    ended = []
    for parcel in Outbox(desk.home.outbox).parcels():
        parcel.publish(desk.coordinator, progress)
        _remember(desk, parcel.envelope)
        ended.append(parcel.manifest)
    return ended


def _remember(desk: Desk, envelope: bytes) -> None:
    manifest = Manifest.verify(envelope, _own_key(desk))
    desk.home.see_manifests({manifest.value.dataset: manifest})


def _appending(desk: Desk, version: NewVersion, policy: UsagePolicy | None) -> NewVersion:
    """The same version, after the newest one, which must be the newest that was ever seen."""
    newest = _newest_own(desk, version.dataset)
    seen = desk.home.versions().get(version.dataset)
    if newest is None:
        raise UsageError(f"there is no {version.dataset} to append to", hint="leave out --append")
    if newest.version + 1 != version.version or (
        seen is not None and seen.version == newest.version and seen.manifest != newest.digest
    ):
        raise DatasetError(
            f"the coordinator does not have the newest version of {version.dataset}",
            hint=f"finish its upload (mc2 upload --resume); otherwise {_ROLLED_BACK}",
        )
    return replace(version, after=newest, policy=policy or newest.policy)


def _same_columns(version: NewVersion, declared: Iterable[str]) -> list[str]:
    if tuple(declared):
        raise UsageError("the columns of appended rows are those of the table", hint="no --column")
    if version.after is None:
        return []
    return [column_text(column) for column in version.after.schema.columns]


def _next_version(desk: Desk, dataset: str, policy: UsagePolicy | None) -> NewVersion:
    """One more than the newest that is known at home or proved by the coordinator."""
    seen = desk.home.versions().get(dataset)
    newest = _newest_own(desk, dataset)
    known = (0 if seen is None else seen.version, 0 if newest is None else newest.version)
    return NewVersion(
        dataset=dataset,
        version=max(known) + 1,
        created=desk.clock(),
        policy=policy or UsagePolicy(),
        dataset_id="" if newest is None else newest.dataset_id,
    )


def _newest_own(desk: Desk, dataset: str) -> Manifest | None:
    entries = [e for e in desk.coordinator.datasets() if e.dataset == dataset]
    if not entries:
        return None
    entry = max(entries, key=lambda e: e.version)
    return _fetch(desk, entry, _own_key(desk)).value


def _own_key(desk: Desk) -> Callable[[str], VerifyKey]:
    def key_of(name: str) -> VerifyKey:
        if name != desk.name:
            raise ContractError(f"this is a dataset of {name}, not of {desk.name}")
        return desk.identity.card.signing_key

    return key_of


def _fetch(
    desk: Desk, entry: DatasetEntry, key_of: Callable[[str], VerifyKey]
) -> Verified[Manifest]:
    manifest = Manifest.verify(desk.coordinator.manifest(entry.manifest), key_of)
    found = DatasetEntry(manifest.value.dataset, manifest.value.version, manifest.digest)
    if found != entry:
        raise CoordinatorError(
            f"the coordinator lists {entry.dataset} version {entry.version}, and has another",
            hint="ask its operator; nothing was released",
        )
    return manifest


def newest_datasets(desk: Desk, contract: Contract) -> dict[str, Verified[Manifest]]:
    """The newest version of each dataset that the contract's owners have brought, verified.

    Raises: DatasetError if one is older than what was seen here before; CoordinatorError.
    """
    owners = {m.name for m in contract.members if "owner" in m.roles}
    newest: dict[str, DatasetEntry] = {}
    for entry in desk.coordinator.datasets():
        before = newest.get(entry.dataset)
        if entry.dataset.partition(".")[0] not in owners:
            continue
        if before is None or entry.version > before.version:
            newest[entry.dataset] = entry
    known = desk.home.versions()
    found = {n: _fetch(desk, e, contract.key_of) for n, e in sorted(newest.items())}
    for name, manifest in found.items():
        try:
            check_not_older(known, manifest)
        except DatasetError as error:
            raise DatasetError(f"{name}: {error}", hint=_ROLLED_BACK) from None
    return found


def datasets_under(desk: Desk, name: Digest) -> dict[str, Verified[Manifest]]:
    """The newest datasets under a contract that is in force."""
    return newest_datasets(desk, verified_contract(desk, name).contract)
