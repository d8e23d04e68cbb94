# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stored secret opens only as what it was sealed as, whatever somebody without the key writes into the file."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import psycopg
import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import (
    DeclarationError,
    RegistryError,
    RegistryKeyError,
)
from ansible_collections.mailroom.core.plugins.module_utils._registry import key_source, sealing
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .backends import Backend
from .samples import (
    FOREIGN_KEY,
    KEY,
    NEW_KEY,
    carry_out,
    change,
    declare,
    everything,
    planned,
    request,
    secrets,
)

SMTP = {"host": "mail.example.com", "username": "robot@example.com"}
IMAP = {"host": "imap.example.com", "username": "robot@example.com"}
OAUTH2 = {"tenant_id": "contoso", "client_id": "app", "client_secret": "client secret"}
DECLARED: dict[str, dict[str, Any]] = {
    "both": {"smtp": {**SMTP, "password": "smtp secret"}, "imap": {**IMAP, "password": "imap secret"}},
    "alike": {"smtp": {**SMTP, "password": "alike secret"}},
    "evil": {"smtp": {**SMTP, "host": "evil.example.com", "password": "evil secret"}},
    "strict": {
        "smtp": {
            **SMTP,
            "mechanisms": ["SCRAM-SHA-256"],
            "ca_file": "/etc/mailroom/ca.pem",
            "proxy": "http://proxy.example.com:3128",
            "proxy_username": "robot",
            "password": "strict secret",
            "proxy_password": "proxy secret",
        }
    },
    "by_preset": {
        "provider": "gmail",
        "smtp": {"username": "robot@example.com", "password": "preset secret"},
    },
    "by_uri": {
        "smtp": {"uri": "smtps://mail.example.com", "username": "robot@example.com", "password": "uri secret"},
    },
    "shared": {
        "smtp": {"host": "mail.example.com", "same_credentials": True},
        "imap": {**IMAP, "password": "shared secret"},
    },
    "graph": {"graph": {"mailbox": "robot@example.com"}, "oauth2": OAUTH2},
    "token": {"smtp": {**SMTP, "auth": "oauth2"}, "oauth2": OAUTH2},
}


@pytest.fixture
def registry(backend: Backend) -> Registry:
    registry = backend.open()
    declare(registry, *({"name": name, **fields} for name, fields in DECLARED.items()))
    return registry


class Edit(NamedTuple):
    """A row's settings edited from outside, and a secret that must not be opened after that."""

    connector: str
    block: str
    changes: dict[str, Any]
    secret: str


# One for each way to a destination; what belongs to it is in test_secret_destinations.
EDITS = [
    Edit("both", "smtp", {"host": "evil.example.com"}, "smtp.password"),
    Edit("both", "smtp", {"security": "none"}, "smtp.password"),
    Edit("both", "smtp", {"same_credentials": True}, "imap.password"),
    Edit("both", "imap", {"host": "evil.example.com"}, "imap.password"),
    Edit("strict", "smtp", {"mechanisms": None}, "smtp.password"),
    Edit("strict", "smtp", {"proxy": "http://evil.example.com:3128"}, "smtp.proxy_password"),
    Edit("strict", "smtp", {"proxy_username": "other"}, "smtp.password"),
    Edit("by_preset", "smtp", {"host": "evil.example.com"}, "smtp.password"),
    Edit("by_uri", "smtp", {"uri": "smtps://evil.example.com"}, "smtp.password"),
    Edit("shared", "smtp", {"host": "evil.example.com"}, "imap.password"),
    Edit("graph", "graph", {"url": "https://evil.example.com"}, "oauth2.client_secret"),
    Edit("graph", "oauth2", {"authority": "https://evil.example.com"}, "oauth2.client_secret"),
    Edit("token", "imap", {**IMAP, "host": "evil.example.com", "auth": "oauth2"}, "oauth2.client_secret"),
]


def opened(registry: Registry, name: str, field: str) -> str:
    with registry.reading() as reader:
        state = reader.load(Wanted(frozenset([name])))
        if name in state.damaged:
            raise RegistryError(str(state.damaged[name]))
        return reader.open_secret(str(state.connectors[name].secrets[field])).reveal()


