# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A block of ours in a file of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.module_utils._target.files.postfix import Postfix
from ansible_collections.mailroom.core.plugins.module_utils._target.formats import managed_block as block

from .given import texts

TEXT = "one\ntwo\nthree\n"


@given(texts, st.integers(0, 5), st.lists(st.sampled_from(["a = b", "# c", ""])), st.sets(st.integers(0, 5)))
def test_what_was_there_comes_back(text: str, position: int, lines: list[str], aside: set[int]) -> None:
    position = min(position, text.count("\n"))
    written = block.insert_block(text, position, lines, aside, "")
    assert block.remove_block(written) == text
    assert block.content(written) == "".join(f"{line}\n" for line in lines)


def test_what_is_set_aside_is_a_comment() -> None:
    written = block.insert_block(TEXT, 2, ["four"], {1}, "/etc/password")
    assert written.split("\n") == [
        "one",
        "# set aside by mailroom.core.connector_config: two",
        "# BEGIN mailroom.core.connector_config",
        "# The password is in /etc/password",
        "four",
        "# END mailroom.core.connector_config",
        "three",
        "",
    ]
    assert Postfix().password_file_in(written) == "/etc/password"


def test_a_file_without_a_block() -> None:
    assert (block.content(TEXT), Postfix().password_file_in(TEXT), block.remove_block(TEXT)) == ("", "", TEXT)


@pytest.mark.parametrize("end", ["BEGIN", "END"])
def test_half_a_block_is_refused(end: str) -> None:
    half = block.insert_block(TEXT, 1, ["four"], (), "").replace(f"# {end} mailroom.core.connector_config\n", "")
    with pytest.raises(DeclarationError, match=r"path: holds # BEGIN .* without the other"):
        block.remove_block(half)


@pytest.mark.parametrize("marks", ["BEBE", "BBEE", "EB", "B" * 26_000, "BE" + "E", "BEB"])
def test_what_is_not_one_whole_block_is_refused(marks: str) -> None:
    """The attack surface is whoever may write the settings; many beginnings took a time that grew with their square."""
    lines = [f"# {'BEGIN' if mark == 'B' else 'END'} mailroom.core.connector_config\n" for mark in marks]
    with pytest.raises(DeclarationError, match="or more than once"):
        block.remove_block("".join(lines))


def test_a_block_is_found_after_an_editor_has_changed_the_ends_of_lines() -> None:
    written = block.insert_block(TEXT, 1, ["four"], {0}, "")
    assert block.remove_block(written.replace("\n", "\r\n")) == TEXT.replace("\n", "\r\n")
