# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One policy for international domain names."""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

import idna
import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.domain import (
    USE_ASCII,
    DomainError,
    address_to_ascii,
    canonical,
    check_characters,
    to_ascii,
)

REFUSED = {
    "sharp s": "fa\u00df.example",
    "capital sharp s": "FA\u1e9e.example",
    "final sigma": "\u03b2\u03cc\u03bb\u03bf\u03c2.example",
    "zero width joiner": "\u0dc1\u0dca\u200d\u0dbb\u0dd3.example",
    "zero width non-joiner": "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example",
    "soft hyphen": "exam\u00adple.example",
    "zero width space": "exam\u200bple.example",
    "byte order mark": "\ufeffexample.example",
    "variation selector": "exam\ufe0fple.example",
    "invisible letter": "exam\u3164ple.example",
    "symbol": "\u2603.example",
    "emoji": "\U0001f4ee.example",
    "assigned after Unicode 3.2": "\ua641.example",
    "lower case assigned after Unicode 3.2": "\u10a0.example",
    "ideographic full stop": "\u4f8b\u5b50\u3002example",
    "full-width full stop": "mail\uff0eexample",
    "half-width full stop": "mail\uff61example",
    "middle dot": "paral\u00b7lel.example",
    "letter with a middle dot": "para\u0140el.example",
    "roman numeral": "\u2167.example",
    "circled digit": "\u2460.example",
    "superscript": "mail\u00b2.example",
    "full-width solidus": "mail\uff0fpath.example",
    "full-width colon": "mail\uff1a25.example",
    "full-width at": "user\uff20mail.example",
    "right-to-left override": "mail\u202eelpmaxe.example",
    "private use": "mail\ue000.example",
    "not a character": "mail\ufdd0.example",
    "in the last label": "mail.\u2603",
    "both directions": "\u05d0b.example",
    "not in a shape that text is normalised to": "\U0002f868.example",
}

A_LABELS = {
    "mail.example.com": "mail.example.com",
    "Mail.Example.COM": "Mail.Example.COM",
    "192.0.2.1": "192.0.2.1",
    "2001:db8::1": "2001:db8::1",
    "xn--fa-hia.example": "xn--fa-hia.example",
    "xn--0.example": "xn--0.example",
    "b\u00fccher.example": "xn--bcher-kva.example",
    "bu\u0308cher.example": "xn--bcher-kva.example",
    "B\u00dcCHER.Example": "xn--bcher-kva.Example",
    "mail.\u4f8b\u5b50.example": "mail.xn--fsqu00a.example",
    "\uff45xample.com": "example.com",
    "\u0661\u0662\u0663.example": "xn--9hbcd.example",
    "\u0627\u062e\u062a\u0628\u0627\u0631.example": "xn--mgbachtv.example",
    "\u092a\u0930\u0940\u0915\u094d\u0937\u093e.example": "xn--11b5bs3a9aj6g.example",
    "\u03a3\u03a3.example": "xn--4xaa.example",
}


def refusal(name: str) -> str:
    try:
        check_characters(name)
    except DomainError as refused:
        return str(refused)
    return ""


def test_name_that_idna_versions_encode_differently_is_refused() -> None:
    assert {what: refusal(name) for what, name in REFUSED.items()} == dict.fromkeys(REFUSED, USE_ASCII)


def test_name_in_letters_marks_and_digits_has_a_labels() -> None:
    assert {name: refusal(name) for name in A_LABELS} == dict.fromkeys(A_LABELS, "")
    assert {name: to_ascii(name) for name in A_LABELS} == A_LABELS


def _characters() -> Iterator[str]:
    """Every character that Unicode 3.2 may have assigned; of the large regular blocks only some."""
    whole = (
        (0x80, 0x3400),
        (0xA000, 0xA4D0),
        (0xF900, 0x10500),
        (0x1D000, 0x1D800),
        (0x2F800, 0x2FA20),
        (0xE0000, 0xE0100),
    )
    large = ((0x3400, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0x20000, 0x2A6D7))
    blocks = (*(range(*each) for each in whole), *(range(*each, 97) for each in large))
    return (chr(code) for block in blocks for code in block)


@pytest.fixture(scope="module")
def accepted() -> list[str]:
    """The characters that are accepted in the middle of a name whose direction they do not break."""
    found = []
    for char in _characters():
        edge = "\u05d0" if stringprep.in_table_d1(char) else "a"
        with suppress(DomainError):
            check_characters(f"{edge}{char}{edge}.example")
            found.append(char)
    return found


def test_every_accepted_character_is_encoded_as_uts_46_does(accepted: list[str], stride: int) -> None:
    names = [f"a{char}a.example" for char in accepted if char.isprintable() and not stringprep.in_table_d1(char)]
    assert len(names) > 5000
    for name in names[::stride]:
        assert to_ascii(name) == to_ascii(idna.uts46_remap(name, std3_rules=False, transitional=False)), ascii(name)


def test_only_letters_marks_and_digits_of_unicode_3_2_are_accepted(accepted: list[str]) -> None:
    categories = {unicodedata.ucd_3_2_0.category(char) for char in accepted if not char.isspace()}
    assert categories == {"Ll", "Lu", "Lt", "Lo", "Lm", "Mn", "Mc", "Me", "Nd", "Cc"}


def test_what_is_no_name_at_all_is_left_to_the_check_of_names() -> None:
    assert [refusal(f"exam{char}ple.example") for char in "\u0080\u3000\u2028"] == ["", "", ""]


STORED = {
    "fa\u00df.example": "xn--fa-hia.example",
    "STRA\u1e9eE.example": "xn--strae-oqa.example",
    "\u03b2\u03cc\u03bb\u03bf\u03c2.example": "xn--nxasmm1c.example",
    "\u2603.example": "xn--n3h.example",
    "\u4f8b\u5b50\u3002example": "xn--fsqu00a.example",
}


def test_name_that_an_earlier_release_has_stored_can_be_converted() -> None:
    assert {name: to_ascii(name) for name in STORED} == STORED


@pytest.mark.parametrize(
    "name",
    [
        "\u00fc" * 64 + ".example",
        "\u00df" * 40 + "abcdefghijklmnopqrst.example",
        "\u00fc." * 200 + "example",
        "\u00fc..example",
        "\u00fc.",
        "\u05d0b.example",
        "xn--\u00fc.example",
    ],
)
def test_what_has_no_a_labels_is_refused(name: str) -> None:
    with pytest.raises(DomainError):
        to_ascii(name)


def test_names_are_compared_in_lower_case_and_a_labels() -> None:
    assert canonical("B\u00dcCHER.Example") == canonical("xn--BCHER-kva.example") == "xn--bcher-kva.example"
    assert canonical("\u05d0B.example") == "\u05d0b.example"


def test_only_the_domain_of_an_address_is_converted() -> None:
    assert address_to_ascii("j\u00f6rg@b\u00fccher.example") == "j\u00f6rg@xn--bcher-kva.example"
    assert address_to_ascii("") == ""
