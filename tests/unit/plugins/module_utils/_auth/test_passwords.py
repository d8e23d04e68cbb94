# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._auth.mechanism import Mechanism
from ansible_collections.mailroom.core.plugins.module_utils._auth.passwords import (
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    CramMd5,
    Login,
    Plain,
    Scram,
    ScramSha1,
    ScramSha256,
    choose_password_mechanism,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

# RFC 7677 section 3 and RFC 5802 section 5; user "user", password "pencil".
VECTORS: dict[str, tuple[type[Scram], str, str, str, str, str]] = {
    "RFC 7677": (
        ScramSha256,
        "rOprNGfwEbeRWgbNEkqO",
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
    "RFC 5802": (
        ScramSha1,
        "fyko+d2lbbFgONRv9qkxdawL",
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
}
SECRET = Secret("pencil")


def _kind(act: Callable[[], object]) -> str:
    with pytest.raises(ProbeError) as stopped:
        act()
    return stopped.value.observation.kind


def _at_the_end(vector: str = "RFC 7677") -> Scram:
    """A sign-in that has said all of its own words."""
    mechanism, nonce, _first, server_first, _final, _server_final = VECTORS[vector]
    scram = mechanism("user", SECRET, nonce)
    scram.initial_response()
    scram.respond(server_first.encode())
    return scram


@pytest.mark.parametrize("vector", VECTORS)
def test_scram_says_exactly_what_the_rfc_does(vector: str) -> None:
    mechanism, nonce, first, server_first, final, server_final = VECTORS[vector]
    scram = mechanism("user", SECRET, nonce)
    assert scram.initial_response() == first.encode()
    assert scram.respond(server_first.encode()) == final.encode()
    assert scram.respond(server_final.encode()) == b""
    scram.verify_server()


NO_PROOF = {
    "of another password": b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    "of another hash": b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    "empty": b"v=",
    "nothing": b"",
    "not base64": b"v=#",
    "not ASCII": b"v=\xff\xfe",
    "another field": b"x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
}


@pytest.mark.parametrize("server_final", NO_PROOF.values(), ids=NO_PROOF)
def test_a_server_that_proves_nothing_is_refused(server_final: bytes) -> None:
    scram = _at_the_end()
    assert _kind(lambda: scram.respond(server_final)) == "server_signature"
    assert _kind(scram.verify_server) == "server_signature"


@pytest.mark.parametrize("server_final", [b"e=invalid-proof", b"e=unknown-user,x=y", b"e=\xff"])
def test_an_error_in_place_of_a_proof_is_a_refusal(server_final: bytes) -> None:
    assert _kind(lambda: _at_the_end().respond(server_final)) == "refused_proof"


def test_success_without_any_proof_is_refused() -> None:
    assert _kind(_at_the_end().verify_server) == "server_signature"
    assert _kind(ScramSha256("user", SECRET).verify_server) == "server_signature"


NONCE = "rOprNGfwEbeRWgbNEkqO"
SALT = "s=W22ZaJ0SNY7soEsUEjb6gQ=="
MALFORMED = {
    "nothing": "",
    "no nonce": f"{SALT},i=4096",
    "no salt": f"r={NONCE}x,i=4096",
    "no iterations": f"r={NONCE}x,{SALT}",
    "salt not base64": f"r={NONCE}x,s=#,i=4096",
    "iterations not a number": f"r={NONCE}x,{SALT},i=many",
    "iterations with a sign": f"r={NONCE}x,{SALT},i=+4096",
    "iterations with an underscore": f"r={NONCE}x,{SALT},i=4_096",
    "iterations with too many digits": f"r={NONCE}x,{SALT},i={'9' * 5000}",
    "nonce not extended": f"r={NONCE},{SALT},i=4096",
    "nonce of another": f"r=x{NONCE},{SALT},i=4096",
    "nonce shortened": f"r={NONCE[:-1]},{SALT},i=4096",
    "too few iterations": f"r={NONCE}x,{SALT},i={MIN_ITERATIONS - 1}",
    "no iteration": f"r={NONCE}x,{SALT},i=0",
    "negative iterations": f"r={NONCE}x,{SALT},i=-1",
    "too many iterations": f"r={NONCE}x,{SALT},i={MAX_ITERATIONS + 1}",
    "an extension that must be understood": f"m=new,r={NONCE}x,{SALT},i=4096",
}


def test_challenge_that_cannot_be_right_is_a_protocol_error() -> None:
    def kind(challenge: str) -> str:
        return _kind(lambda: ScramSha256("user", SECRET, NONCE).respond(challenge.encode()))

    assert {name: kind(challenge) for name, challenge in MALFORMED.items()} == dict.fromkeys(MALFORMED, "protocol")


@pytest.mark.parametrize("iterations", [MIN_ITERATIONS, 5000])
def test_iterations_within_bounds_are_fine(iterations: int) -> None:
    scram = ScramSha256("user", SECRET, NONCE)
    assert scram.respond(f"r={NONCE}x,{SALT},i={iterations}".encode()).startswith(b"c=biws,")


def test_an_optional_extension_is_signed_and_not_minded() -> None:
    """A client ignores extensions that it does not know (RFC 5802 section 5.1), but the proof covers them."""
    scram = ScramSha256("user", SECRET, NONCE)
    assert scram.respond(f"r={NONCE}x,{SALT},i=4096,x=y".encode()).startswith(f"c=biws,r={NONCE}x,p=".encode())


def test_a_username_is_escaped_and_prepared() -> None:
    assert ScramSha256("a=b,c\u00adé", SECRET, "n").initial_response() == "n,,n=a=3Db=2Ccé,r=n".encode()


def test_a_password_is_prepared_before_it_is_hashed() -> None:
    finals = {
        ScramSha256("user", Secret(typed), NONCE).respond(f"r={NONCE}x,{SALT},i=4096".encode())
        for typed in ("pässword", "pa\u0308ssword", "päss\u00adword")
    }
    assert len(finals) == 1


def test_nonces_are_fresh() -> None:
    assert len({ScramSha256("user", SECRET).initial_response() for _time in range(50)}) == 50


def test_plain_says_it_all_in_one_message() -> None:
    assert (
        Plain("tim", Secret("tanstaaftanstaaf")).initial_response() == b"\0tim\0tanstaaftanstaaf"
    )  # RFC 4616 section 4
    assert Plain("kurt", Secret("xipj3plmq")).initial_response() == b"\0kurt\0xipj3plmq"
    assert Plain("zoë", Secret("I\u00adX")).initial_response() == "\0zoë\0IX".encode()


def test_login_answers_whatever_is_asked() -> None:
    login = Login("zoë", Secret("pa\u0308ss"))
    assert login.initial_response() is None
    assert login.respond(b"Username:") == "zoë".encode()
    assert login.respond(b"User Name\0") == "päss".encode()


def test_cram_md5_answers_as_the_rfc_does() -> None:
    """RFC 2195 section 2."""
    cram = CramMd5("tim", Secret("tanstaaftanstaaf"))
    assert cram.initial_response() is None
    answer = cram.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890"


CHALLENGES: dict[type[Mechanism], int] = {Plain: 0, Login: 2, CramMd5: 1}


@pytest.mark.parametrize(("mechanism", "count"), CHALLENGES.items())
def test_one_challenge_too_many_is_a_protocol_error(mechanism: type[Mechanism], count: int) -> None:
    conversation = mechanism("user", SECRET)
    for _challenge in range(count):
        conversation.respond(b"?")
    assert _kind(lambda: conversation.respond(b"?")) == "protocol"


@pytest.mark.parametrize("mechanism", [Plain, Login, CramMd5, ScramSha256])
def test_a_mechanism_shows_no_password(mechanism: type[Mechanism]) -> None:
    conversation = mechanism("user", Secret("not-to-be-seen"))
    assert "not-to-be-seen" not in repr(conversation)
    assert "not-to-be-seen" not in repr(
        {key: value for key, value in vars(conversation).items() if key != "_responses"}
    )


ALL = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5")
# What is offered, what is allowed, what is chosen.
CHOICES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (ALL, (), "SCRAM-SHA-256"),
    (ALL[::-1], (), "SCRAM-SHA-256"),
    (ALL[1:], (), "SCRAM-SHA-1"),
    (ALL[2:], (), "PLAIN"),
    (ALL[3:], (), "LOGIN"),
    (("LOGIN", "PLAIN", "XOAUTH2"), (), "PLAIN"),
    (ALL, ("CRAM-MD5",), "CRAM-MD5"),
    (ALL, ("CRAM-MD5", "PLAIN"), "PLAIN"),
    (ALL, ("LOGIN", "PLAIN"), "PLAIN"),
    (ALL, ("LOGIN",), "LOGIN"),
)
NOTHING: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((), ()),
    (("CRAM-MD5",), ()),
    (("CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256-PLUS"), ()),
    (("PLAIN",), ("LOGIN",)),
    (("LOGIN",), ("CRAM-MD5",)),
)


@pytest.mark.parametrize(("offered", "allowed", "chosen"), CHOICES)
def test_the_safest_way_is_chosen(offered: tuple[str, ...], allowed: tuple[str, ...], chosen: str) -> None:
    assert choose_password_mechanism(offered, allowed).name == chosen


@pytest.mark.parametrize(("offered", "allowed"), NOTHING)
def test_without_a_common_way_nothing_that_the_server_said_is_repeated(
    offered: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    """The session tells what is offered, redacted."""
    with pytest.raises(ProbeError) as stopped:
        choose_password_mechanism(offered, allowed)
    assert stopped.value.observation == Observation(
        "no_mechanism", text="the server offers no mechanism that the connector may use"
    )


def test_the_proof_is_one_that_a_server_accepts() -> None:
    """A server's own calculation, independent of the client's."""
    scram = ScramSha256("user", Secret("päss"), NONCE)
    server_first = f"r={NONCE}x,{SALT},i=4096"
    without_proof, _comma, proof = scram.respond(server_first.encode()).rpartition(b",p=")
    salted = hashlib.pbkdf2_hmac("sha256", "päss".encode(), base64.b64decode(SALT[2:]), 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    message = f"n=user,r={NONCE},{server_first},".encode() + without_proof
    signature = hmac.digest(stored, message, "sha256")
    client_key = bytes(one ^ other for one, other in zip(signature, base64.b64decode(proof)))
    assert hashlib.sha256(client_key).digest() == stored
