# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bugs of ours: one sentence, and with -vvv where they happened; never a value (house review, defect 6)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._check import endpoint, runner
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.smtp import SmtpCheck
from ansible_collections.mailroom.core.plugins.module_utils._errors import format_traceback
from ansible_collections.mailroom.core.plugins.module_utils._message import compose
from ansible_collections.mailroom.core.plugins.module_utils._net.connection import Connection

from .conftest import Play

MODULE_UTILS = "ansible_collections.mailroom.core.plugins.module_utils"
BODIES = f"{MODULE_UTILS}._module"
PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SIGNED_IN = {"host": "127.0.0.1", "port": 9, "security": "none", "username": "ann", "password": PASSWORD}
DECLARATION = {"name": "a", "smtp": SIGNED_IN, "from_address": "a@example.com", "test_address": "b@example.com"}


def a_bug_of_ours(*_given: Any, **_more: Any) -> Any:
    shown_by_some_tracebacks = PASSWORD
    try:
        raise KeyError(shown_by_some_tracebacks)
    except KeyError as error:
        text = f"cannot read the password {shown_by_some_tracebacks} as a number"
        raise TypeError(text) from error


BODIES_WITH_A_BUG: list[tuple[str, str, dict[str, Any]]] = [
    ("connector", f"{BODIES}.connector.view", {"name": "a", "smtp": SIGNED_IN}),
    ("connector", f"{BODIES}.connector.parse_declaration", {"name": "a", "smtp": SIGNED_IN}),
    # What is malformed is read a second time, where a bug was once taken for "no problem".
    ("connector", f"{BODIES}.connector.parse_declaration", {"name": "a", "smtp": {**SIGNED_IN, "port": "x"}}),
    ("connectors", f"{BODIES}.connectors.parse_declaration", {"connectors": [{"name": "a", "smtp": SIGNED_IN}]}),
    ("connectors", f"{BODIES}.connectors.parse_declaration", {"connectors": [{"name": "a", "smtp": PASSWORD}]}),
    ("connector_test", f"{BODIES}.inline.parse_declaration", {"declaration": {"smtp": {"port": PASSWORD}}}),
    ("connector_test", f"{BODIES}.connector_test.run_tests", {"declaration": DECLARATION}),
    ("connector_test", f"{BODIES}.connector_test.table_message", {"declaration": DECLARATION}),
    ("connector_info", f"{BODIES}.connector_info.open_registry", {"registry_key": PASSWORD}),
    ("connector_purpose", f"{BODIES}.change.make_plan", {"purpose": "alerts", "connector": "a"}),
    ("init_mail", f"{BODIES}.init_mail.stamp", {"registry_key": PASSWORD}),
    ("connector", f"{BODIES}.task.parse_options", {"name": "a", "smtp": SIGNED_IN}),
]


@pytest.mark.parametrize(
    ("module", "place", "options", "verbosity"),
    [*((*row, 3) for row in BODIES_WITH_A_BUG), *((*BODIES_WITH_A_BUG[0], verbosity) for verbosity in (0, 2, 4))],
)
def test_a_bug_in_a_modules_body_is_a_sentence_and_a_traceback_for_those_who_ask(
    play: Play, monkeypatch: pytest.MonkeyPatch, module: str, place: str, options: dict[str, Any], *, verbosity: int
) -> None:
    monkeypatch.setattr(place, a_bug_of_ours)
    result = play(module, verbosity=verbosity, **options)
    assert result["failed"] is True
    assert result["msg"] == (
        "This is a bug in mailroom.core (TypeError), not a mistake in the task. Run the task again with -vvv, which"
        " shows where it happened, and report the output."
    )
    traceback = result.get("traceback", [])
    assert bool(traceback) == (verbosity >= 3)
    assert not traceback or [line for line in traceback if "in a_bug_of_ours" in line]
    assert not traceback or "KeyError" in traceback
    assert ("exception" in result) <= bool(traceback)
    assert PASSWORD not in str(result)
    assert not [line for line in traceback if "cannot read" in line and line[:1] != " "]


BUGS_IN_A_TEST: dict[str, tuple[Any, str]] = {
    "connecting": (Connection, "connect"),
    "the protocol's own test": (SmtpCheck, "mail_phases"),
    "warnings": (endpoint, "warnings_of"),
    "composing": (compose, "compose"),
    "the order of servers": (runner, "checks_of"),
    "the servers of a connector": (Job, "endpoints"),
}


