# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of declarations, merged by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._connector.layers import merge_layers
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

SHAPE = {"alerts": {"provider": "mailgun", "smtp": {"username": "a@example.com", "port": 587}, "cc": ["x@example.com"]}}


def by_name(*layers: Any, partial: bool = False) -> dict[str, Any]:
    named = {f"layer{number}": layer for number, layer in enumerate(layers)}
    return {each.pop("name"): each for each in merge_layers(named, partial=partial)}


def error_message(*layers: Any, partial: bool = False) -> str:
    with pytest.raises(DeclarationError) as caught:
        by_name(*layers, partial=partial)
    return str(caught.value)


def test_a_later_layer_wins_deeply() -> None:
    merged_ = by_name(SHAPE, {"alerts": {"smtp": {"port": 465}}}, {"alerts": {"smtp": {"password": "secret"}}})
    assert merged_ == {
        "alerts": {
            "provider": "mailgun",
            "smtp": {"username": "a@example.com", "port": 465, "password": "secret"},
            "cc": ["x@example.com"],
        }
    }


def test_no_layer_is_changed() -> None:
    shape = {"alerts": {"smtp": {"port": 587}}}
    by_name(shape, {"alerts": {"smtp": {"port": 465}, "cc": []}})
    assert shape == {"alerts": {"smtp": {"port": 587}}}


def test_a_list_is_replaced() -> None:
    assert by_name(SHAPE, {"alerts": {"cc": ["y@example.com"]}})["alerts"]["cc"] == ["y@example.com"]
    assert by_name(SHAPE, {"alerts": {"cc": []}})["alerts"]["cc"] == []


def test_headers_are_merged_and_a_service_account_is_not() -> None:
    lower = {"a": {"headers": {"X-A": "1"}, "oauth2": {"service_account": {"type": "t", "old": "1"}}, "smtp": {}}}
    upper = {"a": {"headers": {"X-B": "2"}, "oauth2": {"service_account": {"type": "", "new": ""}}}}
    assert by_name(lower, upper)["a"] == {
        "headers": {"X-A": "1", "X-B": "2"},
        "oauth2": {"service_account": {"type": "", "new": ""}},
        "smtp": {},
    }


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ({"alerts": None}, {}),
        ({"alerts": {"smtp": None}}, {"alerts": {"provider": "mailgun", "cc": ["x@example.com"]}}),
        (
            {"alerts": {"smtp": {"port": None}, "cc": None, "provider": None}},
            {"alerts": {"smtp": {"username": "a@example.com"}}},
        ),
        ({"alerts": {"description": None, "imap": {"port": None}}}, SHAPE),
    ],
)
def test_null_leaves_out(upper: Any, left: Any) -> None:
    assert by_name(SHAPE, upper) == left


def test_null_leaves_out_what_only_its_secrets_are_given_for() -> None:
    secrets = {"alerts": {"smtp": {"password": "secret"}}}
    assert by_name(SHAPE, {"alerts": None}, secrets) == {}
    assert by_name({"alerts": None}, SHAPE, secrets)["alerts"]["smtp"]["password"] == "secret"
    assert by_name(SHAPE, {"alerts": None}, {"alerts": {"smtp": {"host": "new"}}}) == {
        "alerts": {"smtp": {"host": "new"}}
    }


@pytest.mark.parametrize("blank", ["", None, {}, {"alerts": ""}, {"alerts": {}}, {"alerts": {"smtp": {"port": ""}}}])
def test_what_is_blank_says_nothing(blank: Any) -> None:
    assert by_name(SHAPE, blank) == SHAPE
    assert by_name(blank, SHAPE) == SHAPE


def test_a_blank_secret_clears_no_block() -> None:
    # As {} the block would be cleared where the rest of the connector stays as it is.
    assert by_name({"alerts": {"smtp": {"password": ""}}}, partial=True) == {"alerts": {}}
    assert by_name({"alerts": {"smtp": {}}}, partial=True) == {"alerts": {"smtp": {}}}


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ((["alerts"],), "layer0: must be a dictionary of connectors by their names"),
        ((SHAPE, 5), "layer1: must be a dictionary of connectors by their names"),
        (({"alerts": ["smtp"]},), "layer0: alerts: must be a dictionary, or null to remove the connector"),
        (
            ({"alerts": {"name": "other", "smtp": {"host": "h"}}},),
            "connector alerts: name: must equal the connector's key",
        ),
        (({"alrts": {"smtp": {"password": "s"}}},), "connector alrts: only secrets are given for it"),
        (({"\x1b[31m\n": {"smtp": {"password": "s"}}},), "connector ?[31m?: only secrets are given for it"),
        (({"\x1b[31m\n": 5},), "layer0: ?[31m?: must be a dictionary"),
        ((SHAPE, {"alrts": {"oauth2": {"client_secret": "s"}}}), "connector alrts: only secrets are given for it"),
    ],
)
def test_what_a_layer_may_not_hold(layers: Any, told: str) -> None:
    assert told in error_message(*layers)


def test_all_is_told_at_once_and_no_value() -> None:
    said = error_message({"a": "rumpelstilzchen", "b": {"smtp": {"password": "rumpelstilzchen"}}}, ["rumpelstilzchen"])
    assert said.count("\n- ") == 3
    assert "rumpelstilzchen" not in said


def test_secrets_alone_are_a_change_of_what_is_there() -> None:
    assert by_name({"alerts": {"smtp": {"password": "s"}}}, partial=True) == {"alerts": {"smtp": {"password": "s"}}}


def test_the_key_may_be_repeated_as_the_name() -> None:
    assert merge_layers({"a": {"alerts": {"name": "alerts", "smtp": {"host": "h"}}}}) == [
        {"name": "alerts", "smtp": {"host": "h"}}
    ]


LEAVES = st.sampled_from(["", "x", None, 0, False, []])
BLOCKS = st.dictionaries(st.sampled_from(["host", "port", "username"]), LEAVES, max_size=3)
BLOCK_NAMES = ("smtp", "imap")
CONNECTORS = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(BLOCK_NAMES, st.none() | BLOCKS), **dict.fromkeys(("description", "cc"), LEAVES)}
)
LAYERS = st.dictionaries(st.sampled_from("ab"), st.none() | CONNECTORS, max_size=2)


@given(LAYERS, LAYERS)
def test_merging_again_changes_nothing(lower: Any, upper: Any) -> None:
    once = by_name(lower, upper)
    assert by_name(once) == once
    assert by_name(lower, upper, upper) == once


@given(LAYERS, LAYERS, LAYERS)
def test_nothing_blank_is_left(lowest: Any, middle: Any, highest: Any) -> None:
    for connector in by_name(lowest, middle, highest).values():
        blocks = [connector, *(connector[name] for name in BLOCK_NAMES if name in connector)]
        assert not [value for block in blocks for value in block.values() if value is None or value == ""]


@given(LAYERS, LAYERS)
def test_the_upper_layer_has_its_say(lower: Any, upper: Any) -> None:
    together = by_name(lower, upper)
    for name, connector in upper.items():
        if connector is None:
            assert name not in together
            continue
        for key, value in connector.items():
            if value is None:
                assert key not in together[name]
            elif value != "" and key not in BLOCK_NAMES:
                assert together[name][key] == value
