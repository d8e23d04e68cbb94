# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each of the four modules returns."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Play

HOST = {"host": "mail.example.com"}
SIGNED_IN = {**HOST, "username": "mailer", "password": "Rumpelstilzchen-7f3a9c51e2"}
IMAP = {"host": "imap.example.com"}
NOTHING = {"before": {}, "after": {}}
FIELDS = {
    *("name", "display_name", "description", "enabled", "provider", "from_address", "from_name", "signature"),
    *("reply_to", "errors_to", "cc", "bcc", "headers", "test_address", "available_to"),
    *("smtp", "imap", "graph", "oauth2"),
    *("type", "is_default", "purposes", "secrets", "revision", "created_at", "created_by", "updated_at", "updated_by"),
    "init_mail",
}


UNBOUND = "no connector is bound to it, for any tenant, so the default serves it: default"


def info(play: Play, name: str) -> dict[str, Any]:
    (found,) = play("connector_info", name=name)["connectors"]
    return dict(found)


class TestConnector:
    def test_what_is_made_is_shown_with_all_its_fields_and_no_secret(self, play: Play) -> None:
        result = play("connector", name="a", smtp=SIGNED_IN, from_address="a@example.com", default=True)
        assert set(result) == {"changed", "connector", "diff"}
        shown = result["connector"]
        assert set(shown) == FIELDS
        assert (shown["type"], shown["is_default"], shown["secrets"]) == ("smtp", True, ["smtp.password"])
        assert (shown["revision"], shown["display_name"], shown["purposes"]) == (1, "a", [])
        assert (shown["smtp"]["port"], shown["smtp"]["security"], shown["smtp"]["auth"]) == (
            587,
            "starttls",
            "password",
        )
        assert "password" not in shown["smtp"]
        assert {**shown, "applications": [], "health": None} == info(play, "a")
        assert SIGNED_IN["password"] not in str(result)

    def test_the_diff_tells_what_differs_and_nothing_else(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN, description="old")
        result = play("connector", name="a", smtp={"port": 2525, "password": "another"}, description="new")
        assert result["diff"] == {
            "before": {"description": "old", "smtp": {"password": "(stored)"}},
            "after": {"description": "new", "smtp": {"port": 2525, "password": "(changed)"}},
        }

    def test_deleting(self, play: Play) -> None:
        play("connector", name="a", smtp=HOST)
        result = play("connector", name="a", state="absent")
        assert result == {
            "changed": True,
            "connector": None,
            "diff": {"before": {"name": "a", "smtp": HOST}, "after": {}},
        }
        assert play("connector", name="a", state="absent") == {"changed": False, "connector": None, "diff": NOTHING}

    def test_deleting_the_default_needs_a_successor(self, play: Play) -> None:
        play("connectors", connectors=[{"name": "a", "smtp": HOST}, {"name": "b", "smtp": HOST}], default="a")
        told = play("connector", name="a", state="absent")
        assert told["msg"] == (
            "connector a: is the default, and other enabled connectors remain: name one with new_default"
        )
        result = play("connector", name="a", state="absent", new_default="b")
        assert result["diff"]["before"]["default"] == "a"
        assert result["diff"]["after"] == {"default": "b"}
        assert info(play, "b")["is_default"]

    def test_the_default_moves(self, play: Play) -> None:
        play("connectors", connectors=[{"name": "a", "smtp": HOST}, {"name": "b", "smtp": HOST}], default="a")
        result = play("connector", name="b", state="default")
        assert result["diff"] == {"before": {"default": "a"}, "after": {"default": "b"}}
        assert (result["connector"]["is_default"], info(play, "a")["is_default"]) == (True, False)

    def test_renaming(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN, default=True)
        result = play("connector", name="a", new_name="b")
        assert result["connector"]["name"] == "b"
        assert result["connector"]["secrets"] == ["smtp.password"]
        assert result["diff"] == {"before": {"name": "a"}, "after": {"name": "b"}}
        assert play("connector", name="a", new_name="b")["changed"] is False

    def test_duplicating(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN, description="x", default=True)
        told = play("connector", copy_from="a", state="duplicated")
        assert told["msg"] == (
            "connector a_copied: smtp.password: must be given: secrets are not copied to a duplicate"
        )
        result = play("connector", copy_from="a", state="duplicated", smtp={"password": "another"})
        assert result["connector"]["name"] == "a_copied"
        assert (result["connector"]["description"], result["connector"]["is_default"]) == ("x", False)

    def test_duplicate_that_exists_and_is_the_default_is_disabled_with_a_successor(self, play: Play) -> None:
        play("connector", name="a", smtp=HOST)
        play("connector", name="b", smtp=HOST, default=True)
        disabling = {"name": "b", "state": "duplicated", "copy_from": "a", "enabled": False}
        assert "name one with new_default" in play("connector", **disabling)["msg"]
        assert play("connector", **disabling, new_default="a")["changed"] is True

    @pytest.mark.parametrize(
        ("written", "is_cleared"),
        [
            ({}, True),
            ("{}", True),
            (None, False),
            ({"host": None}, False),
            (dict.fromkeys(("host", "port", "username", "password")), False),
        ],
    )
    @pytest.mark.parametrize("module", ["connector", "connectors"])
    def test_an_empty_block_clears_and_one_of_nulls_does_not(
        self, play: Play, module: str, written: Any, is_cleared: bool
    ) -> None:
        play("connector", name="first", smtp=HOST)
        play("connector", name="a", smtp=SIGNED_IN, imap=IMAP)
        if module == "connector":
            result = play(module, name="a", smtp=written)
        else:
            result = play(module, connectors=[{"name": "first"}, {"name": "a", "smtp": written}], merge=True)
        shown = info(play, "a")
        assert result["changed"] is is_cleared
        assert (shown["smtp"] is None, shown["secrets"]) == (is_cleared, [] if is_cleared else ["smtp.password"])
        assert shown["imap"]["host"] == "imap.example.com"

    @pytest.mark.parametrize(
        ("options", "field", "expected"),
        [
            ({"description": ""}, "description", None),
            ({"cc": []}, "cc", []),
            ({"headers": {}}, "headers", {}),
            ({"clear": ["description"]}, "description", None),
            ({"clear": ["imap"]}, "imap", None),
            ({"description": None, "cc": None}, "description", "x"),
        ],
    )
    def test_what_clears_a_field(self, play: Play, options: dict[str, Any], field: str, expected: Any) -> None:
        play("connector", name="a", smtp=HOST, imap=IMAP, description="x", cc=["a@example.com"], headers={"X-A": "1"})
        result = play("connector", name="a", **options)
        assert result["connector"][field] == expected

    def test_a_password_on_create_only(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN)
        changed = {"name": "a", "smtp": {**SIGNED_IN, "password": "another"}}
        assert play("connector", **changed, update_password="on_create")["changed"] is False
        assert play("connector", **changed)["changed"] is True

    def test_warnings_name_connector_and_field(self, play: Play) -> None:
        told = play("connector", name="a", smtp={**SIGNED_IN, "password": "abcd efgh ijkl mnop"})["warnings"]
        remark = "looks like an app password as it is displayed; if it is refused, give it without the spaces"
        assert told == [f"connector a: smtp.password: {remark}"]

    def test_duplicate_of_itself_is_refused_and_keeps_its_password(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN)
        copied = {"name": "a", "copy_from": "a", "smtp": {"password": "hunter2-new"}}
        result = play("connector", state="duplicated", **copied)
        assert result["msg"] == "connector a: copy_from: must be a different connector than the duplicate"
        assert play("connector", name="a", smtp=SIGNED_IN)["changed"] is False

    def test_derived_name_that_is_too_long_names_its_source(self, play: Play) -> None:
        source = "a" * 44
        play("connector", name=source, smtp=HOST)
        result = play("connector", state="duplicated", copy_from=source)
        allowed = "is longer than 50 characters: give the duplicate a name"
        assert result["msg"] == f"name: {source}_copied, made from copy_from {source}, {allowed}"
        assert play("connector", state="duplicated", copy_from=source, name="b")["changed"] is True

    def test_user_whose_password_is_kept_needs_none(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN)
        for update_password in ("always", "on_create"):
            told = {"smtp": {**HOST, "username": "mailer"}, "update_password": update_password}
            assert play("connector", name="a", **told)["changed"] is False
        result = play("connector", name="b", smtp={**HOST, "username": "mailer"}, update_password="on_create")
        assert "smtp.username: is given without a credential" in result["msg"]

    def test_provider_is_stored_under_its_own_name(self, play: Play) -> None:
        first = play("connector", name="a", provider="Office365", smtp={"relay": True})
        assert (first["connector"]["provider"], first["connector"]["smtp"]["host"]) == (
            "microsoft365",
            "smtp.office365.com",
        )
        assert play("connector", name="a", provider="microsoft365")["changed"] is False


