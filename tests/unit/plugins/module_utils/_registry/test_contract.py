# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every back-end has to do: what goes into the registry comes out again, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import (
    Connector,
    Proof,
    Purpose,
    State,
    Wanted,
)
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError, RegistryKeyError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sealing import KeyRing

from .backends import Backend
from .samples import (
    FOREIGN_KEY,
    KEY,
    LATER,
    NEW_KEY,
    STAMP,
    carry_out,
    change,
    declare,
    entry,
    everything,
    history,
    request,
    secrets,
)

PASSWORD = "Rumpelstilzchen-7f3a9c51e2-ä"
EVERYTHING: dict[str, Any] = {
    "name": "full",
    "display_name": "Quotes ' \" and 😀",
    "description": "two\nlines",
    "enabled": True,
    "provider": "gmail",
    "from_address": "alerts@example.com",
    "from_name": "Ällerts",
    "cc": ["one@example.com", "two@example.com"],
    "headers": {"X-Team": "ops", "X-Number": "7"},
    "available_to": ["acme", "globex"],
    "smtp": {"username": "mailer", "password": PASSWORD, "validate_certs": False, "port": 587},
    "imap": {"username": "reader", "password": f"imap {PASSWORD}", "mailbox": "Archiv/Ä"},
    "oauth2": {"tenant_id": "example.com", "client_id": "app", "client_secret": f"client {PASSWORD}"},
}


@pytest.fixture
def registry(backend: Backend) -> Registry:
    return backend.open()


def stored(registry: Registry, name: str) -> Connector:
    return everything(registry).connectors[name]


class TestRoundTrip:
    def test_a_connector_comes_back_as_it_was_planned(self, registry: Registry) -> None:
        planned = declare(registry, EVERYTHING).after.connectors["full"]
        found = stored(registry, "full")
        assert found.preset == {"smtp": planned.preset["smtp"], "imap": planned.preset["imap"]}
        assert replace(found, secrets={}, identity="") == replace(planned, secrets={})
        assert (found.created, found.updated, found.revision, found.sending_revision) == (STAMP, STAMP, 1, 1)
        assert found.settings["headers"] == EVERYTHING["headers"]
        assert found.settings["smtp"] == {"username": "mailer", "validate_certs": False, "port": 587}

    def test_secrets_open_and_compare(self, registry: Registry) -> None:
        declare(registry, EVERYTHING)
        assert secrets(registry, "full") == {
            "smtp.password": PASSWORD,
            "imap.password": f"imap {PASSWORD}",
            "oauth2.client_secret": f"client {PASSWORD}",
        }

    def test_declaring_the_same_again_changes_nothing(self, registry: Registry, backend: Backend) -> None:
        wish = {"default": "full", "bind": {Purpose("alerts"): "full"}}
        declare(registry, EVERYTHING, **wish)
        before = backend.content()
        assert not declare(registry, EVERYTHING, stamp=LATER, **wish).changed
        assert backend.content() == before

    def test_a_change_moves_updated_and_leaves_created(self, registry: Registry) -> None:
        declare(registry, EVERYTHING)
        declare(registry, {"name": "full", "description": "new"}, stamp=LATER)
        found = stored(registry, "full")
        assert (found.created, found.updated, found.revision, found.sending_revision) == (STAMP, LATER, 2, 1)
        assert found.settings["description"] == "new"
        assert found.settings["imap"]["mailbox"] == "Archiv/Ä"

    def test_purposes_with_and_without_tenant(self, registry: Registry) -> None:
        bindings = {
            Purpose("alerts"): "a",
            Purpose("alerts", "Käufer & Söhne"): "b",
            Purpose("alerts", "acme"): "a",
            Purpose("approvals", "acme"): "b",
        }
        declare(registry, entry("a"), entry("b"), bind=bindings)
        assert everything(registry).bindings == bindings
        change(registry, Request(unbind={Purpose("alerts"): None}, bind={Purpose("alerts", "acme"): "b"}))
        assert everything(registry).bindings == {
            Purpose("alerts", "Käufer & Söhne"): "b",
            Purpose("alerts", "acme"): "b",
            Purpose("approvals", "acme"): "b",
        }

    def test_the_default_moves(self, registry: Registry) -> None:
        declare(registry, entry("a"), entry("b"))
        assert everything(registry).default is None
        for name in ("a", "b", "a"):
            change(registry, Request(default=name))
            assert everything(registry).default == name

    def test_history_tells_each_revision_and_no_secret(self, registry: Registry) -> None:
        declare(registry, entry("a", PASSWORD))
        declare(registry, entry("a", f"new {PASSWORD}", description="first"), stamp=LATER)
        first, second = history(registry, "a")
        assert (first["revision"], first["at"], first["by"], first["before"]) == (1, STAMP.at, STAMP.by, {})
        assert first["after"]["smtp"]["password"] == "(changed)"
        assert second == {
            "revision": 2,
            "at": LATER.at,
            "by": LATER.by,
            "before": {"smtp": {"password": "(stored)"}},
            "after": {"smtp": {"password": "(changed)"}, "description": "first"},
        }

    def test_history_of_several_keeps_them_apart(self, registry: Registry) -> None:
        declare(registry, entry("a"), entry("b"))
        declare(registry, entry("b", description="new"))
        with registry.reading() as reader:
            found = reader.history(list(reader.load(Wanted()).connectors.values()))
        assert {name: len(revisions) for name, revisions in found.items()} == {"a": 1, "b": 2}

    def test_a_thousand_connectors(self, registry: Registry) -> None:
        entries = [entry(f"c{number:04}", f"password {number}") for number in range(1000)]
        assert len(declare(registry, *entries, default="c0500").created) == 1000
        plan = declare(registry, *entries, merge=False)
        assert (plan.changed, plan.unchanged) == (False, 1000)


