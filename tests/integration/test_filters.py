# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters say what their input must be."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

pytestmark = pytest.mark.oldest


def of(name: str) -> Any:
    module = importlib.import_module(f"ansible_collections.mailroom.core.plugins.filter.{name}")
    return module.FilterModule().filters()[name]


@pytest.mark.parametrize(
    ("name", "given", "more"),
    [
        ("declared", ["alerts"], []),
        ("differences", {"before": {}}, []),
        ("differences", "diff", []),
        ("verdict_table", {"results": []}, []),
        ("verdict_table", ["ok"], []),
        ("junit", "ok", ["host"]),
        ("junit", [["ok"]], ["host"]),
        ("variable_problems", ["mailroom_verify"], []),
        ("unknown_names", "alerts", [["alerts"]]),
        ("unknown_names", ["alerts"], ["alerts"]),
        ("unknown_names", 5, [[]]),
        ("outdated_applications", {"changed": False}, []),
        ("outdated_applications", ["msmtp"], []),
        ("without_blanks", [{}], []),
        ("comparable_applications", {}, [{"created": [], "default": None, "diff": {}}, {"connectors": []}]),
        ("comparable_applications", [], [{"created": []}, {"connectors": []}]),
    ],
)
def test_another_input_is_refused(name: str, given: Any, more: list[str]) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"^mailroom\.core\.{name}: the input must be "):
        of(name)(given, *more)


def test_declared_tells_what_is_wrong_with_a_layer() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^secrets: must be a dictionary of connectors by their names$"):
        of("declared")({"secrets": ["alerts"]})


BLANKS = {
    "app": "env",
    "connector": None,
    "test": False,
    "options": {"format": "", "delete": None, "prefix": ""},
    "target": {"name": ""},
}
DETAILS = ["connector a: is new", "connector a: cc: b"]
UNKNOWN = ["alrts (did you mean alerts?)", "zebra"]


def test_declared_lists_what_is_wrong_where_that_is_asked_for() -> None:
    layers = {"shape": {"alerts": {"smtp": {"host": "h"}}}, "secrets": {"alrts": {"smtp": {"password": "x"}}}}
    assert of("declared")(layers, problems=True) == [
        "connector alrts: only secrets are given for it; did you mean alerts?"
    ]
    assert of("declared")({"shape": {"alerts": 5}}, problems=True) == [
        "shape: alerts: must be a dictionary, or null to remove the connector."
    ]
    assert of("declared")({"shape": {"alerts": {}}}, problems=True) == []


@pytest.mark.parametrize(
    ("name", "given", "more", "result"),
    [
        ("declared", {"a": {"x": {"smtp": {"host": "h"}}}}, [], [{"name": "x", "smtp": {"host": "h"}}]),
        ("differences", {"before": {}, "after": {"default": "a"}}, [], ["default: (none) -> a"]),
        ("differences", {"before": {}, "after": {"connectors": {"a": {"cc": "b"}}}}, [True], DETAILS),
        ("variable_problems", {"mailroom_x_mine": 1, "mailroom_purge": ""}, [], []),
        ("unknown_names", ["alrts", "zebra", "alerts", "alrts"], [["alerts"]], UNKNOWN),
        ("without_blanks", BLANKS, [], {"app": "env", "test": False, "options": {"prefix": ""}, "target": {}}),
        ("verdict_table", [], [], ["connector  status  verdict  where  ms", "0 tested: 0 ok, 0 warn, 0 fail"]),
    ],
)
def test_what_they_return(name: str, given: Any, more: list[str], result: Any) -> None:
    assert of(name)(given, *more) == result


def test_junit_returns_xml() -> None:
    assert of("junit")([], "host").startswith("<testsuites>")
