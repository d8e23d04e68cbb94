# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The registry: what is read and written for a task, whichever back-end keeps the rows."""

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

from .._connector.records import ApplicationRecord, Health, RecordedTest, Run, next_health, settings_digest
from .._connector.secret import Secret
from .._connector.state import Connector, Damage, Proof, Purpose, Stamp, State, Wanted
from .._errors import ForeignSecret, MissingLibrary, MissingRegistry, RegistryError, RegistryKeyError, RetryableError
from .key_source import KeySource
from .rows import (
    application_row,
    connector_row,
    health_row,
    read_application,
    read_binding,
    read_connector,
    read_health,
    read_revision,
    read_run,
    read_sealed,
)
from .sealing import OLD_FORM, Sealed, is_same_text
from .storage import Backend, BindingRow, RevisionRow, RunRow, SecretRow, Storage, Turn
from .vault import Holdings, StoredSecret, Vault

if TYPE_CHECKING:
    # Who only reads need not wait for it to be compiled.
    from .._connector.plan import Change, Plan

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


class Writer(Reader):
    """A transaction: nobody else writes until it ends, and it ends whole or without a trace."""

    def apply(self, plan: Plan) -> None:
        """Carry out a plan that was made from what this transaction loaded."""
        storage = self._storage
        if plan.has_new_secrets:
            self._vault.make_key(storage.keys_used())
        if plan.default_changed:
            storage.set_default(None)
        for purpose in plan.unbound:
            storage.unbind(purpose)
        for change in plan.changes:
            if change.after:
                self._write(change, change.after)
        for purpose, name in plan.bound.items():
            storage.bind(purpose, self._ids[name])
        default = plan.after.default
        if default and (plan.default_changed or any(each.replaces and each.name == default for each in plan.changes)):
            storage.set_default(self._ids[default])
        for change in plan.changes:
            if change.before and not change.after:
                self._delete(change, change.before, plan.stamp)

    def _write(self, change: Change, after: Connector) -> None:
        """Write one connector that is created or updated, with its secrets and a revision."""
        before = change.before
        if before:
            row = connector_row(after, self._ids[before.name], before.identity)
            self._storage.update_connector(row)
            if before.name != after.name:
                self._storage.rename_applications(before.name, after.name)
            for field in before.secrets.keys() - after.secrets.keys():
                self._storage.delete_secret(row.id, field)
        else:
            row = connector_row(after, 0, os.urandom(16).hex())
            replaced = self._ids[after.name] if change.replaces else None
            row = row._replace(id=self._storage.insert_connector(row, replaces=replaced))
        self._ids[after.name] = row.id
        for field, secret in after.secrets.items():
            binding = self._vault.binding(row.identity, field, after)
            if isinstance(secret, Secret):
                self._storage.write_secret(SecretRow(row.id, field, self._vault.seal(secret, binding)))
            else:
                self._keep(self._stored[secret], self._vault.rebound(self._stored[secret], binding), row.id)
        self._add_revision(change, replace(after, identity=row.identity), after.revision, after.updated)

    def _delete(self, change: Change, before: Connector, stamp: Stamp) -> None:
        self._storage.delete_connector(self._ids[before.name])
        # What is damaged has no revision that could be counted on.
        if before.identity:
            self._add_revision(change, before, before.revision + 1, stamp)

    def _add_revision(self, change: Change, connector: Connector, revision: int, stamp: Stamp) -> None:
        kind: Literal["created", "updated", "deleted"] = "updated"
        if change.before is None or change.after is None:
            kind = "created" if change.after else "deleted"
        before, after = (json.dumps(side) for side in change.difference)
        row = RevisionRow(connector.identity, revision, stamp.at, stamp.by, before, after, connector.name, kind)
        self._storage.add_revision(row)

    def fill(self, content: Content, records: Records) -> None:
        """Put all that another registry holds into this one, which is empty, and seal it for this one's keys."""
        storage = self._storage
        storage.set_registry_id(content.registry_id)
        self._vault = Vault(self._keys, Holdings(content.registry_id))
        if content.secrets:
            self._vault.check_sealing(frozenset())
            self._vault.make_key(frozenset())
        for connector in content.connectors:
            own = content.secrets.get(connector.name, {})
            row = connector_row(connector, 0, connector.identity)
            self._ids[connector.name] = storage.insert_connector(row, replaces=None)
            for field, secret in own.items():
                binding = self._vault.binding(connector.identity, field, replace(connector, secrets=own))
                sealed = self._vault.seal(secret, binding)
                storage.write_secret(SecretRow(self._ids[connector.name], field, sealed))
        if content.default:
            storage.set_default(self._ids[content.default])
        for purpose, name in content.bindings.items():
            storage.bind(purpose, self._ids[name])
        for revision in content.revisions:
            storage.add_revision(revision)
        self._fill_records(records)

    def _fill_records(self, records: Records) -> None:
        ring = self._vault.ring()
        known = ring.key_ids if ring else frozenset()
        for path, key_id, fingerprint in records.files:
            # Which file it is, only its key can tell.
            if key_id in known:
                self._storage.write_file(path, key_id, fingerprint)
        for application, secrets in records.applications:
            if application.key_id in known:
                self._storage.write_application(application_row(application))
            else:
                self.record_application(application, secrets)
        for name, health in records.health.items():
            self._storage.write_health(health_row(name, health), is_news=False)
            for run in health.runs:
                self._storage.add_run(RunRow(name, *run))

    def record_proof(self, connector: Connector, proof: Proof) -> None:
        """Keep that mail was sent with a connector's settings, unless later ones are proven already."""
        self._storage.record_proof(connector.identity, proof)

    def reseal(self) -> None:
        """Seal every secret with the key that seals now."""
        for stored in self._load_secrets().values():
            self._keep(stored, self._vault.resealed(stored), self._ids[stored.connector.name])
        ring = self._vault.ring()
        others = ring.key_ids - {ring.sealing_key_id} if ring else ()
        due = [application for application in self.applications() if application.key_id in others]
        connectors, _damaged = self._load_connectors(frozenset(each.connector for each in due))
        for application in due:
            connector = connectors.get(application.connector)
            paths = [path for path in application.secret_paths if connector and path in connector.secrets]
            secrets = self._open(connector, paths) if connector else {}
            # With other secrets than it was given it is out of date, and stays that without a fingerprint.
            self.record_application(application, secrets if self.has_secrets(application, secrets) else None)

    def migrate(self) -> None:
        """Seal anew what an earlier release has sealed, as far as the keys are there, and end the old form."""
        if not self._vault.has_key_of(self._storage.keys_used()):
            return
        waiting = self._in_old_form()
        if waiting and not self._vault.has_library():
            return
        for stored in waiting:
            self._keep(stored, self._vault.migrated(stored), self._ids[stored.connector.name])
        for key_id, mark in self._vault.new_marks(self._storage.keys_used(old_form=True)).items():
            self._storage.write_mark(key_id, mark)

    def record_file(self, path: str, content: Secret) -> None:
        """Record what was written to a file, as a fingerprint; without a key there is no record."""
        ring = self._vault.ring()
        if ring:
            self._storage.write_file(path, *ring.file_fingerprint(path, content))
        else:
            self._storage.forget_file(path)

    def forget_file(self, path: str) -> None:
        """Drop the record of a file, if there is one."""
        self._storage.forget_file(path)

    def record_application(self, application: ApplicationRecord, secrets: Mapping[str, Secret] | None) -> None:
        """Record what an application was given, and of its secrets, by their paths, a fingerprint.

        Where it is not known which secrets the application has (None), there is no fingerprint.
        """
        ring = self._vault.ring() if secrets else None
        key_id, fingerprint = ("", "") if secrets is not None and not secrets else (None, None)
        if ring and secrets:
            key_id, fingerprint = ring.application_fingerprint(application.content, secrets)
        self._storage.write_application(application_row(application._replace(key_id=key_id, fingerprint=fingerprint)))

    def forget_application(self, app: str, host: str, place: str) -> None:
        """Drop the record of an application, if there is one."""
        self._storage.delete_application(app, host, place)

    def record_tests(self, tests: Sequence[RecordedTest]) -> list[str]:
        """Record tests of connectors in this order, and say the names of those whose state is another one now.

        A connector that is no longer in the registry as it was tested is left out: one that was changed, renamed,
        deleted or made anew since. Of one that was tested from several hosts the last test counts.
        """
        connectors, damaged = self._load_connectors(frozenset(test.connector for test in tests))
        present = {name: (each.identity, each.revision) for name, each in connectors.items()}
        present.update((name, ("", 0)) for name, each in damaged.items() if each.is_named)
        current = [test for test in tests if present.get(test.connector) == (test.identity, test.revision)]
        before = self._health({test.connector for test in current})
        after = dict(before)
        for test in current:
            after[test.connector] = next_health(after.get(test.connector), test)
            self._storage.add_run(RunRow(test.connector, *test.run))
        changed = []
        for name, health in after.items():
            is_news = name not in before or before[name].state != health.state
            self._storage.write_health(health_row(name, health), is_news=is_news)
            if is_news:
                changed.append(name)
        return changed

    def _keep(self, stored: StoredSecret, anew: Sealed | None, connector: int) -> None:
        """Keep a stored secret as it is sealed anew, if it is."""
        if anew:
            self._storage.write_secret(SecretRow(connector, stored.field, anew))


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

    def check_writable(self, *, seals: bool = False) -> None:
        """Fail where `writing` would for want of the right to write, with the same message. Nothing is written.

        What seals a secret may have to make the key, too.
        """
        self._backend.check_writable()
        if seals and self._keys.ring() is None:
            self._keys.check_can_make()


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
    keys = KeySource(given_keys, key_file or default_key_file(location))
    keys.check_file()
    return Registry(backend, keys)


def is_database(location: str) -> bool:
    """Whether a location names a database, and no file."""
    return location.startswith(_DATABASES)


def default_key_file(location: str) -> str:
    return f"{location}.key"


def registry_files(location: str, key_file: str) -> list[str]:
    """Where a registry, what SQLite keeps beside it, and its key are or may be one day."""
    if is_database(location):
        return [key_file] if key_file else []
    beside = [f"{location}-{suffix}" for suffix in ("journal", "wal", "shm")]
    return [location, *beside, key_file or default_key_file(location)]


def _sort_keys(document: Any) -> str:
    """A document as text that is the same in every back-end."""
    return json.dumps(json.loads(document), sort_keys=True)


def _bindings(rows: Iterable[BindingRow]) -> dict[Purpose, str | None]:
    """The purposes with the names of their connectors, None where there is no such connector."""
    return dict(filter(None, map(read_binding, rows)))