def assert_refused(registry: Registry, name: str, field: str) -> None:
    """It is refused on opening in one sentence that says where it is and what to do."""
    with pytest.raises(RegistryKeyError) as refused:
        opened(registry, name, field)
    message = str(refused.value)
    assert message.startswith(f"connector {name}: {field}: ")
    assert "give it again" in message
    assert " secret" not in message


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit.connector} {edit.block} {edit.changes}")
def test_a_secret_is_not_opened_after_its_destination_was_edited(
    registry: Registry, backend: Backend, edit: Edit
) -> None:
    backend.edit_settings(edit.connector, edit.block, edit.changes)
    assert_refused(registry, edit.connector, edit.secret)


def test_a_secret_is_not_opened_after_its_preset_was_edited(registry: Registry, backend: Backend) -> None:
    preset = {"smtp": {"host": "evil.example.com", "port": 465, "security": "tls"}}
    backend.edit("UPDATE connector SET preset = ? WHERE name = 'by_preset'", json.dumps(preset))
    assert_refused(registry, "by_preset", "smtp.password")


@pytest.mark.parametrize(
    ("block", "changes"),
    [
        ("smtp", {"relay": True}),
        ("smtp", {"ehlo_name": "robot.example.com"}),
        ("smtp", {"host": "MAIL.example.COM"}),
        ("smtp", {"validate_certs": True}),
        ("smtp", {"port": 587, "security": "starttls"}),
        ("imap", {"mailbox": "Archive"}),
    ],
    ids=str,
)
def test_what_is_no_destination_may_differ(
    registry: Registry, backend: Backend, block: str, changes: dict[str, Any]
) -> None:
    backend.edit_settings("both", block, changes)
    assert opened(registry, "both", "smtp.password") == "smtp secret"


SWAPS = {
    "the token": "token",
    "token and fingerprint": "token, fingerprint",
    "all that is sealed": "key_id, fingerprint, token",
    "the whole row": "key_id, fingerprint, token, form, mac",
}


SEALED = "key_id, fingerprint, token, form, mac"


def copy_secret(backend: Backend, source: tuple[str, str], target: tuple[str, str], columns: str = SEALED) -> None:
    """Copy columns of one secret's row over those of another."""
    where = "connector = (SELECT id FROM connector WHERE name = ?) AND field = ?"
    copied = f"UPDATE secret SET ({columns}) = (SELECT {columns} FROM secret WHERE {where}) WHERE {where}"
    backend.edit(copied, *source, *target)


@pytest.mark.parametrize("columns", SWAPS.values(), ids=SWAPS)
def test_token_that_was_moved_to_an_equal_destination_is_refused(
    registry: Registry, backend: Backend, columns: str
) -> None:
    copy_secret(backend, ("both", "smtp.password"), ("alike", "smtp.password"), columns)
    assert_refused(registry, "alike", "smtp.password")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("both", "smtp.password"), ("evil", "smtp.password")),
        (("both", "imap.password"), ("both", "smtp.password")),
        (("strict", "smtp.proxy_password"), ("strict", "smtp.password")),
        (("graph", "oauth2.client_secret"), ("token", "oauth2.client_secret")),
    ],
    ids=str,
)
def test_row_that_was_moved_is_refused(
    registry: Registry, backend: Backend, source: tuple[str, str], target: tuple[str, str]
) -> None:
    copy_secret(backend, source, target)
    assert_refused(registry, *target)


def test_a_row_that_was_given_to_another_connector_is_refused(registry: Registry, backend: Backend) -> None:
    backend.edit("DELETE FROM secret WHERE connector = (SELECT id FROM connector WHERE name = 'evil')")
    backend.edit(
        "UPDATE secret SET connector = (SELECT id FROM connector WHERE name = 'evil')"
        " WHERE connector = (SELECT id FROM connector WHERE name = 'alike')",
    )
    assert_refused(registry, "evil", "smtp.password")


def test_a_row_that_was_given_to_another_field_is_refused(registry: Registry, backend: Backend) -> None:
    backend.edit("DELETE FROM secret WHERE field = 'smtp.password'")
    backend.edit("UPDATE secret SET field = 'smtp.password' WHERE field = 'imap.password'")
    assert_refused(registry, "both", "smtp.password")


def test_a_secret_of_another_registry_with_the_same_key_is_refused(registry: Registry, backend: Backend) -> None:
    other = backend.another()
    declare(other.open(), {"name": "alike", **DECLARED["alike"]})
    ((*row,),) = other.query(f"SELECT {SEALED} FROM secret")
    backend.edit(
        f"UPDATE secret SET ({SEALED}) = (?, ?, ?, ?, ?)"
        " WHERE connector = (SELECT id FROM connector WHERE name = 'alike')",
        *row,
    )
    assert_refused(registry, "alike", "smtp.password")


