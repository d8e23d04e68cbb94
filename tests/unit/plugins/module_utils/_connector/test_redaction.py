# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets are found in whatever form they come back, and nothing else is taken for one."""

from __future__ import annotations

import base64
import html
import json
import unicodedata
from collections.abc import Callable
from itertools import product
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._connector import decoding
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import (
    MAX_LIST_LENGTH,
    MAX_READ_LENGTH,
    MAX_SHOWN_LENGTH,
    PIECE_LENGTH,
    Redaction,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import HIDDEN, Secret

SECRET = 'Zq7x Kw2m"Vt9&pR%b4n\\Ls8d=hé'


def redaction(*secrets: str) -> Redaction:
    return Redaction([Secret(each) for each in secrets])


def _base64(text: str, encoding: str = "utf-8") -> str:
    return base64.b64encode(text.encode(encoding)).decode("ascii")


def _bytes(form: str, text: str) -> str:
    return "".join(form.format(byte) for byte in text.encode())


ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": _base64,
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("="),
    "base64 in lines": lambda text: "\r\n ".join(
        _base64(text)[start : start + 16] for start in range(0, len(_base64(text)), 16)
    ),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal with colons": lambda text: text.encode().hex(":").upper(),
    "hexadecimal with blanks": lambda text: text.encode().hex(" "),
    "hexadecimal like in C": lambda text: _bytes("0x{:02x}, ", text),
    "percents": lambda text: _bytes("%{:02X}", text),
    "percents where they must be": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "quoted-printable": lambda text: _bytes("={:02X}", text),
    "entities": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "entities in hexadecimal": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    "entities where they must be": html.escape,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON throughout": lambda text: "".join(
        f"\\u{int.from_bytes(text.encode('utf-16-be')[at : at + 2], 'big'):04x}"
        for at in range(0, len(text.encode("utf-16-be")), 2)
    ),
    "bytes in Python": lambda text: repr(text.encode())[2:-1],
    "bytes in C": lambda text: _bytes("\\x{:02x}", text),
    "octal": lambda text: _bytes("\\{:03o}", text),
    "blanks between": " ".join,
    "zero-width characters between": "\u200b".join,
    "ends of lines between": "\r\n".join,
}
OUTERMOST: dict[str, Callable[[str], str]] = {
    "in capitals": str.upper,
    "in small letters": str.lower,
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "compatible": lambda text: unicodedata.normalize("NFKC", text),
    "in wide characters": lambda text: "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text
    ),
    "UTF-16 in base64": lambda text: _base64(text.encode("ascii", "ignore").decode(), "utf-16-le"),
    "UTF-16 in hexadecimal": lambda text: text.encode("ascii", "ignore").decode().encode("utf-16-be").hex(),
    "UTF-7": lambda text: text.encode("utf-7").decode("ascii"),
    "UTF-7 throughout": lambda text: "+" + _base64(text, "utf-16-be").rstrip("=") + "-",
    "base64 in capitals": lambda text: _base64(text).upper(),
}


@pytest.mark.parametrize("name", [*ENCODINGS, *OUTERMOST])
def test_secret_is_hidden_in_every_encoding_and_at_every_offset(name: str) -> None:
    encode, redact = {**ENCODINGS, **OUTERMOST}[name], redaction(SECRET)
    encoded = [encode(before + SECRET) for before in ("", "x", "xy")]
    assert [each for each in encoded if remains(each, redact(f"<{each}>"), SECRET)] == []


@pytest.mark.parametrize("outer", ENCODINGS)
def test_secret_is_hidden_in_every_encoding_of_an_encoding(outer: str) -> None:
    redact = redaction(SECRET)
    encoded = {inner: ENCODINGS[outer](encode(SECRET)) for inner, encode in ENCODINGS.items()}
    assert [inner for inner, each in encoded.items() if remains(each, redact(f"<{each}>"), SECRET)] == []


