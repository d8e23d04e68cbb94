# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of connector_test, as far as no server is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table

from .conftest import Play

HOST = {"host": "mail.example.com"}
SECRET = "Rumpelstilzchen-7f3a9c51e2"


@pytest.fixture
def stored(play: Play) -> Play:
    """With two connectors, of which one is disabled."""
    play("connector", name="on", smtp=HOST)
    play("connector", name="off", smtp=HOST, enabled=False)
    return play


def test_nothing_stored_is_nothing_to_test(play: Play, registry_path: Path) -> None:
    result = play("connector_test")
    assert result.pop("warnings") == [f"Nothing was tested: the registry {registry_path} does not exist yet."]
    assert result == {
        "changed": False,
        "msg": "connector  status  verdict  where  ms\n0 tested: 0 ok, 0 warn, 0 fail",
        "results": [],
        "summary": {"ok": 0, "warn": 0, "fail": 0},
    }


def test_nothing_enabled_is_nothing_to_test(play: Play, registry_path: Path) -> None:
    play("connector", name="off", smtp=HOST, enabled=False)
    told = f"Nothing was tested: the registry {registry_path} holds no enabled connector."
    assert play("connector_test")["warnings"] == [told]


def test_an_empty_list_asks_for_no_connector(stored: Play) -> None:
    result = stored("connector_test", connectors=[])
    assert (result["results"], result["warnings"]) == ([], ["Nothing was tested: the list of connectors is empty."])


def test_a_disabled_connector_is_not_tested_even_when_it_is_named(stored: Play) -> None:
    result = stored("connector_test", connectors=["off"], fail=False)
    assert [(each["verdict"], each["endpoints"]) for each in result["results"]] == [("config_invalid", [])]
    assert result["summary"] == {"ok": 0, "warn": 0, "fail": 1}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown name": ({"connectors": ["on", "nobody"]}, "connector nobody: there is no such connector"),
    "an empty declaration": (
        {"declaration": {}},
        "connector declaration: requires at least one of smtp, imap and graph",
    ),
    "a field that is misspelt": (
        {"declaration": {"smtp": {"hots": "mail.example.com"}}},
        "connector declaration: smtp.hots: there is no such field; did you mean smtp.host?",
    ),
    "a secret that is not given": (
        {"declaration": {"name": "on", "smtp": {**HOST, "username": "ann", "auth": "password"}}},
        "connector on: smtp.password: is required to sign in with a password",
    ),
    "a secret without a user": (
        {"declaration": {"smtp": {**HOST, "password": SECRET}}},
        "connector declaration: smtp.password: requires username, and auth password or left out",
    ),
    "both": (
        {"connectors": ["on"], "declaration": {"smtp": HOST}},
        "declaration: cannot be given with connectors",
    ),
    "no time": ({"timeout": 0}, "timeout: must be a number from 0.1 to 600"),
    "less than no time": ({"deadline": -1}, "deadline: must be a number from 0.1 to 3600"),
    "no time that ends": ({"deadline": "inf"}, "deadline: must be a number from 0.1 to 3600"),
    "not a number": ({"timeout": "nan"}, "timeout: must be a number from 0.1 to 600"),
    "too many at once": ({"concurrency": 257}, "concurrency: must be a number from 1 to 256"),
    "days before today": ({"min_days_valid": -1}, "min_days_valid: must be a number from 0 to 3650"),
    "a recipient that is none": (
        {"to": "ann@example.com\r\nRCPT TO:<bob@example.com>"},
        "to: must be a mail address such as alerts@example.com, without a display name",
    ),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_a_sentence(stored: Play, options: dict[str, Any], message: str) -> None:
    result = stored("connector_test", **options)
    assert (result["failed"], result["msg"]) == (True, message)
    assert SECRET not in str(result)


@pytest.mark.parametrize("options", [{}, {"depth": "deliver", "check": True}], ids=["not needed", "check mode"])
def test_deliver_via_is_looked_up_where_no_mailbox_is_read(stored: Play, options: dict[str, Any]) -> None:
    result = stored("connector_test", connectors=["off"], deliver_via="nobody", **options)
    assert result["msg"] == "deliver_via: there is no connector nobody"


def test_where_there_is_no_registry_that_is_said(play: Play, registry_path: Path) -> None:
    result = play("connector_test", connectors=["on"])
    assert result["msg"] == f"registry {registry_path}: there is no registry here yet"


@pytest.mark.parametrize("fail", [True, False])
def test_the_message_is_the_table_and_never_the_details(stored: Play, *, fail: bool) -> None:
    """Usability, finding 10."""
    result = stored("connector_test", connectors=["off"], fail=fail)
    assert result.get("failed", False) is fail
    assert result["msg"].splitlines() == table(parse_results(result["results"]))
    assert "endpoints" not in result["msg"]


def test_a_lost_key_is_said_once_and_names_all_that_it_concerns(play: Play, registry_path: Path) -> None:
    """Usability, finding 11."""
    signed_in = {**HOST, "username": "ann@example.com", "password": SECRET}
    play("connectors", connectors=[{"name": name, "smtp": signed_in} for name in ("alerts", "news", "support")])
    Path(f"{registry_path}.key").unlink()
    result = play("connector_test")
    assert {each["verdict"] for each in result["results"]} == {"host_not_ready"}
    said = " ".join(result["msg"].split())
    assert said.count("put back registry_key_file") == 1
    assert (
        "alerts, news, support: host_not_ready (certain). This host is not ready for the task: The registry holds"
        in said
    )
    assert "declaration" not in said


@pytest.mark.parametrize(
    ("more", "verdict"),
    [({"enabled": False}, "config_invalid"), ({}, "host_not_ready")],
    ids=["disabled", "not to be opened"],
)
def test_a_mailbox_that_cannot_be_opened_is_named_with_each_connector(
    play: Play, registry_path: Path, more: dict[str, Any], verdict: str
) -> None:
    """Usability, finding 12."""
    reading = {"name": "support", "imap": {**HOST, "username": "ann@example.com", "password": SECRET}, **more}
    play("connectors", connectors=[{"name": "alerts", "smtp": HOST}, {"name": "news", "smtp": HOST}, reading])
    Path(f"{registry_path}.key").unlink()
    options = {"connectors": ["alerts", "news"], "depth": "deliver", "deliver_via": "support"}
    result = play("connector_test", **options)
    for each in result["results"]:
        assert (each["verdict"], each["field"], each["deliver_via"]) == (verdict, "deliver_via", "support")
        assert "connector support" in each["remedy"]
    assert result["msg"].count("mailbox of support") == 2
