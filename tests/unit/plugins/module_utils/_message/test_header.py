# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._message import header

NAMES = st.from_regex(r"[!-9;-~]{1,76}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=2048)
ASCII_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=2048)
LONG_URL = "<https://example.com/unsubscribe?token=" + "x" * 400 + ">"


def _unfolded(lines: bytes) -> str:
    return lines.decode().replace("\r\n", "")


@given(NAMES, TEXTS.filter(lambda text: text.strip(" ")))
def test_no_line_is_too_long_or_empty_and_none_ends_early(name: str, text: str) -> None:
    lines = header.line(name, header.unstructured(text))
    assert lines.endswith(b"\r\n")
    for number, each in enumerate(lines[:-2].split(b"\r\n")):
        assert len(each) <= 998
        assert each.strip()
        assert number == 0 or each.startswith(b" ")


@given(NAMES, ASCII_TEXTS.filter(lambda text: text.strip(" ") and max(map(len, text.split(" "))) < 200))
def test_ascii_text_is_restored_by_unfolding_to_the_letter(name: str, text: str) -> None:
    assert _unfolded(header.line(name, header.unstructured(text))) == f"{name}: {text.strip(' ')}"


@given(TEXTS)
def test_encoded_words_are_short_and_decode_to_the_text(text: str) -> None:
    words = header.encoded(text)
    assert max(len(word) for word in words.split(" ")) <= 75
    assert str(make_header(decode_header(words))) == text


def test_a_long_word_travels_unchanged() -> None:
    assert _unfolded(header.line("List-Unsubscribe", header.unstructured(LONG_URL))) == f"List-Unsubscribe: {LONG_URL}"


@pytest.mark.parametrize("length", [900, 998, 2048])
def test_a_word_longer_than_a_line_may_be_is_cut_into_encoded_ones(length: int) -> None:
    lines = header.line("X" * 76, header.unstructured("a" * length))
    assert max(map(len, lines.split(b"\r\n"))) <= 998
    assert str(make_header(decode_header(_unfolded(lines).partition(": ")[2]))) == "a" * length


def test_references_are_folded_between_identifiers() -> None:
    identifiers = [f"<{number}.{'a' * 50}@example.com>" for number in range(20)]
    lines = header.line("References", header.unstructured(" ".join(identifiers))).split(b"\r\n")
    assert len(lines) == 21
    assert [each.split()[-1].decode() for each in lines[:-1]] == identifiers


def test_what_was_encoded_by_hand_is_not_encoded_again_in_a_custom_header() -> None:
    assert header.unstructured("=?utf-8?q?a=C3=A9?=") == "=?utf-8?q?a=C3=A9?="


def test_what_only_looks_encoded_is_shown_as_it_is() -> None:
    assert str(make_header(decode_header(header.display_text("=?utf-8?q?a?=")))) == "=?utf-8?q?a?="


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "a@b.example"),
        ("   ", "a@b.example"),
        ("Alerts", "Alerts <a@b.example>"),
        ("The alerts of Acme", "The alerts of Acme <a@b.example>"),
        ("Acme, Inc.", '"Acme, Inc." <a@b.example>'),
        ('The "old" \\ one', '"The \\"old\\" \\\\ one" <a@b.example>'),
        ("evil <x@y.example>,", '"evil <x@y.example>," <a@b.example>'),
        ("B\u00fccher", "=?utf-8?q?B=C3=BCcher?= <a@b.example>"),
        ("\u4f8b\u5b50", "=?utf-8?b?5L6L5a2Q?= <a@b.example>"),
        ("two  spaces", "=?utf-8?q?two__spaces?= <a@b.example>"),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@b.example>"),
    ],
)
def test_a_name_is_plain_quoted_or_encoded_as_it_needs(name: str, expected: str) -> None:
    assert header.mailbox("a@b.example", name) == expected
