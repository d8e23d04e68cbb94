# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The registry: what is read for a task, whichever back-end keeps the rows, and where it begins to be written."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Literal, NamedTuple, TypeVar

from .._connector.records import ApplicationRecord, Health, Run, settings_digest
from .._connector.secret import Secret
from .._connector.state import Connector, Damage, Purpose, State, Wanted
from .._errors import ForeignSecret, MissingLibrary, MissingRegistry, RegistryError, RegistryKeyError, RetryableError
from .key_source import KeySource
from .rows import (
    read_application,
    read_binding,
    read_connector,
    read_health,
    read_revision,
    read_run,
    read_sealed,
)
from .sealing import OLD_FORM, Sealed, is_same_text
from .storage import Backend, BindingRow, RevisionRow, Storage, Turn
from .vault import Holdings, StoredSecret, Vault

if TYPE_CHECKING:
    # Who only reads need not wait for it to be compiled.
    from .._connector.plan import Plan
    from .writer import Writer

_REGISTRY_ID = re.compile(r"[0-9a-f]{32}\Z")
_DATABASES = ("postgresql:", "postgres:")
_PAUSES = (0.1, 0.3, 1.0, 2.0)
"""Seconds before a transaction is tried again."""
_Result = TypeVar("_Result")


class Migration(NamedTuple):
    """The secrets that are still to be sealed anew, each with its connector and field."""

    due: list[str]
    """Those that an earlier release has sealed, bound to nothing, and that the next writer binds when it commits."""
    put_off: list[str]
    """Those of an earlier release that stay as they are: their key or the library is missing, or they do not open."""
    not_rotated: list[str]
    """Those that keep a rotation from happening: their key is not among the several that are given."""


class Content(NamedTuple):
    """All that a registry holds, to be compared and copied."""

    registry_id: str
    connectors: tuple[Connector, ...]
    """Without their secrets."""
    default: str | None
    bindings: Mapping[Purpose, str]
    """The names of the connectors."""
    secrets: Mapping[str, Mapping[str, Secret]]
    """Opened, by connector and field."""
    revisions: tuple[RevisionRow, ...]

    def is_same(self, other: Content) -> bool:
        """Whether both hold the same, secrets included, whatever keys they are sealed with."""
        if self._replace(secrets={}) != other._replace(secrets={}) or self.secrets.keys() != other.secrets.keys():
            return False
        return all(
            own.keys() == other.secrets[name].keys()
            and all(is_same_text(secret, other.secrets[name][field]) for field, secret in own.items())
            for name, own in self.secrets.items()
        )


class Records(NamedTuple):
    """What a registry records of the use of its connectors, to be copied; two that differ in it hold the same."""

    files: tuple[tuple[str, str, str], ...]
    """Those of this host that were written: path, key's id and fingerprint."""
    applications: tuple[tuple[ApplicationRecord, Mapping[str, Secret] | None], ...]
    """Each with the secrets that it was given last, as far as they are known."""
    health: Mapping[str, Health]
    """By the names of the connectors."""


