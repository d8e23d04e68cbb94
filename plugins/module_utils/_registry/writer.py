# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What is written to a registry for a task, whichever back-end keeps the rows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from .._connector.plan import Change, Plan
from .._connector.records import ApplicationRecord, RecordedTest, next_health
from .._connector.secret import Secret
from .._connector.state import Connector, Proof, Stamp
from .key_source import KeySource
from .registry import Content, Reader, Records
from .rows import application_row, connector_row, health_row
from .sealing import Sealed
from .storage import RevisionRow, RunRow, SecretRow, WritableStorage
from .vault import Holdings, StoredSecret, Vault


class Writer(Reader):
    """A transaction: nobody else writes until it ends, and it ends whole or without a trace."""

    _storage: WritableStorage

    def __init__(self, storage: WritableStorage, keys: KeySource) -> None:
        super().__init__(storage, keys)

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
