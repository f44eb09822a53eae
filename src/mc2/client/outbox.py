"""Sealed tables on their way to a coordinator: ciphertext and a signed manifest, nothing else.

::

    outbox/
        hospital.visits.v3.lock
        hospital.visits.v3/
            3f7a…                 sealed chunks, by digest
            manifest.json         the signed manifest, written last

A folder with a manifest is complete, and its upload can be repeated until it succeeds: nothing is
encrypted again. A folder without one is the rest of a run that broke off; its key is gone, and
the next run starts anew under another.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mc2.client.blobs import BlobSink, CoordinatorBlobs, FolderBlobs
from mc2.client.coordinator import Coordinator
from mc2.client.durable import (
    create_file,
    locked,
    locked_if_free,
    make_private_folder,
    read_file,
)
from mc2.client.progress import Progress, no_progress
from mc2.client.seal import NewVersion, OwnerKeys, Sealed, SealOptions, seal_table
from mc2.client.sources.source import RowSource
from mc2.crypto.digest import Digest
from mc2.errors import CoordinatorError, DatasetError
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import HOME, Manifest

_MANIFEST: Final = "manifest.json"
AT_HOME: Final = "at_home"


class Parcel:
    """One dataset version in the outbox, complete: only its upload is owed."""

    def __init__(self, folder: Path, at_home: Path) -> None:
        self._folder, self._at_home = folder, at_home
        self._blobs = FolderBlobs(folder)
        self.envelope = read_file(folder / _MANIFEST, 2 * LIMITS.manifest_bytes)
        signed = Envelope.parse(self.envelope, PayloadType.MANIFEST, LIMITS.manifest_bytes)
        self.manifest = Manifest.parse(signed.payload)

    def publish(self, coordinator: Coordinator, progress: Progress = no_progress) -> Digest:
        """Upload what the coordinator lacks, then the manifest; then empty the outbox of it.

        The chunks of a dataset that stays at home go to their folder there instead. May be called
        again after any failure. Raises: CoordinatorError, DatasetError.
        """
        there: BlobSink = CoordinatorBlobs(coordinator)
        if self.manifest.placement == HOME:
            make_private_folder(self._at_home)
            there = FolderBlobs(self._at_home)
        sizes = {c.digest: c.size for c in self.manifest.chunks}
        held = there.has(list(sizes))
        done, total = sum(sizes[name] for name in held), sum(sizes.values())
        progress("uploading", done, total)
        for name, size in sizes.items():
            if name in held:
                continue
            there.put(name, self._blobs.get(name))
            done += size
            progress("uploading", done, total)
        name = coordinator.put_manifest(self.envelope)
        if name != self.manifest.digest:
            raise CoordinatorError(
                f"the coordinator calls {self.manifest.dataset} by another digest than its own",
                hint="it altered the manifest or answers wrongly: ask its operator",
            )
        self.discard()
        return name

    def discard(self) -> None:
        """Remove the parcel from the outbox; what was uploaded stays where it is."""
        # The manifest goes first: a rest without it is known as one; the next run removes it.
        (self._folder / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)


class Outbox:
    """The folder of a party for what it seals. Chunks that stay at home go to one beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at_home = folder.parent / AT_HOME

    def seal(
        self,
        source: RowSource,
        version: NewVersion,
        owner: OwnerKeys,
        options: SealOptions | None = None,
        progress: Progress = no_progress,
    ) -> Sealed:
        """Seal a table into the outbox.

        Raises: DatasetError if this version is there already, and what `seal_table` raises.
        """
        with self._place(version) as folder:
            if (folder / _MANIFEST).exists():
                raise DatasetError(
                    f"{folder.name} is sealed already and waits for its upload",
                    hint="publish it, or discard it and seal again",
                )
            self._remove_rests(but=folder)
            if folder.exists():
                shutil.rmtree(folder)
            make_private_folder(folder)
            try:
                sealed = seal_table(source, version, owner, FolderBlobs(folder), options, progress)
                create_file(folder / _MANIFEST, sealed.envelope)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # its key is gone with this run
                raise
            return sealed

    def parcels(self) -> list[Parcel]:
        """All that is complete, by name. Raises: FormatError if a manifest is damaged."""
        return [
            Parcel(path.parent, self._at_home)
            for path in sorted(self._folder.glob(f"*/{_MANIFEST}"))
        ]

    def parcel(self, dataset: str, version: int) -> Parcel:
        """One of them. Raises: DatasetError if it is not there."""
        folder = self._folder / _folder_name(dataset, version)
        if not (folder / _MANIFEST).exists():
            raise DatasetError(
                f"{dataset} version {version} is not in the outbox", hint="seal it first"
            )
        return Parcel(folder, self._at_home)

    def _remove_rests(self, but: Path) -> None:
        """Remove what killed runs left, which may be as large as their tables.

        A run under way holds its lock, so that it is told from one that is no more.
        """
        for folder in self._folder.iterdir():
            if folder == but or not folder.is_dir() or (folder / _MANIFEST).exists():
                continue
            with locked_if_free(self._folder / f"{folder.name}.lock") as free:
                if free and not (folder / _MANIFEST).exists():
                    shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _place(self, version: NewVersion) -> Iterator[Path]:
        """The folder of a version, kept from other processes of this party meanwhile."""
        make_private_folder(self._folder)
        name = _folder_name(version.dataset, version.version)
        lock = self._folder / f"{name}.lock"
        with locked(lock):
            yield self._folder / name


def _folder_name(dataset: str, version: int) -> str:
    return f"{dataset}.v{version}"