class Reader:
    """One consistent look at a registry."""

    def __init__(self, storage: Storage, keys: KeySource) -> None:
        self._keys = keys
        in_old_form = storage.keys_used(old_form=True)
        in_new_form = storage.keys_used(old_form=False) if in_old_form else frozenset()
        self._storage = storage
        self._vault = Vault(keys, Holdings(self.registry_id(), in_new_form, storage.marks()))
        # What the rows of this transaction are called outside: connectors by their names, secrets by their tokens.
        self._ids: dict[str, int] = {}
        self._stored: dict[str, StoredSecret] = {}

    def registry_id(self) -> str:
        """What tells this registry from every other one."""
        ids = self._storage.registry_ids()
        if len(ids) != 1 or not _REGISTRY_ID.match(str(ids[0])):
            raise RegistryError("The registry's own id is damaged: put back a copy of the registry.")
        return str(ids[0])

    def load(self, wanted: Wanted) -> State:
        """The connectors and bindings asked for, as far as they exist, and with them the default."""
        default = self._storage.default()
        found = _bindings(self._storage.bindings(wanted.purposes))
        bound = {purpose: name for purpose, name in found.items() if name is not None}
        names = None if wanted.names is None else wanted.names | {*bound.values()} | ({default} if default else set())
        connectors, damaged = self._load_connectors(names)
        loaded = [self._ids[name] for name in (*connectors, *damaged)]
        their_own = _bindings(self._storage.bindings_of(loaded))
        return State(
            connectors=connectors,
            damaged=damaged,
            lost=frozenset(found.keys() - bound.keys()),
            default=default if default in connectors or default in damaged else None,
            bindings={**bound, **{purpose: name for purpose, name in their_own.items() if name is not None}},
            others_enabled=names is not None and self._storage.has_enabled_besides(names),
            all_names=self._storage.names,
        )

    def purpose_names(self) -> list[str]:
        """All purposes that are bound, for a tenant or for everybody."""
        return self._storage.purpose_names()

    def history(self, connectors: Sequence[Connector]) -> dict[str, list[dict[str, Any]]]:
        """Each connector's revisions by its name, the oldest first."""
        names = {connector.identity: connector.name for connector in connectors}
        revisions: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
        for row in self._storage.revisions(names.keys()):
            revisions[names[row.identity]].append(read_revision(row))
        return revisions

    def history_of_deleted(self, name: str) -> list[list[dict[str, Any]]]:
        """The revisions of each deleted connector that had this name last, the oldest first."""
        revisions: dict[str, list[dict[str, Any]]] = {identity: [] for identity in self._storage.deleted(name)}
        for row in self._storage.revisions(revisions.keys()) if revisions else ():
            revisions[row.identity].append(read_revision(row))
        return list(revisions.values())

    def is_same_secret(self, token: str, secret: Secret) -> bool:
        """Whether a stored secret, named by a token that was loaded here, is the given one; it is not opened."""
        return self._vault.is_same(self._stored[token], secret)

    def is_foreign(self, token: str) -> bool:
        """Whether a stored secret was not sealed as what it is kept as; False where its key is missing."""
        return self._vault.is_foreign(self._stored[token])

    def open_secret(self, token: str) -> Secret:
        """The stored secret that a token names; one that is foreign is refused."""
        return self._vault.open(self._stored[token])

    def check_sealing(self, plan: Plan) -> None:
        """Fail where a plan's secrets could not be sealed: for want of a key, the right key or the library."""
        if plan.has_new_secrets:
            self._vault.check_sealing(self._storage.keys_used())
        for token in plan.redirected:
            self._vault.check_rebinding(self._stored[token])
        if self.needs_resealing():
            dropped = plan.dropped
            for token, stored in self._load_secrets().items():
                if token not in dropped:
                    self._vault.check_resealing(stored)

    def needs_resealing(self) -> bool:
        """Whether secrets are sealed with another key than the one that seals now."""
        return self._vault.rotation(self._storage.keys_used()) == "due"

    def migration(self) -> Migration:
        """What a writer does with the secrets that an earlier release has sealed, and what it cannot seal anew."""
        waiting, used = self._in_old_form(), self._storage.keys_used()
        can_migrate = waiting and self._vault.has_key_of(used) and self._vault.has_library()
        found = Migration([], [], [])
        for stored in waiting:
            is_due = can_migrate and self._vault.migrated(stored)
            (found.due if is_due else found.put_off).append(str(stored))
        if self._vault.rotation(used) == "blocked":
            found.not_rotated.extend(
                str(each) for each in self._load_secrets().values() if not self._vault.has_key(each)
            )
        return found

    def wrote_file(self, path: str, content: Secret) -> bool:
        """Whether just this content is recorded as written to a file; False without the key that recorded it."""
        record = self._storage.written_file(path)
        ring = self._vault.ring() if record else None
        return record is not None and ring is not None and ring.is_file(path, content, *record)

    def is_empty(self) -> bool:
        """Whether it holds nothing, and never did."""
        return not self._storage.names() and not self._storage.revisions(None)

    def connector_count(self) -> int:
        return len(self._storage.names())

    def key_ids(self) -> list[str]:
        """The ids of the keys that have sealed what it holds."""
        return sorted(self._storage.keys_used())

    def content(self) -> Content:
        """All that it holds; what is damaged or does not open is an error."""
        state = self.load(Wanted())
        for damage in state.damaged.values():
            raise RegistryError(str(damage))
        secrets = {
            name: {field: self._vault.open(self._stored[str(token)]) for field, token in connector.secrets.items()}
            for name, connector in state.connectors.items()
            if connector.secrets
        }
        revisions = self._storage.revisions(None)
        for row in revisions:
            if read_revision(row)["after"] is None:
                raise RegistryError(f"connector {row.name}: its history is damaged at revision {row.revision}.")
        return Content(
            self.registry_id(),
            tuple(replace(connector, secrets={}) for connector in state.connectors.values()),
            state.default,
            state.bindings,
            secrets,
            tuple(row._replace(before=_sort_keys(row.before), after=_sort_keys(row.after)) for row in revisions),
        )

    def written_files(self) -> list[tuple[str, str, str]]:
        """The records of the files of this host, each with the id of the key that made it."""
        return self._storage.written_files()

    def records(self, content: Content) -> Records:
        """What it records of the use of its connectors, which are in its content."""
        applications: list[tuple[ApplicationRecord, Mapping[str, Secret] | None]] = []
        for application in self.applications():
            own = content.secrets.get(application.connector, {})
            secrets = {path: own[path] for path in application.secret_paths if path in own}
            is_known = self.has_secrets(application, secrets)
            applications.append((application, secrets if is_known else None))
        return Records(tuple(self.written_files()), tuple(applications), self.health())

    def applications(self, connectors: Collection[str] | None = None) -> list[ApplicationRecord]:
        """The applications that were given the connectors of these names, or all; none whose record is damaged."""
        return [each for row in self._storage.applications(connectors) if (each := read_application(row))]

    def application(self, app: str, host: str, place: str) -> ApplicationRecord | None:
        """What is recorded of one application."""
        row = self._storage.application(app, host, place)
        return read_application(row) if row else None

    def has_secrets(self, application: ApplicationRecord, secrets: Mapping[str, Secret]) -> bool:
        """Whether an application was given just these secrets last, by their paths; False where that is not known."""
        if not application.fingerprint:
            return application.fingerprint is not None and not secrets
        ring = self._vault.ring()
        fingerprint = (application.key_id or "", application.fingerprint)
        return ring is not None and ring.is_application(application.content, secrets, *fingerprint)

    def is_current(self, application: ApplicationRecord, connector: Connector, *, is_default: bool) -> bool | None:
        """Whether an application would be given the same of this connector again; None without the keys."""
        is_same_connector = connector.enabled and application.connector == connector.name
        if not is_same_connector or application.settings != settings_digest(
            connector, application.reads, is_default=is_default
        ):
            return False
        paths = [path for path in application.secret_paths if path in connector.secrets]
        if not paths or not application.fingerprint:
            return not paths and application.fingerprint == ""
        try:
            secrets = self._open(connector, paths)
        except ForeignSecret:
            return False
        except (RegistryKeyError, MissingLibrary):
            return None
        return self.has_secrets(application, secrets)

    def health(self, connectors: Collection[str] | None = None) -> dict[str, Health]:
        """The health of the connectors of these names, or of all, as far as they were tested, with their last tests."""
        runs: dict[str, list[Run]] = {}
        for row in self._storage.runs(connectors):
            run = read_run(row)
            if run:
                runs.setdefault(row.connector, []).append(run)
        found = self._health(connectors)
        return {name: each._replace(runs=tuple(runs.get(name, ()))) for name, each in found.items()}

    def _health(self, connectors: Collection[str] | None) -> dict[str, Health]:
        found = {row.connector: read_health(row) for row in self._storage.health(connectors)}
        return {name: each for name, each in found.items() if each}

    def _open(self, connector: Connector, paths: Iterable[str]) -> dict[str, Secret]:
        return {path: self._vault.open(self._stored[str(connector.secrets[path])]) for path in paths}

    def _load_connectors(self, names: frozenset[str] | None) -> tuple[dict[str, Connector], dict[str, Damage]]:
        rows = self._storage.connectors(names)
        sealed: dict[int, dict[str, Sealed | None]] = {}
        for secret in self._storage.secrets(None if names is None else [row.id for row in rows]):
            sealed.setdefault(secret.connector, {})[secret.field] = read_sealed(secret)
        connectors: dict[str, Connector] = {}
        damaged: dict[str, Damage] = {}
        for row in rows:
            own = sealed.get(row.id, {})
            tokens = {
                field: f"{row.identity} {field} {' '.join(map(str, each))}" if each else None
                for field, each in own.items()
            }
            found = read_connector(row, tokens)
            self._ids[found.name] = row.id
            if isinstance(found, Damage):
                damaged[found.name] = found
                continue
            connectors[found.name] = found
            for field, token in found.secrets.items():
                self._stored[str(token)] = StoredSecret(found, field, own[field] or Sealed("", "", ""))
        return connectors, damaged

    def _load_secrets(self, names: frozenset[str] | None = None) -> dict[str, StoredSecret]:
        """The secrets of all connectors, or of some, by their tokens."""
        connectors, _damaged = self._load_connectors(names)
        tokens = (str(token) for connector in connectors.values() for token in connector.secrets.values())
        return {token: self._stored[token] for token in tokens}

    def _in_old_form(self) -> list[StoredSecret]:
        stored = self._load_secrets(frozenset(self._storage.names_with_old_form()))
        return [each for each in stored.values() if each.sealed.form == OLD_FORM]


