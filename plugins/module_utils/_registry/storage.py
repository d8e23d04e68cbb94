# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a back-end has to supply: rows, and transactions on them.

It knows neither keys nor plans, and decides nothing: what a row means is found in `rows`, how secrets are treated in
`vault`, and what is read and written for a task in `registry`. A row's `id` is the back-end's own and is good for one
transaction; across transactions and registries a connector is told by its `identity`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from .._connector.state import Proof, Purpose
from .sealing import Mark, Sealed

MOST_CHARACTERS = 4_000_000
"""In the settings or the preset of a connector. Longer ones are not even read: they are None."""


class ConnectorRow(NamedTuple):
    """A connector's columns. What was read may be anything: it is checked in `rows`."""

    id: int
    identity: Any
    name: Any
    enabled: Any
    is_default: Any
    settings: Any
    preset: Any
    revision: Any
    sending_revision: Any
    created_at: Any
    created_by: Any
    updated_at: Any
    updated_by: Any
    proven_revision: Any
    proven_at: Any
    proven_to: Any


class SecretRow(NamedTuple):
    connector: int
    field: Any
    sealed: Sealed


class BindingRow(NamedTuple):
    purpose: Any
    tenant: Any
    connector: Any
    """The name of the connector, None where there is no such connector."""


class RevisionRow(NamedTuple):
    identity: str
    """Of the connector."""
    revision: Any
    at: Any
    actor: Any
    before: Any
    after: Any
    name: Any
    """What the connector was called from then on, or until it was deleted."""
    change: Literal["created", "updated", "deleted", ""] = ""
    """Where it is written: what happens now; empty for what happened elsewhere."""


class ApplicationRow(NamedTuple):
    """An application's columns. Purpose, tenant and destination are empty where there is none."""

    app: Any
    host: Any
    place: Any
    connector: Any
    """The name of the connector, which may be deleted."""
    purpose: Any
    tenant: Any
    reads: Any
    settings: Any
    destination: Any
    key_id: Any
    """None where there is no fingerprint, and the reverse."""
    fingerprint: Any
    written_at: Any
    written_by: Any


class HealthRow(NamedTuple):
    connector: Any
    """The name of the connector."""
    status: Any
    verdict: Any
    since: Any
    checked_at: Any
    last_ok_at: Any
    """None where no test succeeded."""
    failures_in_a_row: Any
    expires: Any
    """None where nothing is known to."""
    host: Any


class RunRow(NamedTuple):
    connector: Any
    """The name of the connector."""
    at: Any
    host: Any
    status: Any
    verdict: Any
    ms: Any


class Storage(ABC):
    """The rows of a registry, as one transaction sees them. Where they are asked for by a list, None stands for all."""

    @abstractmethod
    def registry_ids(self) -> list[Any]:
        """The ids that the registry has of itself: more than one, or none, is damage."""

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all connectors, in order."""

    @abstractmethod
    def purpose_names(self) -> list[str]:
        """All purposes that are bound, in order."""

    @abstractmethod
    def default(self) -> str | None:
        """The name of the default connector."""

    @abstractmethod
    def connectors(self, names: Collection[str] | None) -> list[ConnectorRow]:
        """Connectors in the order of their names."""

    @abstractmethod
    def has_enabled_besides(self, names: Collection[str]) -> bool: ...

    @abstractmethod
    def bindings(self, purposes: Iterable[Purpose] | None) -> list[BindingRow]: ...

    @abstractmethod
    def bindings_of(self, connectors: Collection[int]) -> list[BindingRow]: ...

    @abstractmethod
    def revisions(self, identities: Collection[str] | None) -> list[RevisionRow]:
        """The revisions of the connectors with these identities, each connector's oldest first."""

    @abstractmethod
    def deleted(self, name: str) -> list[str]:
        """The identities of deleted connectors that had this name last, in the order in which they were deleted."""

    @abstractmethod
    def secrets(self, connectors: Collection[int] | None) -> list[SecretRow]: ...

    @abstractmethod
    def names_with_old_form(self) -> list[str]:
        """The connectors with secrets in the old form."""

    @abstractmethod
    def keys_used(self, *, old_form: bool | None = None) -> frozenset[str]:
        """The ids of the keys of all secrets, or of those in the old form, or of those that are not."""

    @abstractmethod
    def marks(self) -> dict[str, Mark]:
        """The marks by the id of the key that made them."""

    @abstractmethod
    def written_file(self, path: str) -> tuple[str, str] | None:
        """The key's id and the fingerprint in the record of a file."""

    @abstractmethod
    def written_files(self) -> list[tuple[str, str, str]]:
        """The records of the files of this host: path, key's id and fingerprint."""

    @abstractmethod
    def applications(self, connectors: Collection[str] | None) -> list[ApplicationRow]:
        """The applications that were given the connectors of these names, in the order of app, host and place."""

    @abstractmethod
    def application(self, app: str, host: str, place: str) -> ApplicationRow | None: ...

    @abstractmethod
    def health(self, connectors: Collection[str] | None) -> list[HealthRow]:
        """The health of the connectors of these names that were tested."""

    @abstractmethod
    def runs(self, connectors: Collection[str] | None) -> list[RunRow]:
        """The tests of the connectors of these names, each connector's oldest first."""


