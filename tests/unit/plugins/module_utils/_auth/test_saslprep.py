# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._auth.saslprep import saslprep
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

# RFC 4013 section 3, and what else is mapped or normalised.
PREPARED = {
    "not assigned in Unicode 3.2": ("\u0221 \U0001f511", "\u0221 \U0001f511"),
    "soft hyphen mapped to nothing": ("I\u00adX", "IX"),
    "no transformation": ("user", "user"),
    "case preserved": ("USER", "USER"),
    "output is NFKC, input in ISO 8859-1": ("\u00aa", "a"),
    "output is NFKC, will match the first": ("\u2168", "IX"),
    "composed": ("pa\u0308ss", "päss"),
    "no-break space": ("a\u00a0b", "a b"),
    "ideographic space": ("a\u3000b", "a b"),
    "zero width space mapped to nothing": ("a\u200bb", "ab"),
    "zero width joiner mapped to nothing": ("a\u200db", "ab"),
    "byte order mark mapped to nothing": ("\ufeffab", "ab"),
    "right to left": ("\u05d0\u05d1", "\u05d0\u05d1"),
    "right to left with a digit inside": ("\u06271\u0628", "\u06271\u0628"),
    "spaces stay": (" a  b ", " a  b "),
    "nothing": ("", ""),
}
PROHIBITED = {
    "RFC 4013: bell": "\u0007",
    "RFC 4013: bidirectional check": "\u0627\u0031",
    "end of line": "secret\n",
    "carriage return": "a\rb",
    "null": "a\0b",
    "delete": "a\x7f",
    "C1 control": "a\u0085",
    "private use": "\ue000",
    "surrogate": "\ud800",
    "non-character": "\ufffe",
    "replacement character": "\ufffd",
    "ideographic description": "\u2ff0",
    "left-to-right mark": "a\u200e",
    "deprecated": "a\u206a",
    "tag": "\U000e0041",
    "mixed directions": "a\u05d0",
    "right to left, ends otherwise": "\u05d0a\u05d1",
}


def test_text_is_mapped_and_normalised() -> None:
    found = {what: (text, saslprep(text, "password")) for what, (text, _prepared) in PREPARED.items()}
    assert found == PREPARED


def test_prohibited_text_is_refused_and_not_repeated() -> None:
    for what, text in PROHIBITED.items():
        with pytest.raises(ProbeError) as stopped:
            saslprep(text, "password")
        assert stopped.value.observation.kind == "unfit_secret", what
        assert text not in str(stopped.value), what
        assert "password" in str(stopped.value), what


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_ascii_stays(text: str) -> None:
    assert saslprep(text, "password") == text


@given(st.text())
def test_what_is_prepared_stays(text: str) -> None:
    try:
        prepared = saslprep(text, "password")
    except ProbeError:
        return
    assert saslprep(prepared, "password") == prepared