class Registry:
    """Where connectors live."""

    def __init__(self, backend: Backend, keys: KeySource) -> None:
        self._backend = backend
        self._keys = keys

    @property
    def backend_name(self) -> Literal["sqlite", "postgresql"]:
        return self._backend.name

    @property
    def shown(self) -> str:
        """How messages name it."""
        return self._backend.shown

    def exists(self) -> bool:
        """Whether there is a registry yet."""
        return self._backend.exists()

    def missing(self) -> str:
        """Why there is nothing to be read that this task could not make either; empty where there is no such reason."""
        try:
            with self._backend.reading():
                return ""
        except (MissingRegistry, MissingLibrary) as missing:
            return str(missing)

    def empty(self) -> Registry:
        """An empty registry in place of this one, in which nothing can be written."""
        from .sqlite.storage import EmptyBackend

        return Registry(EmptyBackend(self.shown), self._keys)

    def version(self) -> int:
        """The version of its tables, 0 where there are none."""
        return self._backend.version()

    def setup_statements(self, readers: Sequence[str] = (), writers: Sequence[str] = ()) -> list[str]:
        """What `set_up` would execute."""
        return self._backend.setup_statements(readers, writers)

    def set_up(self, readers: Sequence[str] = (), writers: Sequence[str] = ()) -> list[str]:
        """Make it or migrate it, let these roles read or write, and say the statements that did it, if any."""
        if not self.setup_statements(readers, writers):
            return []
        return _retry(lambda: self._backend.set_up(readers, writers))

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Look without changing anything; a registry that does not exist yet is an empty one."""
        with self._backend.reading() as storage:
            yield Reader(storage, self._keys)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Change in one transaction, which is committed when the block ends without an exception.

        Secrets that an earlier release has sealed are sealed anew with it, as far as their keys are there.
        """
        from .writer import Writer

        with self._backend.writing() as storage:
            writer = Writer(storage, self._keys)
            yield writer
            writer.migrate()

    def write(self, work: Callable[[Writer], _Result]) -> _Result:
        """Do something in one transaction, again from its beginning where it could not be committed for a time."""

        def transaction() -> _Result:
            with self.writing() as writer:
                return work(writer)

        return _retry(transaction)

    def exclusive(self) -> AbstractContextManager[Turn]:
        """Hold off other tasks that want this registry for themselves, too; reading and writing go on."""
        return self._backend.exclusive()

    def check_writable(self, *, seals: bool = False, on_missing_folder: Callable[[str], object] | None = None) -> None:
        """Fail where `writing` would for want of the right to write, with the same message. Nothing is written.

        What seals a secret may have to make the key, too; with `on_missing_folder` it is no failure that its folder is
        missing.
        """
        self._backend.check_writable()
        if seals and self._keys.ring() is None:
            self._keys.check_can_make(on_missing_folder)


