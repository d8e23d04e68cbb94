# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with variables of the roles."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.plugin_utils._variables import (
    APPLICATIONS,
    VARIABLES,
    validate_variables,
)

OWN = "Names of your own variables must not begin with mailroom_, except with mailroom_x_."


def test_unknown_variable_names_the_nearest() -> None:
    nearest = {
        "mailroom_conectors": "mailroom_connectors",
        "mailroom_connector": "mailroom_connectors",
        "mailroom_connectors_env": "mailroom_connectors_environment",
        "mailroom_connectors_secret": "mailroom_connectors_secrets",
        "mailroom_purpose": "mailroom_purposes",
        "mailroom_init_email": "mailroom_init_mail",
        "mailroom_Verify": "mailroom_verify",
        "mailroom_app": "mailroom_apps",
    }
    assert {typed: validate_variables({typed: ""}) for typed in nearest} == {
        typed: [f"{typed}: there is no such variable; did you mean {meant}?", OWN] for typed, meant in nearest.items()
    }


def test_unknown_variable_that_is_like_no_other_names_none() -> None:
    names = "mailroom_ mailroom_zebra mailroom_summary mailroom_x".split()
    assert {name: validate_variables({name: ""}) for name in names} == {
        name: [f"{name}: there is no such variable.", OWN] for name in names
    }


def test_variables_of_ones_own_are_left_alone() -> None:
    assert validate_variables({"mailroom_x_result": object(), "mailroom_x_": 1}) == []


def test_known_variables_may_be_blank() -> None:
    assert validate_variables(dict.fromkeys(VARIABLES, "")) == []


GOOD: list[tuple[str, Any]] = [
    *(("mailroom_purge", value) for value in (True, False, "true", "false", "True", "False")),
    *(("mailroom_batch", value) for value in (1, "50", 1000)),
    *(("mailroom_serial", value) for value in (1, "2", "30%", [1, "50%"])),
    *(("mailroom_only", value) for value in ("alerts", "alerts, support", ["alerts"], [], ("alerts",))),
    *(("mailroom_hosts", value) for value in ("all:!test", ["a", "b"])),
    *(("mailroom_verify", value) for value in ("none", "deliver")),
    *((f"mailroom_connectors{layer}", value) for layer in ("", "_secrets") for value in ({}, None, {"a": None})),
    ("mailroom_default", 5),
    *(("mailroom_metrics", value) for value in ("/var/lib/mailroom.prom", "~/mailroom.prom")),
    ("mailroom_purposes", {"alerts": "alerts", "alerts@acme": "other"}),
    ("mailroom_apps", [{"app": "msmtp", "path": "/etc/msmtprc", "mode": 600, "backup": "yes", "options": {}}]),
    ("mailroom_apps", [{"app": "postfix", "path": "/x", "connector": "", "purpose": None, "state": "absent"}]),
    *(("mailroom_msmtp", value) for value in ({}, None, {"purpose": "", "mode": 600}, {"reload": "kill -HUP 1"})),
    *(("mailroom_msmtp_prove_to", value) for value in ("bob@example.com", "bob@bücher.example")),
]
BAD: list[tuple[str, Any]] = [
    *(("mailroom_purge", value) for value in ("yes", "maybe", 1, None, [], {})),
    *(("mailroom_batch", value) for value in (0, -1, "many", 1.5, True, [50], "1\n", "9" * 10)),
    *(("mailroom_serial", value) for value in (0, "0%", "x", {}, [1, "x"], True)),
    *(("mailroom_only", value) for value in (5, {"alerts": 1}, [["alerts"]], [None], True)),
    *(("mailroom_verify", value) for value in ("deeply", False, None, ["login"], {})),
    *(("mailroom_default", value) for value in ([], {}, True, None)),
    *(("mailroom_metrics", value) for value in ("mailroom.prom", "./mailroom.prom", "~root", 5, None, ["/x"])),
    *(("mailroom_connectors", value) for value in ([], "alerts", 5, True)),
    *(("mailroom_purposes", value) for value in ([], "alerts", 5, {"alerts": ["a"]})),
    *(("mailroom_apps", value) for value in ({}, "postfix", 5, True)),
    *(("mailroom_msmtp", value) for value in ([], "alerts", 5, True)),
    *(
        ("mailroom_msmtp_prove_to", value)
        for value in ([], None, 5, "bob", "-Cx@example.com", "a@b.example\nTo: c@d.example")
    ),
    *(("mailroom_msmtp_prove_to", value) for value in ("a@b.example, c@d.example", "Bob <bob@example.com>")),
]