class TestConnectors:
    def test_what_it_returns(self, play: Play) -> None:
        entries = [{"name": name, "smtp": HOST} for name in ("keep", "change", "delete")]
        made = play("connectors", connectors=entries, default="keep", purposes={"alerts": "keep", "x@acme": "change"})
        assert set(made) == {"changed", "created", "updated", "deleted", "unchanged", "default", "diff"}
        assert (made["created"], made["updated"], made["deleted"]) == (["keep", "change", "delete"], [], [])
        assert (made["unchanged"], made["default"]) == (0, "keep")
        result = play(
            "connectors",
            connectors=[entries[0], {**entries[1], "description": "new"}, {"name": "new", "imap": IMAP}],
            purposes={"alerts": "change"},
            default="change",
            purge=True,
        )
        assert result == {
            "changed": True,
            "created": ["new"],
            "updated": ["change"],
            "deleted": ["delete"],
            "unchanged": 1,
            "default": "change",
            "diff": {
                "before": {
                    "connectors": {"change": {}, "delete": {"name": "delete", "smtp": HOST}},
                    "default": "keep",
                    "purposes": {"alerts": "keep", "x@acme": "change"},
                },
                "after": {
                    "connectors": {"change": {"description": "new"}, "new": {"name": "new", "imap": IMAP}},
                    "default": "change",
                    "purposes": {"alerts": "change"},
                },
            },
        }

    def test_an_entry_is_the_whole_truth_but_for_secrets(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN, description="old", imap=IMAP)
        without_password = {"name": "a", "smtp": {**HOST, "username": "mailer"}}
        assert play("connectors", connectors=[without_password])["updated"] == ["a"]
        shown = info(play, "a")
        assert (shown["description"], shown["imap"], shown["secrets"]) == (None, None, ["smtp.password"])
        assert play("connectors", connectors=[without_password])["unchanged"] == 1

    def test_merging_leaves_the_rest_alone(self, play: Play) -> None:
        play("connector", name="a", smtp=SIGNED_IN, description="old")
        play("connectors", connectors=[{"name": "a", "signature": "new"}], merge=True)
        shown = info(play, "a")
        assert (shown["description"], shown["signature"]) == ("old", "new")

    def test_a_rule_that_one_entry_breaks_keeps_all_as_it_was(self, play: Play) -> None:
        entries = [{"name": "a", "smtp": HOST}, {"name": "b", "smtp": HOST}]
        play("connectors", connectors=entries, purposes={"alerts": "a"})
        result = play("connectors", connectors=[{"name": "new", "smtp": HOST}, {**entries[0], "enabled": False}])
        assert result["msg"] == "connector a: is in use by alerts: bind these purposes to another connector first"
        assert [each["name"] for each in play("connector_info")["connectors"]] == ["a", "b"]