class TestNames:
    def test_a_renamed_connector_keeps_what_it_has(self, registry: Registry) -> None:
        declare(registry, entry("old", PASSWORD), default="old", bind={Purpose("alerts"): "old"})
        identity = stored(registry, "old").identity
        declare(registry, {"name": "old"}, new_name="new", stamp=LATER)
        state = everything(registry)
        assert list(state.connectors) == ["new"]
        assert state.default == "new"
        assert state.bindings == {Purpose("alerts"): "new"}
        assert state.connectors["new"].identity == identity
        assert secrets(registry, "new") == {"smtp.password": PASSWORD}
        revisions = [(each["revision"], each["by"]) for each in history(registry, "new")]
        assert revisions == [(1, STAMP.by), (2, LATER.by)]

    def test_deleted_connector_leaves_its_history_alone(self, registry: Registry, backend: Backend) -> None:
        declare(registry, entry("gone", PASSWORD), entry("stays", PASSWORD))
        declare(registry, {"name": "gone", "description": "new"})
        change(registry, Request(absent=("gone",)), LATER)
        assert [backend.query(f"SELECT count(*) FROM {table}") for table in ("connector", "secret")] == [[(1,)], [(1,)]]
        with registry.reading() as reader:
            ((first, second, third),) = reader.history_of_deleted("gone")
            assert reader.history_of_deleted("stays") == []
        assert (first["revision"], second["after"]) == (1, {"description": "new"})
        assert (third["revision"], third["at"], third["by"], third["after"]) == (3, LATER.at, LATER.by, {})
        assert third["before"]["smtp"]["password"] == "(stored)"

    def test_the_history_of_a_deleted_connector_is_found_by_its_last_name(self, registry: Registry) -> None:
        declare(registry, entry("old"))
        declare(registry, {"name": "old"}, new_name="new")
        change(registry, Request(absent=("new",)))
        declare(registry, entry("new"))
        change(registry, Request(absent=("new",)), LATER)
        with registry.reading() as reader:
            assert [len(each) for each in reader.history_of_deleted("new")] == [3, 2]
            assert reader.history_of_deleted("old") == []

    def test_its_name_begins_anew(self, registry: Registry) -> None:
        declare(registry, entry("phoenix", PASSWORD))
        old = stored(registry, "phoenix").identity
        change(registry, Request(absent=("phoenix",)))
        declare(registry, entry("phoenix"), stamp=LATER)
        found = stored(registry, "phoenix")
        assert found.identity != old
        assert (found.revision, found.secrets, found.created) == (1, {}, LATER)
        assert [each["by"] for each in history(registry, "phoenix")] == [LATER.by]

    def test_a_dropped_secret_is_gone(self, registry: Registry, backend: Backend) -> None:
        declare(registry, entry("a", PASSWORD))
        declare(registry, {"name": "a", "smtp": {"auth": "none"}})
        assert backend.query("SELECT * FROM secret") == []


