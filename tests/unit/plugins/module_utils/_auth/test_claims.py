# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._auth.claims import (
    SHOWN_CLAIMS,
    format_claims,
    parse_claims,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction

from .answers import jwt


def test_the_claims_that_are_no_secret_are_kept() -> None:
    claims = {"aud": "https://outlook.office365.com", "roles": ["a", "b"], "oid": "o", "exp": 1795216256}
    assert parse_claims(jwt(**claims, nonce="n", name="Ann", groups=["g"]), Redaction()) == claims


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b", "a.b.c.d.e", "a.!.c", "a.W10.c", "a.eyJ.c", f"a.{'W' * 70000}.c"]
)
def test_what_is_no_such_token_has_none(token: str) -> None:
    assert parse_claims(token, Redaction()) == {}


def test_a_huge_token_has_none() -> None:
    assert parse_claims(jwt(aud="x" * 60_000), Redaction()) == {}


def test_a_number_that_is_no_time_is_left_out() -> None:
    assert parse_claims(jwt(exp=10**15, oid=10**14), Redaction()) == {"oid": 10**14}


def test_a_deep_token_has_none() -> None:
    assert parse_claims(f"a.{'W1tb' * 12000}.c", Redaction()) == {}


TEXTS = st.text(st.sampled_from('aA1:.-_{}<>\\"%\n\x00\x1bé\ud800'), max_size=300)


@given(
    st.dictionaries(
        st.sampled_from([*SHOWN_CLAIMS, "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
            lambda inner: st.lists(inner, max_size=40) | st.dictionaries(TEXTS, inner, max_size=2),
            max_leaves=10,
        ),
        max_size=6,
    )
)
def test_hostile_claims_are_kept_small_and_can_be_shown(claims: dict[str, object]) -> None:
    kept = parse_claims(jwt(**claims), Redaction())
    assert set(kept) <= set(SHOWN_CLAIMS)
    text = format_claims(kept)
    assert text.isprintable() or not text
    assert len(json.dumps(kept, ensure_ascii=False)) < len(SHOWN_CLAIMS) * 31 * 210


@given(TEXTS)
def test_any_text_is_survived(text: str) -> None:
    assert isinstance(parse_claims(text, Redaction()), dict)


def test_claims_are_shown_in_one_order() -> None:
    claims = {"exp": 0, "roles": [], "aud": ["x", "y"], "appid": "1"}
    assert format_claims(claims) == "aud x, y; roles none; appid 1; exp 1970-01-01T00:00:00Z"
    assert format_claims({}) == ""
    assert format_claims({"exp": 10**14}) == "exp 100000000000000"