class TestConnectorInfo:
    @pytest.fixture
    def filled(self, play: Play) -> Play:
        entries = [
            {"name": "default", "smtp": HOST},
            {"name": "bound", "smtp": HOST, "available_to": ["acme"]},
            {"name": "off", "imap": IMAP, "enabled": False},
        ]
        play(
            "connectors",
            connectors=entries,
            default="default",
            purposes={"alerts@acme": "bound", "approvals": "default"},
        )
        return play

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ({}, ["bound", "default", "off"]),
            ({"name": "off"}, ["off"]),
            ({"name": "nobody"}, []),
            ({"name": ""}, ["bound", "default", "off"]),
            ({"purpose": "alerts", "tenant": "acme"}, ["bound"]),
            ({"purpose": "alerts", "tenant": "globex"}, ["default"]),
            ({"purpose": "alerts"}, ["default"]),
            ({"purpose": "approvals", "tenant": "acme"}, ["default"]),
            ({"purpose": "unknown"}, ["default"]),
        ],
    )
    def test_which_are_found(self, filled: Play, options: dict[str, Any], names: list[str]) -> None:
        result = filled("connector_info", **options)
        result.pop("warnings", None)
        assert set(result) == {"changed", "connectors"}
        assert [each["name"] for each in result["connectors"]] == names
        fields = {*FIELDS, "applications", "health"} | ({"resolved_by"} if "purpose" in options else set())
        assert all(set(each) == fields for each in result["connectors"])

    @pytest.mark.parametrize(
        ("purpose", "tenant", "resolved_by", "warnings"),
        [
            ("alerts", "acme", "tenant_purpose", []),
            ("approvals", "", "purpose", []),
            ("approvals", "acme", "purpose", []),
            ("alerts", "globex", "default", []),
            (
                "alarts",
                "acme",
                "default",
                [f"purpose alarts@acme: {UNBOUND}; did you mean alerts?"],
            ),
            (
                "backup",
                "",
                "default",
                [f"purpose backup: {UNBOUND}"],
            ),
        ],
    )
    def test_how_a_purpose_is_resolved(
        self, filled: Play, purpose: str, tenant: str, resolved_by: str, warnings: list[str]
    ) -> None:
        """Usability, finding 18: a misspelt purpose fell back to the default without a word."""
        result = filled("connector_info", purpose=purpose, tenant=tenant)
        assert [each["resolved_by"] for each in result["connectors"]] == [resolved_by]
        assert result.get("warnings", []) == warnings

    def test_a_misspelt_purpose_without_a_default_names_the_nearest(self, play: Play) -> None:
        entries = [{"name": name, "smtp": HOST} for name in ("a", "b")]
        play("connectors", connectors=entries, purposes={"alerts": "a"})
        told = play("connector_info", purpose="alarts")
        assert told["msg"] == (
            "purpose alarts: no connector is bound to it and there is no default; did you mean alerts?"
        )

    def test_purposes_are_shown_at_their_connector(self, filled: Play) -> None:
        shown = {each["name"]: each["purposes"] for each in filled("connector_info")["connectors"]}
        assert shown == {"bound": ["alerts@acme"], "default": ["approvals"], "off": []}

    def test_nothing_bound_and_no_default(self, play: Play) -> None:
        play("connector", name="a", smtp=HOST)
        told = play("connector_info", purpose="alerts", tenant="acme")
        assert told["msg"] == "purpose alerts@acme: no connector is bound to it and there is no default"

    def test_history(self, filled: Play) -> None:
        filled("connector", name="off", description="x")
        (shown,) = filled("connector_info", name="off", history=True)["connectors"]
        assert set(shown) == {*FIELDS, "applications", "health", "history"}
        assert [(each["revision"], each["after"].get("description")) for each in shown["history"]] == [
            (1, None),
            (2, "x"),
        ]

    def test_no_registry_is_warned_about(self, play: Play, registry_path: Any) -> None:
        result = play("connector_info")
        assert result["connectors"] == []
        assert result["warnings"] == [f"There is no registry {registry_path} yet, so there are no connectors."]
        assert not registry_path.parent.exists()

    @pytest.mark.parametrize("options", [{"name": "a", "purpose": "b"}, {"tenant": "acme"}])
    def test_options_that_exclude_or_need_each_other(self, play: Play, options: dict[str, Any]) -> None:
        assert play("connector_info", **options)["failed"] is True


