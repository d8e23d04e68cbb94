# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._message.outgoing_mail import (
    init_message_id,
    random_message_id,
)

FACTS = st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))


def test_message_id_is_the_same_in_every_release() -> None:
    """Otherwise an upgrade between a crash and its repeat would make the repeat unrecognisable."""
    assert (
        init_message_id("registry", "7", "settings", "example.com")
        == "<init.e866e6e3e48a6e9cd3ae01d7b608d6bbdadc5011@example.com>"
    )


@given(FACTS, FACTS)
def test_message_id_differs_where_any_fact_differs(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    same = init_message_id(*one, "example.com") == init_message_id(*other, "example.com")
    assert same == (one == other)


def test_facts_that_run_together_alike_are_told_apart() -> None:
    ids = {init_message_id(*facts, "a.example") for facts in (("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"))}
    assert len(ids) == 3


@given(FACTS)
def test_none_of_the_facts_can_be_read_from_it(facts: tuple[str, str, str]) -> None:
    assert re.fullmatch(r"<init\.[0-9a-f]{40}@example\.com>", init_message_id(*facts, "example.com"))


def test_random_ones_differ() -> None:
    made = {random_message_id("example.com") for _number in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"<test\.[0-9a-f]{40}@example\.com>", each) for each in made)