@pytest.mark.parametrize(("where", "verbosity"), [*((where, 3) for where in BUGS_IN_A_TEST), ("connecting", 0)])
def test_a_bug_in_the_test_of_a_connector_is_that_connectors_own(
    play: Play, monkeypatch: pytest.MonkeyPatch, where: str, *, verbosity: int
) -> None:
    monkeypatch.setattr(*BUGS_IN_A_TEST[where], a_bug_of_ours)
    play("connector", name="off", smtp=SIGNED_IN, enabled=False)
    play("connector", **DECLARATION)
    result = play("connector_test", connectors=["off", "a"], depth="send", verbosity=verbosity)
    disabled, tested = result["results"]
    assert (disabled["verdict"], "traceback" in disabled) == ("config_invalid", False)
    assert (tested["verdict"], tested["status"]) == ("internal_error", "fail")
    assert "TypeError" in tested["remedy"]
    assert "-vvv" in tested["remedy"]
    assert ("traceback" in tested) == (verbosity == 3)
    assert PASSWORD not in str(result)
    if verbosity == 3:
        assert [line for line in tested["traceback"] if "in a_bug_of_ours" in line]
        assert [line for line in tested["traceback"] if line.startswith("TypeError: cannot read the password **")]


def test_a_bug_in_a_phase_fails_that_phase(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{Connection.__module__}.resolve", a_bug_of_ours)
    (result,) = play("connector_test", declaration=DECLARATION)["results"]
    statuses = {phase["phase"]: phase["status"] for phase in result["endpoints"][0]["phases"]}
    assert (statuses["config"], statuses["dns"], statuses["tcp"]) == ("ok", "fail", "skipped")


@pytest.mark.parametrize("verify", ["connect", "login"])
def test_a_bug_in_a_test_before_a_change_is_told_too(play: Play, monkeypatch: pytest.MonkeyPatch, verify: str) -> None:
    monkeypatch.setattr(Connection, "connect", a_bug_of_ours)
    result = play("connector", **DECLARATION, verify=verify, verbosity=3)
    assert result["result"]["verdict"] == "internal_error"
    assert [line for line in result["result"]["traceback"] if "in a_bug_of_ours" in line]
    assert PASSWORD not in str(result)


def test_a_bug_while_an_init_mail_is_sent_is_told_too(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play("connector", **DECLARATION)
    monkeypatch.setattr(Connection, "connect", a_bug_of_ours)
    result = play("init_mail", verbosity=3)
    assert [line for line in result["results"][0]["traceback"] if "in a_bug_of_ours" in line]
    assert PASSWORD not in str(result)


@pytest.mark.parametrize("needed", ["_check.smtp", "_message.compose"])
def test_a_module_of_ours_that_cannot_be_imported_is_a_bug(
    play: Play, monkeypatch: pytest.MonkeyPatch, needed: str
) -> None:
    """House review, defect 8: what could not be imported early was passed over in silence."""
    package, _dot, name = needed.rpartition(".")
    monkeypatch.delattr(importlib.import_module(f"{MODULE_UTILS}.{package}"), name, raising=False)
    monkeypatch.setitem(sys.modules, f"{MODULE_UTILS}.{needed}", None)
    result = play("connector_test", declaration=DECLARATION, depth="send", verbosity=3)
    assert result["failed"] is True
    assert "bug in mailroom.core (ModuleNotFoundError)" in result["msg"]
    assert [line for line in result["traceback"] if "_import_early" in line]


def _raised(raise_it: Callable[[], Any]) -> BaseException:
    try:
        raise_it()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def test_without_redaction_no_exception_says_anything() -> None:
    lines = format_traceback(_raised(a_bug_of_ours))
    assert [line for line in lines if not line.startswith(" ")] == [
        *("Traceback (most recent call last):", "KeyError", "Traceback (most recent call last):", "TypeError")
    ]


def test_a_traceback_without_end_is_short() -> None:
    def deeper(depth: int) -> Any:
        return deeper(depth + 1) if depth % 2 else _shallower(depth)

    def _shallower(depth: int) -> Any:
        return deeper(depth + 1)

    assert len(format_traceback(_raised(lambda: deeper(0)))) < 150


def test_an_exception_that_cannot_be_shown_is_still_told() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail() -> None:
        raise Broken

    assert format_traceback(_raised(fail), str)[-1] == "Broken"


def test_exceptions_that_lead_to_each_other_come_to_an_end() -> None:
    one, other = ValueError(), TypeError()
    one.__cause__, other.__cause__ = other, one
    assert len(format_traceback(one)) == 4