def test_the_registry_itself_is_bound(registry: Registry, backend: Backend) -> None:
    backend.edit(f"UPDATE registry SET id = '{'5' * 32}'")
    assert_refused(registry, "alike", "smtp.password")


@pytest.mark.parametrize("columns", ["identity", "identity, name", "name"])
def test_moving_what_identifies_a_connector_opens_nothing_elsewhere(
    registry: Registry, backend: Backend, columns: str
) -> None:
    """With the names alone everything that belongs to a connector moves along: its secret goes where it always went."""
    names = {"alike": "evil", "evil": "alike"}
    rows = {name: backend.query(f"SELECT {columns} FROM connector WHERE name = '{name}'")[0] for name in names}
    ids = {name: backend.query(f"SELECT id FROM connector WHERE name = '{name}'")[0][0] for name in names}
    sets = ", ".join(f"{column} = ?" for column in columns.split(", "))
    backend.edit(f"UPDATE connector SET identity = '{'a' * 32}', name = 'a' WHERE name = 'alike'")
    backend.edit(f"UPDATE connector SET {sets} WHERE id = ?", *rows["alike"], ids["evil"])
    backend.edit(f"UPDATE connector SET {sets} WHERE id = ?", *rows["evil"], ids["alike"])
    state = everything(registry)
    for name in names:
        if name not in state.connectors:
            continue
        try:
            secret = opened(registry, name, "smtp.password")
        except RegistryKeyError:
            continue
        host = state.connectors[name].settings["smtp"]["host"]
        assert (host, secret) in {("mail.example.com", "alike secret"), ("evil.example.com", "evil secret")}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("key_id", value) for value in ("", "x", "\N{SNOWMAN}" * 40)),
        *(("fingerprint", value) for value in ("", "x", "\N{SNOWMAN}" * 40)),
        *(("token", value) for value in ("", "x", "\N{SNOWMAN}" * 40)),
        *(("form", value) for value in ("0", "1", "3")),
        *(("mac", value) for value in ("", "x", "\N{SNOWMAN}" * 40)),
    ],
)
@pytest.mark.sampled(4)
def test_damaged_row_is_refused_in_a_sentence(registry: Registry, backend: Backend, column: str, value: str) -> None:
    try:
        backend.edit(f"UPDATE secret SET {column} = ? WHERE field = 'oauth2.client_secret'", value)
    except psycopg.DataError:
        # The column has a type that takes no such value.
        return
    with pytest.raises((RegistryError, RegistryKeyError), match=r"^[^\n]*\.$"):
        opened(registry, "graph", "oauth2.client_secret")