class TestConnectorPurpose:
    def test_binding_rebinding_and_unbinding(self, play: Play) -> None:
        play("connectors", connectors=[{"name": "a", "smtp": HOST}, {"name": "b", "smtp": HOST}])

        def result(connector: str | None, before: dict[str, str], after: dict[str, str]) -> dict[str, Any]:
            diff = {"before": {"purposes": before}, "after": {"purposes": after}} if before != after else NOTHING
            return {
                "changed": before != after,
                "purpose": "alerts",
                "tenant": "acme",
                "connector": connector,
                "diff": diff,
            }

        asked = {"purpose": "alerts", "tenant": "acme"}
        to_a, to_b = {"alerts@acme": "a"}, {"alerts@acme": "b"}
        assert play("connector_purpose", **asked, connector="a") == result("a", {}, to_a)
        assert play("connector_purpose", **asked, connector="a") == result("a", to_a, to_a)
        assert play("connector_purpose", **asked, connector="b") == result("b", to_a, to_b)
        assert play("connector_purpose", **asked, connector="a", state="absent") == result("b", to_b, to_b)
        assert play("connector_purpose", **asked, state="absent") == result(None, to_b, {})
        assert play("connector_purpose", **asked, state="absent") == result(None, {}, {})

    def test_without_tenant(self, play: Play) -> None:
        play("connector", name="a", smtp=HOST)
        result = play("connector_purpose", purpose="alerts", connector="a", tenant="")
        assert (result["tenant"], result["diff"]["after"]) == (None, {"purposes": {"alerts": "a"}})

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"connector": "nobody"}, "purpose alerts: connector: connector nobody does not exist"),
            ({"connector": "off"}, "purpose alerts: connector: connector off is disabled"),
            (
                {"connector": "acme", "tenant": "globex"},
                "purpose alerts@globex: tenant: connector acme is available to these tenants only: acme",
            ),
        ],
    )
    def test_what_cannot_be_bound(self, play: Play, options: dict[str, Any], told: str) -> None:
        play("connector", name="off", smtp=HOST, enabled=False)
        play("connector", name="acme", smtp=HOST, available_to=["acme"])
        assert play("connector_purpose", purpose="alerts", **options)["msg"] == told

    def test_a_connector_is_required_to_bind(self, play: Play) -> None:
        assert play("connector_purpose", purpose="alerts")["failed"] is True