class TestKeys:
    @pytest.mark.parametrize("wish", [entry("a", PASSWORD), entry("a", "another")])
    def test_comparing_with_a_foreign_key(self, registry: Registry, backend: Backend, wish: dict[str, Any]) -> None:
        declare(registry, entry("a", PASSWORD))
        (key_id,) = backend.query("SELECT key_id FROM secret")[0]
        before = backend.content()
        with pytest.raises(RegistryKeyError) as refused:
            declare(backend.open(FOREIGN_KEY), wish)
        assert str(refused.value) == (
            f"The registry holds secrets that are sealed with key {key_id}, which is not among the keys given in"
            " registry_key or registry_key_file."
        )
        assert backend.content() == before

    def test_sealing_with_a_key_that_sealed_nothing(self, registry: Registry, backend: Backend) -> None:
        declare(registry, entry("a", PASSWORD))
        before = backend.content()
        with pytest.raises(RegistryKeyError) as refused:
            declare(backend.open(FOREIGN_KEY), entry("b", PASSWORD))
        assert str(refused.value) == (
            "None of the keys given in registry_key or registry_key_file has sealed the secrets that the registry"
            " holds."
        )
        assert backend.content() == before

    def test_without_any_key_all_else_still_works(self, backend: Backend) -> None:
        declare(backend.open(), entry("a", PASSWORD))
        keyless = backend.open(None)
        declare(keyless, {"name": "a", "description": "new"}, entry("b"), default="a")
        assert stored(keyless, "a").settings["description"] == "new"
        assert list(stored(keyless, "a").secrets) == ["smtp.password"]

    def test_rotation(self, registry: Registry, backend: Backend) -> None:
        names = [f"c{number}" for number in range(5)]
        declare(registry, *(entry(name, f"{name} {PASSWORD}") for name in names))
        rotating = backend.open(f"{NEW_KEY},{KEY}")
        before = everything(registry)
        with rotating.reading() as reader:
            assert reader.needs_resealing()
        with rotating.writing() as writer:
            assert writer.needs_resealing()
            writer.reseal()
            assert not writer.needs_resealing()
        only_new = backend.open(NEW_KEY)
        assert [secrets(only_new, name) for name in names] == [
            {"smtp.password": f"{name} {PASSWORD}"} for name in names
        ]
        assert len(backend.query("SELECT DISTINCT key_id FROM secret")) == 1
        after = everything(only_new)
        assert [each.revision for each in after.connectors.values()] == [1] * 5
        assert [replace(each, secrets={}) for each in after.connectors.values()] == [
            replace(each, secrets={}) for each in before.connectors.values()
        ]

    @pytest.mark.parametrize(
        ("keys", "needed"),
        [
            (KEY, False),
            (f"{KEY},{NEW_KEY}", False),
            (f"{NEW_KEY},{KEY}", True),
            (NEW_KEY, False),
            (FOREIGN_KEY, False),
            (None, False),
        ],
    )
    def test_when_resealing_is_due(self, registry: Registry, backend: Backend, keys: str | None, needed: bool) -> None:
        declare(registry, entry("a", PASSWORD))
        with backend.open(keys).reading() as reader:
            assert reader.needs_resealing() is needed

    def test_resealing_is_due_until_all_are_done(self, registry: Registry, backend: Backend) -> None:
        declare(registry, entry("a", PASSWORD))
        rotating = backend.open(f"{NEW_KEY},{KEY}")
        declare(rotating, entry("b", PASSWORD))
        assert len(backend.query("SELECT DISTINCT key_id FROM secret")) == 2
        with rotating.reading() as reader:
            assert reader.needs_resealing()

    @pytest.mark.parametrize(
        ("keys", "named"),
        [
            (f"{NEW_KEY},{FOREIGN_KEY}", ["connector a: smtp.password"]),
            (f"{NEW_KEY},{KEY}", []),
            # Nobody who gives a single key wants to rotate.
            (NEW_KEY, []),
            (None, []),
        ],
    )
    def test_what_keeps_a_rotation_from_happening_is_named(
        self, registry: Registry, backend: Backend, keys: str | None, named: list[str]
    ) -> None:
        declare(registry, entry("a", PASSWORD))
        with backend.open(keys).reading() as reader:
            assert reader.migration().not_rotated == named

    def test_an_empty_registry_needs_no_key(self, backend: Backend) -> None:
        with backend.open("malformed").reading() as reader:
            assert not reader.needs_resealing()