class TestWhatCountsAsStored:
    """What is foreign counts as not stored, without being opened."""

    @pytest.fixture
    def edited(self, registry: Registry, backend: Backend) -> Registry:
        copy_secret(backend, ("both", "smtp.password"), ("alike", "smtp.password"))
        return registry

    @pytest.mark.parametrize("update_password", ["always", "on_create"])
    @pytest.mark.parametrize("password", ["alike secret", "smtp secret", "another"])
    def test_foreign_secret_given_again_is_stored(self, edited: Registry, update_password: str, password: str) -> None:
        declared = {"name": "alike", "smtp": {**SMTP, "password": password}}
        plan = declare(edited, declared, update_password=update_password)
        assert plan.updated == ["alike"]
        assert secrets(edited, "alike") == {"smtp.password": password}
        assert not declare(edited, declared, update_password=update_password).changed

    def test_secret_of_an_edited_row_must_be_given_again(self, registry: Registry, backend: Backend) -> None:
        backend.edit_settings("alike", "smtp", {"host": "evil.example.com"})
        mended = {"name": "alike", "smtp": {**SMTP, "password": "alike secret"}}
        with pytest.raises(DeclarationError, match=r"^connector alike: smtp\.password: must be given again, "):
            declare(registry, {"name": "alike", "smtp": SMTP})
        assert declare(registry, mended, update_password="on_create").updated == ["alike"]
        assert secrets(registry, "alike") == {"smtp.password": "alike secret"}

    def test_foreign_secret_that_is_not_given_is_asked_for(self, edited: Registry, backend: Backend) -> None:
        before = backend.content()
        with pytest.raises(DeclarationError) as refused:
            declare(edited, {"name": "alike", "description": "new"})
        assert str(refused.value) == (
            "connector alike: smtp.password: must be given again, since the stored secret was sealed for another"
            " destination or changed from outside"
        )
        assert backend.content() == before

    def test_foreign_secret_can_be_cleared(self, edited: Registry) -> None:
        declare(edited, {"name": "alike", "smtp": {"auth": "none"}})
        assert secrets(edited, "alike") == {}

    def test_the_connector_can_be_deleted(self, edited: Registry) -> None:
        change(edited, request(absent=("alike",)))
        assert "alike" not in everything(edited).connectors

    def test_other_connectors_are_not_concerned(self, edited: Registry) -> None:
        assert declare(edited, {"name": "both", "description": "new"}).updated == ["both"]
        assert secrets(edited, "both") == {"smtp.password": "smtp secret", "imap.password": "imap secret"}

    @pytest.mark.parametrize("key", [None, FOREIGN_KEY])
    def test_foreign_secret_counts_as_stored_without_the_key(
        self, edited: Registry, backend: Backend, key: str | None
    ) -> None:
        assert declare(backend.open(key), {"name": "alike", "description": "new"}).updated == ["alike"]

    def test_foreign_secret_is_found_without_opening(self, edited: Registry, no_cryptography: None) -> None:
        with pytest.raises(DeclarationError, match="must be given again"):
            declare(edited, {"name": "alike", "description": "new"})

    def test_rotation_goes_on_where_it_is_given_again(self, edited: Registry, backend: Backend) -> None:
        rotating = backend.open(f"{NEW_KEY},{KEY}")
        with rotating.writing() as writer:
            wish = request({"name": "alike", "smtp": {**SMTP, "password": "alike secret"}})
            writer.check_sealing(planned(writer, wish))
            carry_out(writer, wish)
            writer.reseal()
        assert secrets(backend.open(NEW_KEY), "alike") == {"smtp.password": "alike secret"}

    def test_rotation_stops_at_it_and_names_it(self, edited: Registry, backend: Backend) -> None:
        before = backend.content()
        rotating = backend.open(f"{NEW_KEY},{KEY}")
        with rotating.reading() as reader, pytest.raises(RegistryKeyError, match=r"^connector alike: smtp\.password: "):
            reader.check_sealing(planned(reader, request()))
        with pytest.raises(RegistryKeyError, match=r"^connector alike: smtp\.password: "), rotating.writing() as writer:
            writer.reseal()
        assert backend.content() == before