def test_value_of_the_right_kind_is_fine() -> None:
    assert [(name, value) for name, value in GOOD if validate_variables({name: value})] == []


def test_value_of_another_kind_is_told_in_a_sentence() -> None:
    expected = [(name, value, [f"{name}: {VARIABLES[name].allowed}."]) for name, value in BAD]
    assert [(name, value, validate_variables({name: value})) for name, value in BAD] == expected


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("postfix", ["must be a dictionary."]),
        ({}, ["app: is required.", "path: is required."]),
        ({"app": "pine", "path": "/x"}, [f"app: must be one of: {', '.join(APPLICATIONS)}."]),
        ({"app": "postfix", "path": "/x", "option": {}}, ["option: there is no such option; did you mean options?"]),
        ({"app": "postfix", "path": "/x", "zebra": 1}, ["zebra: there is no such option."]),
        ({"app": "postfix", "path": ["/x"]}, ["path: must be text."]),
        ({"app": "postfix", "path": "/x", "backup": []}, ["backup: must be true or false."]),
        ({"app": "postfix", "path": "/x", "options": "x"}, ["options: must be a dictionary."]),
        ({"app": "postfix", "path": "/x", "state": "gone"}, ["state: must be one of: present, absent, forgotten."]),
    ],
)
def test_entry_of_an_application_is_checked(entry: Any, told: list[str]) -> None:
    fine = {"app": "msmtp", "path": "/x"}
    assert validate_variables({"mailroom_apps": [fine, entry]}) == [f"mailroom_apps[1]: {each}" for each in told]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"app": "postfix"}, "app: there is no such option."),
        ({"purpose": ["a"]}, "purpose: must be text."),
        ({"prove_to": "a"}, "prove_to: there is no such option."),
    ],
)
def test_entry_of_a_role_for_one_application_is_checked(entry: Any, told: str) -> None:
    assert validate_variables({"mailroom_msmtp": {"connector": "", **entry}}) == [f"mailroom_msmtp: {told}"]


def test_mistake_within_a_layer_is_told() -> None:
    assert validate_variables({"mailroom_connectors_environment": {"alerts": ["smtp"]}}) == [
        "mailroom_connectors_environment: alerts: must be a dictionary, or null to remove the connector."
    ]


def test_secrets_without_a_shape_are_fine_here() -> None:
    """The playbook rotate is given no other layer."""
    assert validate_variables({"mailroom_connectors_secrets": {"alerts": {"smtp": {"password": "x"}}}}) == []


def test_all_that_is_wrong_is_told_at_once_and_no_value_is_repeated() -> None:
    secret = "not-to-be-shown-1"
    given = {name: [[secret]] for name in VARIABLES} | {"mailroom_hots": secret}
    problems = validate_variables(given)
    assert len(problems) == len(VARIABLES) + len(["mailroom_hots", OWN])
    assert secret not in "".join(problems)


def test_name_from_outside_is_shown_short_and_printable() -> None:
    (problem, _own) = validate_variables({"mailroom_\x1b[31m" + "x" * 10_000: ""})
    assert problem.isprintable()
    assert len(problem) < 200


def test_application_with_an_api_can_be_forgotten() -> None:
    entry = {"app": "keepnet", "url": "https://keepnet.example.com", "connector": "main", "state": "forgotten"}
    assert validate_variables({"mailroom_apis": [entry]}) == []
    told = "mailroom_apis[0]: state: must be one of: present, absent, forgotten."
    assert validate_variables({"mailroom_apis": [{**entry, "state": "gone"}]}) == [told]
