# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server sends back of a password is not shown, in whatever form it comes."""

from __future__ import annotations

import base64
import json

import pytest
from fuzz import entries

from ansible_collections.mailroom.core.plugins.module_utils._auth.saslprep import saslprep
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import HIDDEN, Secret

PASSWORD = entries.PASSWORD
USERNAME = "ann@example.com"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


ECHOES = {
    "raw": PASSWORD,
    "base64": _base64(PASSWORD),
    "base64 without its end": _base64(PASSWORD).rstrip("="),
    "PLAIN": _base64(f"\0{USERNAME}\0{PASSWORD}"),
    "quoted": f'"{PASSWORD}"',
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_an_echo_is_hidden(echo: str) -> None:
    shown = Redaction([Secret(PASSWORD)])(f"535 <{echo}> and {echo} refused")
    assert echo.strip('"') not in shown
    assert shown.count(HIDDEN) == 2
    assert shown.endswith(" refused")


LONG = "correct horse&battery/staple Tr0ub4dor"
PIECES = {
    "its beginning": LONG[:20],
    "its end": LONG[-9:],
    "in capitals": LONG.upper(),
    "over two lines": LONG.replace(" ", "\n"),
    "as in an address": "correct%20horse%26battery%2Fstaple%20Tr0ub4dor",
    "as in a form": "correct+horse%26battery%2Fstaple+Tr0ub4dor",
    "as in a page": "correct horse&amp;battery/staple Tr0ub4dor",
    "base64, cut": _base64(LONG)[:-6],
    "PLAIN, cut": _base64(f"\0{USERNAME}\0{LONG}")[:-10],
    "base64 from the middle": _base64(LONG)[9:],
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_pieces_are_hidden_too(piece: str) -> None:
    shown = Redaction([Secret(LONG)])(f"535 not <{piece}>!")
    assert shown.startswith("535 not <")
    assert shown.endswith(">!")
    left = shown[len("535 not <") : -2].replace(HIDDEN, "\0")
    assert all(len(part) < 6 for part in left.split("\0")), left


@pytest.mark.parametrize("password", ["ab", "a1b", "pin42"])
def test_a_short_secret_is_hidden_where_it_stands_alone(password: str) -> None:
    assert Redaction([Secret(password)])(f"no {password}, nor x{password}x") == f"no {HIDDEN}, nor x{password}x"


@pytest.mark.parametrize("password", ["pa\u0308ssword", "I\u00adXyz-long"])
def test_an_echo_of_the_prepared_password_is_hidden(password: str) -> None:
    """What crosses the network is the prepared password, so that is what a server sends back."""
    prepared = saslprep(password, "password")
    redact = Redaction([Secret(password)])
    for echo in (prepared, _base64(prepared), _base64(f"\0{USERNAME}\0{prepared}")):
        assert echo not in redact(f"535 {echo}")


@pytest.mark.parametrize("password", ['quo"ted-secret', "back\\slash-secret"])
def test_an_echo_of_an_imap_quoted_password_is_hidden(password: str) -> None:
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    assert quoted not in Redaction([Secret(password)])(f'BAD LOGIN "{USERNAME}" "{quoted}"')


@pytest.mark.parametrize("secrets", [[], [Secret("")], [Secret("a")], [Secret("unsaid")]])
def test_without_a_secret_worth_hiding_nothing_is_changed(secrets: list[Secret]) -> None:
    assert Redaction(secrets)("250 aaa said by ann") == "250 aaa said by ann"


SMTP_START = entries.GOOD_SMTP[0][:2]
IMAP_START = entries.GOOD_IMAP[1][:3]
REPLIES = {
    "smtp, refused": ("smtp", (*SMTP_START, b"535 5.7.8 not {echo}\r\n")),
    "smtp, in several lines": ("smtp", (*SMTP_START, b"535-5.7.8 not\r\n535 5.7.8 {echo}\r\n")),
    "smtp, far behind": ("smtp", (*SMTP_START, b"535 " + b"x" * 1985 + b"{echo}\r\n")),
    "smtp, without a code": ("smtp", (*SMTP_START, b"999 {echo}\r\n")),
    "smtp, another command": ("smtp", (*SMTP_START, b"235 Ok\r\n", b"550 {echo}\r\n")),
    "imap, refused": ("imap", (*IMAP_START, b"{tag} NO [AUTHENTICATIONFAILED] not {echo}\r\n")),
    "imap, not understood": ("imap", (*IMAP_START, b"{tag} BAD LOGIN {echo}\r\n")),
    "imap, without a tag": ("imap", (*IMAP_START, b"LOGIN {echo}\r\n")),
    "imap, BYE": ("imap", (*IMAP_START, b"* BYE {echo}\r\n")),
    "imap, another command": ("imap", (*IMAP_START, b"{tag} OK in\r\n", b"{tag} NO {echo}\r\n")),
    "imap, greeting": ("imap", (b"* BYE {echo}\r\n",)),
    "imap, greeting, far behind": ("imap", (b"* BYE " + b"x" * 1985 + b"{echo}\r\n",)),
    "imap, far behind": ("imap", (*IMAP_START, b"{tag} NO " + b"x" * 1985 + b"{echo}\r\n")),
}


@pytest.mark.parametrize(("protocol", "parts"), REPLIES.values(), ids=REPLIES)
def test_no_result_has_the_password(protocol: str, parts: tuple[bytes, ...]) -> None:
    """Not even its first letters, where a long text is cut."""
    probe = {"smtp": entries.SmtpCheck, "imap": entries.ImapCheck}[protocol]
    data = entries.BETWEEN.join(parts).replace(b"{echo}", ECHOES["PLAIN"].encode())
    result = entries._probed(probe, {"security": "none"}, data)
    shown = json.dumps(result.to_dict())
    assert result.diagnosis().verdict != "ok"
    assert ECHOES["PLAIN"][:6] not in shown


@pytest.mark.parametrize(
    ("password", "reply"),
    [
        ("pässword-länger", b"{tag} NO not {echo}\r\n"),
        ("tab\\and'quote\"secret", b"LOGIN {echo}\r\n"),
        ("geheim€€€", b"* BYE {echo}\r\n"),
    ],
)
def test_a_password_beyond_ascii_is_not_shown_escaped_either(
    password: str, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "PASSWORD", password)
    parts = (*entries.GOOD_IMAP[0][:4], reply.replace(b"{echo}", password.encode()))
    result = entries._probed(entries.ImapCheck, {"security": "none"}, entries.BETWEEN.join(parts))
    observation = result.endpoints[0].observation
    assert observation is not None
    for form in (password, repr(password)[1:-1], repr(password.encode())[2:-1]):
        assert form not in observation.text