def remains(encoded: str, shown: str, secret: str) -> list[str]:
    """The parts of what was encoded that are shown and that say six characters of the secret or more."""
    bare, left = (decoding.without_invisible(each.replace("?", "")) for each in (encoded.replace("\r\n", ""), shown))
    length = PIECE_LENGTH * -(-len(bare) // len(decoding.without_invisible(secret)))
    windows = (bare[start : start + length] for start in range(len(bare) - length + 1))
    return [each for each in windows if each in left]


SECRETS = st.text(
    st.sampled_from("aBcDeF0123456789+/=%&;\\\"'<>#_-. \té\u0308ßπЖ漢😀"), min_size=14, max_size=40
).filter(lambda secret: len(decoding.without_invisible(secret)) >= 12)
AROUND = st.text(st.sampled_from("ghijkl MNO(){}[]!*~"), max_size=20)


@settings(max_examples=settings().max_examples * 3 // 2, deadline=None, derandomize=True)
@given(SECRETS, st.lists(st.sampled_from([*ENCODINGS]), max_size=3), AROUND, AROUND)
def test_any_secret_is_hidden_in_any_encodings(secret: str, names: list[str], before: str, after: str) -> None:
    encoded = secret
    for name in names:
        encoded = ENCODINGS[name](encoded)
    if len(encoded) < MAX_READ_LENGTH - 100:
        shown = redaction(secret)(f"{before}<{encoded}>{after}")
        assert remains(encoded, shown, secret) == []


@settings(deadline=None)
@given(SECRETS, st.data())
def test_any_six_characters_of_a_secret_are_hidden(secret: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(secret) - PIECE_LENGTH))
    piece = secret[start : data.draw(st.integers(start + PIECE_LENGTH, len(secret)))]
    if len(decoding.without_invisible(piece)) > 1:
        assert piece not in redaction(secret)(f"<{piece}>")


@settings(deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abcdefgh01234"), min_size=6, max_size=40), max_size=4),
    st.lists(st.text(st.sampled_from("ijklmnopqrstuvwxyz56789 .:;,-_/+()<>[]{}éπ漢"), max_size=300), max_size=4),
)
def test_what_holds_no_piece_of_a_secret_stays_as_it_is(secrets: list[str], lines: list[str]) -> None:
    assert redaction(*secrets).lines(lines) == lines


@pytest.mark.parametrize(
    "said",
    [
        "550 5.7.1 <ann@example.com>: Sender address rejected; see https://example.com/a?b=c&d=%20e",
        "AADSTS7000215: Invalid value provided. Ensure that it is the value and not the ID. Trace ID: 3e1f7a52-0b6d",
        "CN=mail.example.com,O=Example\\, Inc.,C=DE",
        "7C:2D:90:AB:11:5E:0F:33:DA:42:6B:98:0E:C1:77:54:20:AF:EE:08",
        "dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQgYWxsLCBqdXN0IHRleHQ=",
        "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=PLAIN",
    ],
)
def test_what_servers_usually_say_stays_as_it_is(said: str) -> None:
    assert redaction(SECRET, "correct horse battery staple", "p4ssW0rd!")(said) == said


def test_characters_that_grow_in_small_letters_do_not_move_what_is_hidden() -> None:
    shown = redaction(SECRET)("İ" * 40 + SECRET + "İ")
    assert shown == "İ" * 40 + HIDDEN + "İ"


def test_what_stands_around_a_secret_stays() -> None:
    assert redaction("hunter2-long")("535 not hunter2-long, but 5.7.8") == f"535 not {HIDDEN}, but 5.7.8"


def test_a_secret_goes_on_in_the_next_line() -> None:
    lines = redaction("hunter2-not-to-be-seen").lines(["535-hunter2-", "not-to-b", "e-seen refused"])
    assert lines == [f"535-{HIDDEN}", HIDDEN, f"{HIDDEN} refused"]


def test_lines_remain_as_many_as_they_were() -> None:
    assert redaction("hunter2-long").lines(["", "hunter2-", "", "long", ""]) == ["", HIDDEN, "", HIDDEN, ""]


SHORT = {
    "one letter": ("a", "a", "535 a: no such user a"),
    "a word of a protocol": ("smtp", HIDDEN, "220 mail.example.com ESMTP smtp1"),
    "an acronym": ("no", HIDDEN, "550 nobody knows"),
}


@pytest.mark.parametrize(("secret", "alone", "within"), SHORT.values(), ids=SHORT)
def test_a_short_secret_is_hidden_only_where_it_stands_alone(secret: str, alone: str, within: str) -> None:
    assert redaction(secret)(f"({secret})") == f"({alone})"
    assert redaction(secret)(within) == within


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ("pin4", str),
        ("a1b", _base64),
        ("pin4", lambda text: text.encode().hex()),
        ("pin4", lambda text: _base64(f"\0ann\0{text}")),
    ],
    ids=["as it is", "in base64", "in hexadecimal", "as PLAIN sends it"],
)
def test_short_secret_is_hidden_alone_in_other_forms(secret: str, form: Callable[[str], str]) -> None:
    assert form(secret) not in redaction(secret)(f"535 <{form(secret)}> no")


LINES = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "Zq7xKw2mVt9pRb4nLs8dHy5jGc3fXd6k"]
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----", ""])
CERTIFICATE = KEY + KEY.replace("PRIVATE KEY", "CERTIFICATE").replace("MII", "MIV")
ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "private_key": KEY,
        "client_email": "robot@project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)