class WritableStorage(Storage):
    """The rows of a registry within a transaction that changes them."""

    @abstractmethod
    def set_registry_id(self, registry_id: str) -> None: ...

    @abstractmethod
    def insert_connector(self, row: ConnectorRow, *, replaces: int | None) -> int:
        """Add a connector, which is not the default, and say its id.

        It takes over the name and the purposes of the one that it replaces.
        """

    @abstractmethod
    def update_connector(self, row: ConnectorRow) -> None:
        """Change a connector's name, settings and revision."""

    @abstractmethod
    def delete_connector(self, connector: int) -> None:
        """Delete a connector with its secrets and whatever is still bound to it. Its history stays."""

    @abstractmethod
    def set_default(self, connector: int | None) -> None: ...

    @abstractmethod
    def bind(self, purpose: Purpose, connector: int) -> None:
        """Bind a purpose, wherever it was bound to."""

    @abstractmethod
    def unbind(self, purpose: Purpose) -> None: ...

    @abstractmethod
    def add_revision(self, row: RevisionRow) -> None: ...

    @abstractmethod
    def record_proof(self, identity: str, proof: Proof) -> None:
        """Keep a proof, unless there is one of a later revision, or no such connector."""

    @abstractmethod
    def write_secret(self, row: SecretRow) -> None:
        """Keep a secret in place of what was there."""

    @abstractmethod
    def delete_secret(self, connector: int, field: str) -> None: ...

    @abstractmethod
    def write_mark(self, key_id: str, mark: Mark) -> None:
        """Keep a mark in place of the key's former one."""

    @abstractmethod
    def write_file(self, path: str, key_id: str, fingerprint: str) -> None:
        """Keep the record of a file in place of the former one."""

    @abstractmethod
    def forget_file(self, path: str) -> None: ...

    @abstractmethod
    def write_application(self, row: ApplicationRow) -> None:
        """Keep the record of an application in place of the former one."""

    @abstractmethod
    def delete_application(self, app: str, host: str, place: str) -> None: ...

    @abstractmethod
    def rename_applications(self, before: str, after: str) -> None:
        """Let the records that name a connector name it by its new name."""

    @abstractmethod
    def write_health(self, row: HealthRow, *, is_news: bool) -> None:
        """Keep the health of a connector in place of the former one, if there is such a connector.

        What is news is announced where somebody may listen.
        """

    @abstractmethod
    def add_run(self, row: RunRow) -> None:
        """Add a test of a connector, if there is such a connector, and drop its oldest one where there are too many."""


class Turn(Protocol):
    """What a task holds that has a registry for itself."""

    def check(self) -> None:
        """Fail where another task may have the turn by now."""


class Backend(ABC):
    """Where the rows of one registry are kept."""

    name: Literal["sqlite", "postgresql"]

    @property
    @abstractmethod
    def shown(self) -> str:
        """How messages name the place."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a registry yet, as far as it may be told without one."""

    @abstractmethod
    def version(self) -> int:
        """The version of the tables, 0 where there are none; a newer one than this is an error."""

    @abstractmethod
    def setup_statements(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
        """What `set_up` would execute."""

    @abstractmethod
    def set_up(self, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
        """Make the tables or migrate them, let these roles read or write, and say the statements that did it."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Storage]:
        """One consistent look in this version's tables; a registry that does not exist yet is an empty one."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[WritableStorage]:
        """A transaction in which nobody else writes. It is committed where the block ends without an error.

        RetryableError says that it was not, for a reason that may be gone when everything in it is done again.
        """

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[Turn]:
        """Hold off others who ask for this, too; reading and writing go on."""

    @abstractmethod
    def check_writable(self) -> None:
        """Fail where `writing` would for want of the right to write, with the same message. Nothing is written."""