def test_a_task_that_changes_nothing_needs_no_library(
    registry: Registry, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise AssertionError("the library is asked for")

    monkeypatch.setattr(f"{key_source.__name__}.load_fernet", fail)
    monkeypatch.setattr(f"{sealing.__name__}.load_fernet", fail)
    before = backend.content()
    assert not declare(registry, *({"name": name, **fields} for name, fields in DECLARED.items())).changed
    assert backend.content() == before


class TestIdentity:
    def test_each_connector_has_its_own(self, registry: Registry, backend: Backend) -> None:
        identities = {identity for (identity,) in backend.query("SELECT identity FROM connector")}
        assert len(identities) == len(DECLARED)
        assert all(len(identity) == 32 for identity in identities)

    def test_identity_is_kept_by_a_rename_which_needs_no_key(self, registry: Registry, backend: Backend) -> None:
        before = backend.query("SELECT identity FROM connector WHERE name = 'alike'")
        declare(backend.open(None), {"name": "alike"}, new_name="renamed")
        assert backend.query("SELECT identity FROM connector WHERE name = 'renamed'") == before
        assert secrets(registry, "renamed") == {"smtp.password": "alike secret"}
        assert not backend.has_key_file()

    def test_identity_is_new_for_a_duplicate(self, registry: Registry, backend: Backend) -> None:
        copied = {"name": "copied", "smtp": {"password": "copied secret"}}
        declare(registry, copied, copy_from="alike")
        rows = backend.query("SELECT identity FROM connector WHERE name IN ('alike', 'copied')")
        assert len(set(rows)) == 2
        copy_secret(backend, ("alike", "smtp.password"), ("copied", "smtp.password"))
        assert_refused(registry, "copied", "smtp.password")

    def test_identity_is_new_for_a_connector_that_is_made_again(self, registry: Registry, backend: Backend) -> None:
        ((*row,),) = backend.query(f"SELECT {SEALED} FROM secret JOIN connector ON id = connector WHERE name = 'alike'")
        change(registry, request(absent=("alike",)))
        declare(registry, {"name": "alike", **DECLARED["alike"]})
        backend.edit(
            f"UPDATE secret SET ({SEALED}) = (?, ?, ?, ?, ?)"
            " WHERE connector = (SELECT id FROM connector WHERE name = 'alike')",
            *row,
        )
        assert_refused(registry, "alike", "smtp.password")


PERMITTED: dict[str, dict[str, Any]] = {
    "another port of the same service": {"smtp": {"port": 465}},
    "stronger security": {"smtp": {"security": "tls", "port": 587}},
    "fewer mechanisms": {"smtp": {"mechanisms": ["SCRAM-SHA-256"]}},
}


class TestPermittedChanges:
    """A change that is no new place but alters the destination's form seals the secret anew."""

    @pytest.mark.parametrize("changes", PERMITTED.values(), ids=PERMITTED)
    def test_permitted_change_seals_anew(self, registry: Registry, backend: Backend, changes: dict[str, Any]) -> None:
        before = backend.query("SELECT token FROM secret JOIN connector ON id = connector WHERE name = 'alike'")
        plan = declare(registry, {"name": "alike", **changes})
        assert len(plan.redirected) == 1
        assert secrets(registry, "alike") == {"smtp.password": "alike secret"}
        after = backend.query("SELECT token FROM secret JOIN connector ON id = connector WHERE name = 'alike'")
        assert before != after
        assert not declare(registry, {"name": "alike", **changes}).changed

    @pytest.mark.parametrize("changes", PERMITTED.values(), ids=PERMITTED)
    def test_permitted_change_undone_from_outside_leaves_nothing_to_open(
        self, registry: Registry, backend: Backend, changes: dict[str, Any]
    ) -> None:
        """What was narrowed cannot be widened again in the file."""
        declare(registry, {"name": "alike", **changes})
        backend.edit("UPDATE connector SET settings = ? WHERE name = 'alike'", json.dumps({"smtp": SMTP}))
        assert_refused(registry, "alike", "smtp.password")

    @pytest.mark.parametrize("key", [None, FOREIGN_KEY])
    @pytest.mark.parametrize("changes", PERMITTED.values(), ids=PERMITTED)
    @pytest.mark.sampled(4)
    def test_permitted_change_without_the_key_fails_and_changes_nothing(
        self, registry: Registry, backend: Backend, changes: dict[str, Any], key: str | None
    ) -> None:
        before = backend.content()
        keyless = backend.open(key)
        with keyless.reading() as reader, pytest.raises(RegistryKeyError) as refused:
            reader.check_sealing(planned(reader, request({"name": "alike", **changes})))
        assert str(refused.value).startswith("connector alike: smtp.password: must be sealed anew")
        with pytest.raises(RegistryKeyError):
            declare(keyless, {"name": "alike", **changes})
        assert backend.content() == before

    def test_one_server_less_seals_anew(self, registry: Registry) -> None:
        declare(registry, {"name": "shared", "smtp": {"same_credentials": False, "auth": "none"}})
        assert secrets(registry, "shared") == {"imap.password": "shared secret"}

    def test_what_is_no_destination_needs_no_key(self, registry: Registry, backend: Backend) -> None:
        assert declare(backend.open(None), {"name": "alike", "smtp": {"relay": True}}).redirected == []
        assert secrets(registry, "alike") == {"smtp.password": "alike secret"}


class TestRotation:
    def test_a_new_first_key_seals_all_anew_and_binds_it_as_before(self, registry: Registry, backend: Backend) -> None:
        with backend.open(f"{NEW_KEY},{KEY}").writing() as writer:
            writer.reseal()
        rotated = backend.open(NEW_KEY)
        assert secrets(rotated, "both") == {"smtp.password": "smtp secret", "imap.password": "imap secret"}
        copy_secret(backend, ("both", "smtp.password"), ("alike", "smtp.password"))
        assert_refused(rotated, "alike", "smtp.password")

    def test_rotation_and_a_permitted_change_in_one_task_seal_once(self, registry: Registry, backend: Backend) -> None:
        rotating = backend.open(f"{NEW_KEY},{KEY}")
        with rotating.writing() as writer:
            carry_out(writer, request({"name": "alike", "smtp": {"port": 465}}))
            writer.reseal()
        assert secrets(backend.open(NEW_KEY), "alike") == {"smtp.password": "alike secret"}