@pytest.mark.parametrize("secret", [CERTIFICATE, ACCOUNT], ids=["certificate", "service account"])
def test_a_key_is_hidden_and_not_what_all_keys_have_in_common(secret: str) -> None:
    redact = redaction(secret)
    common = "private key, certificate and service_account of robot@project.iam.gserviceaccount.com"
    said = f"{common} at https://oauth2.googleapis.com/token"
    assert redact(said) == said
    for shown in (
        redact("".join(LINES)),
        redact(json.dumps(KEY)),
        redact(LINES[1]),
        redact(_base64(KEY)),
        redact(ACCOUNT),
    ):
        assert not any(line[start : start + 6] in shown for line in LINES for start in range(len(line) - 5))


def test_a_value_is_redacted_in_all_its_depth() -> None:
    value = {
        "a": ["hunter2-", "long"],
        "b": {"c": ("x", 1, None, True, 22.5), "d": b"hunter2-long"},
        "own": "hunter2-long",
    }
    assert redaction("hunter2-long").value(value, {"own"}) == {
        "a": [HIDDEN, HIDDEN],
        "b": {"c": ["x", 1, None, True, 22.5], "d": HIDDEN},
        "own": "hunter2-long",
    }


def test_a_number_that_is_a_secret_is_left_out() -> None:
    assert redaction("7351948260").value([7351948260, 94826000, 35194, 42]) == [None, None, 35194, 42]


@pytest.mark.parametrize("blank", ["+", "_"])
def test_secret_with_blanks_is_hidden_as_forms_and_headers_write_them(blank: str) -> None:
    assert redaction("ab cd ef gh ij")(f"<ab cd ef gh ij>, <{'ab cd ef gh ij'.replace(' ', blank)}>") == (
        f"<{HIDDEN}>, <{HIDDEN}>"
    )


def test_secret_that_begins_as_json_too_deep_to_parse_is_hidden() -> None:
    secret = '{"Zq7xKw2m":' * 100_000
    assert redaction(secret)("<Zq7xKw2m>") == f"<{HIDDEN}>"


def test_a_secret_that_is_learnt_on_the_way_is_hidden_from_then_on() -> None:
    redact = redaction()
    assert redact("token-of-today") == "token-of-today"
    redact.hide("token-of-today")
    assert redact("token-of-today") == HIDDEN


@pytest.mark.parametrize("said", ["a\x00b\x1b[2J", b"a\xffb", "a\nb"])
def test_what_is_shown_is_on_one_line_and_can_be_printed(said: str | bytes) -> None:
    assert redaction(SECRET)(said).isprintable()


def test_what_is_shown_has_an_end() -> None:
    assert redaction(SECRET)("x" * 10**6) == "x" * MAX_SHOWN_LENGTH
    assert sum(map(len, redaction(SECRET).lines(["x" * 10**5] * 100))) <= MAX_LIST_LENGTH


HOSTILE = [
    "%25",
    "&amp;",
    "\\",
    "=",
    "+",
    "+abc-",
    "V",
    "AEQU",
    "0x0",
    "a:",
    "&#38;",
    "\u200b",
    "&",
    "\uff21",
    " ",
    "=3D",
]


def test_effort_of_decoding_is_in_proportion_to_the_text() -> None:
    """Where decoding would take longer, the text is hidden as a whole."""
    for unit, length in product(HOSTILE, (MAX_READ_LENGTH, 2 * MAX_READ_LENGTH)):
        text = (unit * length)[:length]
        read = 0
        try:
            for reading in decoding.decode_all(text):
                read += len(reading.text)
        except decoding.DecodingLimitError:
            assert redaction(SECRET)(text) == HIDDEN
        assert read <= decoding.MAX_LENGTH_FACTOR * length + decoding.MAX_EXTRA_LENGTH, unit


def test_a_text_that_would_take_too_long_is_hidden_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_LENGTH_FACTOR", 0)
    monkeypatch.setattr(decoding, "MAX_EXTRA_LENGTH", 10)
    assert redaction(SECRET)("a text of more than ten") == HIDDEN


ANYTHING = st.text(
    st.characters() | st.sampled_from("\ud800\udfff\uffff\u200b\u0130%=&#;\\xuU{}+-0a/ \r\n\t"), max_size=300
)


@settings(deadline=None)
@given(ANYTHING | st.binary(max_size=300), ANYTHING)
def test_any_text_and_any_secret_are_survived(said: str | bytes, secret: str) -> None:
    shown = redaction(SECRET, secret)(said)
    assert shown.isprintable()
    assert len(shown) <= MAX_SHOWN_LENGTH