def _retry(transaction: Callable[[], _Result]) -> _Result:
    pauses = list(_PAUSES)
    while True:
        try:
            return transaction()
        except RetryableError:
            if not pauses:
                raise
        time.sleep(random.uniform(0.5, 1) * pauses.pop(0))  # noqa: S311  not for security


def open_registry(location: str, given_keys: Secret | None, key_file: str, password: Secret | None = None) -> Registry:
    """The registry at a location. Its keys are those given, else those in a file, which has a default for SQLite."""
    if is_database(location):
        from .postgresql.backend import PostgresqlBackend

        shared = PostgresqlBackend(location, password)
        keys = KeySource(given_keys, key_file, may_make=False)
        keys.check_file()
        return Registry(shared, keys)
    try:
        from .sqlite.storage import SqliteBackend
    except ImportError as missing:
        raise MissingLibrary("sqlite3", "to read the registry", str(missing)) from None
    backend = SqliteBackend(location)
    keys = KeySource(given_keys, key_file or default_key_file(location), made_with=os.path.dirname(location))
    if _real_path(keys.path) in map(_real_path, sqlite_files(location)):
        raise RegistryKeyError(
            f"registry_key_file {keys.path} must be another file than the registry, and than those that SQLite keeps"
            " beside it (-journal, -wal, -shm)."
        )
    keys.check_file()
    return Registry(backend, keys)


def _real_path(path: str) -> str:
    """A path without the links in its folder; neither the registry nor its key may be a link."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def is_database(location: str) -> bool:
    """Whether a location names a database, and no file."""
    return location.startswith(_DATABASES)


def default_key_file(location: str) -> str:
    return f"{location}.key"


def registry_files(location: str, key_file: str) -> list[str]:
    """Where a registry, what SQLite keeps beside it, and its key are or may be one day."""
    if is_database(location):
        return [key_file] if key_file else []
    return [*sqlite_files(location), key_file or default_key_file(location)]


def sqlite_files(location: str) -> list[str]:
    """A registry and what SQLite may keep beside it."""
    return [location, *(f"{location}-{suffix}" for suffix in ("journal", "wal", "shm"))]


def _sort_keys(document: Any) -> str:
    """A document as text that is the same in every back-end."""
    return json.dumps(json.loads(document), sort_keys=True)


def _bindings(rows: Iterable[BindingRow]) -> dict[Purpose, str | None]:
    """The purposes with the names of their connectors, None where there is no such connector."""
    return dict(filter(None, map(read_binding, rows)))