class TestOneTransaction:
    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, RegistryKeyError])
    def test_what_fails_leaves_no_trace(
        self, registry: Registry, backend: Backend, failure: type[BaseException]
    ) -> None:
        declare(registry, entry("a", PASSWORD), entry("b"), default="a", bind={Purpose("alerts"): "a"})
        before = backend.content()
        wish = (entry("a", "new"), entry("b", description="new"), entry("c", "new"))

        def fail() -> None:
            with registry.writing() as writer:
                carry_out(writer, request(*wish, default="b", bind={Purpose("alerts"): "c"}))
                writer.reseal()
                raise failure

        with pytest.raises(failure):
            fail()
        assert backend.content() == before

    def test_a_failure_while_applying(
        self, registry: Registry, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declare(registry, entry("a", PASSWORD))
        before = backend.content()
        seal, left = KeyRing.seal, iter(range(2))

        def seal_twice(ring: KeyRing, *what: Any) -> Any:
            next(left)
            return seal(ring, *what)

        monkeypatch.setattr(KeyRing, "seal", seal_twice)
        with pytest.raises(StopIteration):
            declare(registry, *(entry(f"c{number}", "new") for number in range(5)), entry("a", "new"))
        assert backend.content() == before

    def test_a_refused_plan_on_a_fresh_path_leaves_an_empty_registry(self, registry: Registry) -> None:
        with pytest.raises(DeclarationError):
            declare(registry, {"name": "nothing"})
        assert everything(registry) == State()


PROOF = Proof(1, "2024-03-01T12:00:00Z", "postmaster@example.com")


def prove(registry: Registry, connector: Connector, proof: Proof = PROOF) -> None:
    with registry.writing() as writer:
        writer.record_proof(connector, proof)


def test_a_proof_is_kept_and_is_no_revision(registry: Registry) -> None:
    declare(registry, entry("one"), entry("two"))
    assert not stored(registry, "one").is_proven
    prove(registry, stored(registry, "one"))
    assert stored(registry, "one").proof == PROOF
    assert (stored(registry, "one").is_proven, stored(registry, "two").is_proven) == (True, False)
    assert stored(registry, "one").revision == 1


def test_a_proof_outlasts_a_description_and_not_another_sender(registry: Registry) -> None:
    declare(registry, entry("one"))
    prove(registry, stored(registry, "one"))
    declare(registry, entry("one", description="New words"), stamp=LATER)
    assert stored(registry, "one").is_proven
    declare(registry, entry("one", from_address="alerts@example.com"), stamp=LATER)
    assert stored(registry, "one").proof == PROOF
    assert not stored(registry, "one").is_proven


def test_what_was_sent_before_a_change_proves_nothing_of_it(registry: Registry) -> None:
    declare(registry, entry("one"))
    sent_with = stored(registry, "one")
    declare(registry, entry("one", from_address="alerts@example.com"), stamp=LATER)
    prove(registry, sent_with)
    assert not stored(registry, "one").is_proven


def test_a_later_proof_is_not_replaced_by_an_earlier_one(registry: Registry) -> None:
    declare(registry, entry("one"))
    early = stored(registry, "one")
    declare(registry, entry("one", from_address="alerts@example.com"), stamp=LATER)
    newer = PROOF._replace(revision=2)
    prove(registry, stored(registry, "one"), newer)
    prove(registry, early)
    assert stored(registry, "one").proof == newer


@pytest.mark.parametrize("year", ["1970", "9999"])
def test_a_proof_counts_by_its_revision_whatever_the_clock_says(registry: Registry, year: str) -> None:
    declare(registry, entry("one"))
    declare(registry, entry("one", from_address="new@example.com"))
    now = stored(registry, "one")
    proof = Proof(now.revision, f"{year}-01-01T00:00:00Z", "x@example.com")
    prove(registry, now, proof)
    prove(registry, now, PROOF._replace(revision=now.revision - 1))
    assert stored(registry, "one").proof == proof
    assert stored(registry, "one").is_proven


def test_a_proof_of_a_connector_that_is_gone_is_dropped(registry: Registry) -> None:
    declare(registry, entry("one"))
    gone = stored(registry, "one")
    change(registry, Request(absent=("one",)))
    declare(registry, entry("one"))
    prove(registry, gone)
    assert stored(registry, "one").proof is None


def test_a_registry_has_an_id_of_its_own(registry: Registry, backend: Backend) -> None:
    def id_of(some: Registry) -> str:
        with some.reading() as reader:
            return reader.registry_id()

    other = backend.another().open()
    declare(registry, entry("one"))
    declare(other, entry("one"))
    assert id_of(registry) == id_of(registry) != id_of(other)
    assert len(id_of(registry)) == 32
