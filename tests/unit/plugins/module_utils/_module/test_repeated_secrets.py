# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stored secret that servers, proxies and services send back in any place is nowhere in what a module prints.

Security review, finding 6.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from peers import actions, sasl
from peers.actions import Action, reply
from peers.ca import CertificateZoo, Wanted
from peers.fixtures import zoo
from peers.https import HttpsServer, Request, Response, as_json, as_text
from peers.imap import ImapScript
from peers.proxies import HttpProxy, Socks5Proxy
from peers.scripted import ScriptedServer, Talk
from peers.smtp import SmtpScript

from .conftest import Play

__all__ = ["zoo"]

ADDRESS = "ann@example.com"
USERNAME = "ann"
# No piece of it is a part of any word that a result may hold.
SECRET = "Zq7xKw2m-Vt9pRb4nLs8d"
OTHER = "Hy5jGc3f-Xd6kMz1wQv0u"
LETTERS = "qzxkwvtprbnlsdgh"
DIGITS = "7351948260"
HIDDEN = "********"
Options = dict[str, Any]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "in base64, as PLAIN": lambda secret: _base64(f"\0{USERNAME}\0{secret}"),
    "in base64, shifted by one": lambda secret: _base64(f"x{secret}"),
    "in base64, shifted by two": lambda secret: _base64(f"xy{secret}"),
    "in hexadecimal": lambda secret: secret.encode().hex(),
    "in hexadecimal with colons": lambda secret: secret.encode().hex(":").upper(),
    "in percents": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "in entities": lambda secret: "".join(f"&#{ord(char)};" for char in secret),
    "in quoted-printable": lambda secret: "".join(f"={byte:02X}" for byte in secret.encode()),
    "escaped": lambda secret: "".join(f"\\u{ord(char):04x}" for char in secret),
    "with tabs": "\t".join,
    "with zero-width characters": "\u200b".join,
    "in capitals": lambda secret: secret.upper(),
}


def _bare(text: str) -> str:
    return re.sub(r"[\s\u200b?]+", "", text).lower()


def shows(printed: str, secret: str, echo: str = "") -> bool:
    """Whether so much of a secret, or of what a server made of it, is printed that it says six characters."""
    printed = _bare(printed)
    forms = [(_bare(secret), 6)]
    if echo:
        form = _bare(echo)
        forms.append((form, 6 * len(form) // len(secret) + 2))
    return any(
        form[start : start + length] in printed for form, length in forms for start in range(len(form) - length + 1)
    )


class Web(HttpsServer):
    """Answers whatever it is asked."""

    def __init__(self, certificates: CertificateZoo, answer: Callable[[Request], Response], certificate: str) -> None:
        super().__init__(certificates, certificate=certificate)
        self._answer = answer

    def unknown(self, request: Request) -> Response:
        return self._answer(request)


class Scene:
    """A connector with servers, and what the modules print about it."""

    def __init__(self, play: Play, certificates: CertificateZoo, stack: ExitStack, secret: str, echo: str) -> None:
        self.play = play
        self.zoo = certificates
        self.stack = stack
        self.secret = secret
        self.echo = echo

    def smtp(self, at: dict[str, Action] | None = None, **script: Any) -> Options:
        """The block of a server that is good except for this."""
        users = {USERNAME: self.secret}
        return self.block(SmtpScript(at=at or {}, users=users, **{"mechanisms": ("PLAIN",), **script}).server())

    def imap(self, at: dict[str, Action] | None = None, **script: Any) -> Options:
        users = {USERNAME: self.secret}
        return self.block(ImapScript(at=at or {}, users=users, **{"mechanisms": ("PLAIN",), **script}).server())

    def block(self, server: ScriptedServer) -> Options:
        port = self.stack.enter_context(server).port
        where = {"host": "127.0.0.1", "port": port, "security": "none"}
        return {**where, "username": USERNAME, "password": self.secret}

    def web(self, answer: Callable[[Request], Response], certificate: str = "good") -> Web:
        return self.stack.enter_context(Web(self.zoo, answer, certificate))

    def token_url(self, answer: Callable[[Request], Response], certificate: str = "good") -> Options:
        """An SMTP server, and a token service that answers so."""
        service = self.web(answer, certificate)
        smtp = {**self.smtp(), "auth": "oauth2"}
        del smtp["password"]
        oauth2 = {"token_url": f"{service.url}/token", "client_id": "mailroom", "client_secret": self.secret}
        return {"smtp": smtp, "oauth2": {**oauth2, "ca_file": str(self.zoo.ca_file)}}

    def graph(self, answer: Callable[[Request], Response]) -> Options:
        """A mailbox in Graph, for which a token is issued that is as secret as the application's secret."""

        def answered(request: Request) -> Response:
            if request.path.endswith("openid-configuration"):
                return as_json(self.discovery(service.url))
            if request.path.endswith("/token"):
                return as_json({"access_token": self.secret, "token_type": "Bearer", "expires_in": 3600})
            return answer(request)

        service = self.web(answered)
        trust = {"ca_file": str(self.zoo.ca_file)}
        application = {"tenant_id": "example.com", "client_id": "mailroom", "client_secret": OTHER}
        return {
            "graph": {"url": service.url, "mailbox": ADDRESS, **trust},
            "oauth2": {"authority": service.url, **application, **trust},
        }

    def discovery(self, url: str, token_url: str = "") -> Options:
        endpoints = {"authorization_endpoint": f"{url}/authorize", "token_endpoint": token_url or f"{url}/token"}
        return {"issuer": f"{url}/v2.0", **endpoints}

    def store(self, name: str = "tested", **fields: Any) -> None:
        addresses = {"from_address": ADDRESS, "test_address": ADDRESS}
        stored = self.play("connector", name=name, **addresses, **fields)
        assert not stored.get("failed"), stored["msg"]

    def test(self, depth: str = "login", **fields: Any) -> Options:
        """What a test of a stored connector prints."""
        if fields:
            self.store(**fields)
        return self.play("connector_test", connectors=["tested"], depth=depth, fail=False)

    def certificate(self, **wanted: Any) -> str:
        """The name of a certificate that nobody trusts, with this in it."""
        self.zoo._make("repeating", dataclasses.replace(Wanted(None), **wanted))
        return "repeating"

    def encrypted(self, certificate: str, **block: Any) -> Options:
        tls = self.zoo[certificate].server_context()
        server = SmtpScript(users={USERNAME: self.secret}, mechanisms=("PLAIN",), tls=tls).server(tls=True)
        return {**self.block(server), "security": "tls", "ca_file": str(self.zoo.ca_file), **block}


Way = Callable[[Scene], Options]
WAYS: dict[str, Way] = {}
ANY_TEXT: list[str] = []
LIMITED: dict[str, str] = {}


def way(name: str, only: str = "") -> Callable[[Way], Way]:
    """A way to send a secret back; with `only`, one in which not every text can be sent."""

    def register(function: Way) -> Way:
        WAYS[name] = function
        if only:
            LIMITED[name] = only
        else:
            ANY_TEXT.append(name)
        return function

    return register


# What an SMTP server can say: where, and to which depth the test has to go.
SMTP_REPLIES: dict[str, tuple[str, str, str]] = {
    "smtp, greeting": ("greeting", "220 {} ESMTP", "connect"),
    "smtp, greeting that is none": ("greeting", "hello {}", "connect"),
    "smtp, greeting that refuses": ("greeting", "554 5.7.1 {}", "connect"),
    "smtp, server's name": ("ehlo", "250-{}\r\n250 AUTH PLAIN", "connect"),
    "smtp, EHLO keyword": ("ehlo", "250-mail.example.com\r\n250 {}", "connect"),
    "smtp, EHLO parameter": ("ehlo", "250-mail.example.com\r\n250-X-NOTE one {} two\r\n250 AUTH PLAIN", "connect"),
    "smtp, AUTH": ("ehlo", "250-mail.example.com\r\n250 AUTH {}", "login"),
    "smtp, AUTH=": ("ehlo", "250-mail.example.com\r\n250 AUTH={} OTHER", "login"),
    "smtp, SIZE": ("ehlo", "250-mail.example.com\r\n250-SIZE {}\r\n250 AUTH PLAIN", "login"),
    "smtp, EHLO refused": ("ehlo", "550 5.5.0 {}", "connect"),
    "smtp, sign-in refused": ("auth_end", "535 5.7.8 {}", "login"),
    "smtp, sign-in refused in two lines": ("auth_end", "535-5.7.8 You said\r\n535 5.7.8 {}", "login"),
    "smtp, sign-in later": ("auth_end", "454 4.7.0 {}", "login"),
    "smtp, out of place": ("auth", "{}", "login"),
    "smtp, sender refused": ("mail", "550 5.1.8 {}", "envelope"),
    "smtp, recipient refused": ("rcpt", "550 5.1.1 <{}> unknown", "envelope"),
    "smtp, goodbye in between": ("rcpt", "421 4.3.2 {}", "envelope"),
    "smtp, data refused": ("data", "554 5.7.1 {}", "send"),
    "smtp, message refused": ("message", "550 5.7.1 {}", "send"),
    "smtp, queue id": ("message", "250 2.0.0 Ok: queued as {}", "send"),
    "smtp, queue id of Exchange's kind": ("message", "250 2.6.0 <{}> Queued mail for delivery", "send"),
}
IMAP_REPLIES: dict[str, tuple[str, str, str]] = {
    "imap, greeting": ("greeting", "* OK {}", "connect"),
    "imap, response code of the greeting": ("greeting", "* OK [{}] ready", "connect"),
    "imap, greeting that refuses": ("greeting", "* BYE {}", "connect"),
    "imap, greeting that is none": ("greeting", "* {}", "connect"),
    "imap, PREAUTH": ("greeting", "* PREAUTH {}", "login"),
    "imap, capability": ("capability", "* CAPABILITY IMAP4rev1 {}\r\n{{tag}} OK", "connect"),
    "imap, AUTH=": ("capability", "* CAPABILITY IMAP4rev1 AUTH={} LOGINDISABLED\r\n{{tag}} OK", "login"),
    "imap, capabilities refused": ("capability", "{{tag}} NO {}", "connect"),
    "imap, a status of its own": ("capability", "{{tag}} {} what", "connect"),
    "imap, without a tag": ("capability", "{}", "connect"),
    "imap, sign-in refused": ("auth_end", "{{tag}} NO [AUTHENTICATIONFAILED] {}", "login"),
    "imap, response code of a refusal": ("auth_end", "{{tag}} NO [{}] no", "login"),
    "imap, sign-in not understood": ("auth_end", "{{tag}} BAD LOGIN {}", "login"),
    "imap, goodbye in between": ("auth_end", "* BYE {}", "login"),
    "imap, mailbox refused": ("select", "{{tag}} NO {}", "login"),
    "imap, mailbox's flags": ("select", "* FLAGS ({}\r\n{{tag}} OK", "login"),
    "imap, search refused": ("uid", "{{tag}} NO {}", "deliver"),
}


def _at(phase: str, line: str, echo: str) -> dict[str, Action]:
    return {phase: reply(*line.format(echo).split("\r\n"))}


def _by_smtp(phase: str, line: str, depth: str) -> Way:
    def send_back(scene: Scene) -> Options:
        return scene.test(depth, smtp=scene.smtp(_at(phase, line, scene.echo)))

    return send_back


def _by_imap(phase: str, line: str, depth: str) -> Way:
    def send_back(scene: Scene) -> Options:
        smtp = {"smtp": scene.smtp()} if depth == "deliver" else {}
        return scene.test(depth, imap=scene.imap(_at(phase, line, scene.echo)), **smtp)

    return send_back


for _name, _reply in SMTP_REPLIES.items():
    way(_name)(_by_smtp(*_reply))
for _name, _reply in IMAP_REPLIES.items():
    way(_name)(_by_imap(*_reply))


@way("smtp, SIZE in a remedy")
def _size(scene: Scene) -> Options:
    at = _at("ehlo", SMTP_REPLIES["smtp, SIZE"][1], scene.echo)
    return scene.test("envelope", smtp=scene.smtp({**at, **_at("mail", "552 5.3.4 Too large", "")}))


@way("smtp, SIZE that is a number", only=DIGITS)
def _small_size(scene: Scene) -> Options:
    at = _at("ehlo", SMTP_REPLIES["smtp, SIZE"][1], scene.echo)
    return scene.test("envelope", smtp=scene.smtp({**at, **_at("mail", "552 5.3.4 Too large", "")}))


@way("smtp, STARTTLS refused")
def _starttls(scene: Scene) -> Options:
    at = _at("starttls", "454 4.7.0 {}", scene.echo)
    smtp = scene.smtp(at, tls=scene.zoo.good.server_context())
    return scene.test(smtp={**smtp, "security": "starttls"})


@way("smtp, relay refused")
def _relay(scene: Scene) -> Options:
    refused = _at("rcpt", "554 5.7.1 {}", scene.echo)["rcpt"]
    return scene.test("envelope", smtp={**scene.smtp({"rcpt": actions.after(1, refused)}), "relay": True})


@way("smtp, error of SCRAM")
def _scram(scene: Scene) -> Options:
    def refuse(talk: Talk) -> None:
        talk.send(f"334 {_base64('e=' + scene.echo)}\r\n")
        talk.line()
        talk.send("535 5.7.8 no\r\n")

    at = {"auth_step": actions.after(1, refuse)}
    return scene.test(smtp=scene.smtp(at, mechanisms=("SCRAM-SHA-256",), faults=sasl.Faults()))


@way("smtp, what another server was told")
def _elsewhere(scene: Scene) -> Options:
    smtp = {**scene.smtp(_at("ehlo", SMTP_REPLIES["smtp, EHLO keyword"][1], scene.echo)), "auth": "none"}
    del smtp["password"], smtp["username"]
    return scene.test(smtp=smtp, imap=scene.imap())


@way("imap, what another server was told")
def _elsewhere_by_imap(scene: Scene) -> Options:
    imap = {**scene.imap(_at("greeting", "* OK {}", scene.echo)), "password": OTHER}
    return scene.test("connect", smtp=scene.smtp(), imap=imap)


@way("smtp, what was told at another time")
def _earlier(scene: Scene) -> Options:
    """A test that goes no further than connecting needs no password, and may not show it either."""
    return scene.test("connect", smtp=scene.smtp(_at("greeting", "220 {}", scene.echo)))


@way("smtp, the application's secret")
def _client_secret(scene: Scene) -> Options:
    oauth2 = {"tenant_id": "example.com", "client_id": "mailroom", "client_secret": scene.secret}
    smtp = {**scene.smtp(_at("greeting", "554 {}", scene.echo)), "password": OTHER}
    return scene.test(smtp=smtp, oauth2=oauth2)


def _proxied(scene: Scene, kind: type[HttpProxy | Socks5Proxy], block: Options) -> Options:
    proxy = scene.stack.enter_context(kind(username="dweller", password=scene.secret).server())
    scheme = "http" if kind is HttpProxy else "socks5"
    where = {"proxy": f"{scheme}://127.0.0.1:{proxy.port}", "proxy_username": "dweller"}
    return {**block, "password": OTHER, **where, "proxy_password": scene.secret}


@way("proxy's password in the server's name")
def _proxy_password(scene: Scene) -> Options:
    smtp = scene.smtp(_at(*SMTP_REPLIES["smtp, server's name"][:2], scene.echo))
    return scene.test("connect", smtp=_proxied(scene, HttpProxy, smtp))


@way("proxy's password in a capability")
def _proxy_password_in_capability(scene: Scene) -> Options:
    imap = scene.imap(_at(*IMAP_REPLIES["imap, capability"][:2], scene.echo))
    return scene.test("connect", imap=_proxied(scene, Socks5Proxy, imap))


def _proxy_says(scene: Scene, head: str) -> Options:
    def say(talk: Talk) -> None:
        while talk.line():
            pass
        talk.send(f"{head.format(scene.echo)}\r\n\r\n")
        talk.close()

    proxy = scene.stack.enter_context(ScriptedServer(say))
    where = {"proxy": f"http://127.0.0.1:{proxy.port}", "proxy_username": "dweller", "proxy_password": scene.secret}
    return scene.test("connect", smtp={**scene.smtp(), "password": OTHER, **where})


PROXY_HEADS = {
    "proxy, reason": "HTTP/1.1 403 {}",
    "proxy, reason of a gateway": "HTTP/1.1 502 {}",
    "proxy, header": "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm={}",
    "proxy, redirect": "HTTP/1.1 302 There\r\nLocation: https://{}/",
    "proxy, nothing that it should say": "{}",
}


def _by_proxy(head: str) -> Way:
    return lambda scene: _proxy_says(scene, head)


for _name, _head in PROXY_HEADS.items():
    way(_name)(_by_proxy(_head))
way("proxy, status", only=DIGITS)(_by_proxy("HTTP/1.1 {} No"))


@way("certificate, subject and issuer")
def _subject(scene: Scene) -> Options:
    certificate = scene.certificate(common_name=scene.echo[:64])
    return scene.test("connect", smtp=scene.encrypted(certificate, validate_certs=False))


@way("certificate, names")
def _names(scene: Scene) -> Options:
    certificate = scene.certificate(hosts=(f"{scene.echo}.example.com", "localhost"))
    return scene.test("connect", smtp=scene.encrypted(certificate, validate_certs=False))


@way("certificate that is refused")
def _refused_certificate(scene: Scene) -> Options:
    certificate = scene.certificate(common_name=scene.echo[:64], hosts=(f"{scene.echo}.example.com",))
    return scene.test("connect", smtp=scene.encrypted(certificate))


@way("certificate that is for others")
def _wrong_name(scene: Scene) -> Options:
    certificate = scene.certificate(hosts=(f"{scene.echo}.example.com",))
    trusted = str(scene.zoo[certificate].certificate_file)
    return scene.test("connect", smtp=scene.encrypted(certificate, ca_file=trusted))


@way("certificate of an IMAP server")
def _imap_certificate(scene: Scene) -> Options:
    tls = scene.zoo[scene.certificate(common_name=scene.echo[:64])].server_context()
    imap = scene.imap(tls=tls)
    return scene.test("connect", imap={**imap, "security": "starttls", "ca_file": str(scene.zoo.ca_file)})


# What a token service can answer.
TOKEN_ANSWERS: dict[str, Callable[[str], Response]] = {
    "token service, description": lambda echo: as_json({"error": "invalid_client", "error_description": echo}, 401),
    "token service, error": lambda echo: as_json({"error": echo}, 400),
    "token service, error object": lambda echo: as_json({"error": {"code": echo, "message": f"no {echo}"}}, 400),
    "token service, ids": lambda echo: as_json(
        {"error": "invalid_client", "suberror": echo, "trace_id": echo, "correlation_id": echo}, 400
    ),
    "token service, another JSON": lambda echo: as_json([echo], 400),
    "token service, page": lambda echo: as_text(f"<html>{echo}</html>", 500),
    "token service, header": lambda echo: as_json(
        {"error": "invalid_client"}, 401, {"WWW-Authenticate": f"Basic realm={quote(echo)}"}
    ),
    "token service, redirect": lambda echo: Response(307, b"", {"Location": f"https://{quote(echo)}.example.org/"}),
    "token service, type of a token": lambda echo: as_json({"access_token": "a-token-of-it", "token_type": echo}),
    "token service, reason": lambda echo: Response(
        wire=lambda talk: talk.send(f"HTTP/1.1 400 {echo}\r\nContent-Length: 0\r\n\r\n")
    ),
    "token service, no HTTP": lambda echo: Response(wire=lambda talk: talk.send(f"{echo}\r\n")),
}
TOKEN_NUMBERS: dict[str, Callable[[str], Response]] = {
    "token service, codes": lambda echo: as_json(
        {"error": "invalid_client", "error_codes": [int(echo[:9])], "error_description": f"AADSTS{echo[:9]}: no"}, 400
    ),
    "token service, Retry-After": lambda echo: as_json(
        {"error": "temporarily_unavailable"}, 429, {"Retry-After": echo[:6]}
    ),
}


def _by_token_service(answer: Callable[[str], Response]) -> Way:
    return lambda scene: scene.test(**scene.token_url(lambda _request: answer(scene.echo)))


for _name, _answer in TOKEN_ANSWERS.items():
    way(_name)(_by_token_service(_answer))
for _name, _answer in TOKEN_NUMBERS.items():
    way(_name, only=DIGITS)(_by_token_service(_answer))


@way("token service, certificate")
def _token_certificate(scene: Scene) -> Options:
    certificate = scene.certificate(common_name=scene.echo[:64], hosts=(f"{scene.echo}.example.com",))
    return scene.test(**scene.token_url(lambda _request: Response(), certificate))


@way("token service, where it sends")
def _sent_elsewhere(scene: Scene) -> Options:
    """The document that says where tokens are names a server that has the secret as its name."""
    elsewhere = f"https://{quote(scene.echo)}.invalid/token"
    service = scene.web(lambda _request: as_json(scene.discovery(service.url, elsewhere)))
    smtp = {**scene.smtp(), "auth": "oauth2"}
    del smtp["password"]
    application = {"tenant_id": "example.com", "client_id": "mailroom", "client_secret": scene.secret}
    oauth2 = {"authority": service.url, "ca_file": str(scene.zoo.ca_file), **application}
    return scene.test(smtp=smtp, oauth2=oauth2)


@way("token, claims")
def _claims(scene: Scene) -> Options:
    claims = {"aud": scene.echo, "roles": [scene.echo], "appid": scene.echo, "exp": 1}
    parts = (base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({}, claims))
    token = ".".join([*parts, "c2ln"])
    fields = scene.token_url(lambda _request: as_json({"access_token": token, "token_type": "Bearer"}))
    refusing = scene.smtp({"auth": reply("535 5.7.8 no")}, mechanisms=("XOAUTH2",))
    return scene.test(**{**fields, "smtp": {**fields["smtp"], "port": refusing["port"]}})


@way("token, sign-in refused with a reason")
def _reason(scene: Scene) -> Options:
    def refuse(talk: Talk) -> None:
        told = dict.fromkeys(("status", "schemes", "scope"), scene.echo)
        talk.send(f"334 {_base64(json.dumps(told))}\r\n")
        talk.line()
        talk.send("535 5.7.8 no\r\n")

    fields = scene.token_url(lambda _request: as_json({"access_token": OTHER, "token_type": "Bearer"}))
    refusing = scene.smtp({"auth": refuse}, mechanisms=("XOAUTH2",))
    return scene.test(**{**fields, "smtp": {**fields["smtp"], "port": refusing["port"]}})


@way("token, repeated by the server that it is for")
def _token(scene: Scene) -> Options:
    fields = scene.token_url(lambda _request: as_json({"access_token": scene.secret, "token_type": "Bearer"}))
    fields["oauth2"]["client_secret"] = OTHER
    refusing = scene.smtp({"auth": reply(f"535 5.7.8 {scene.echo}")}, mechanisms=("XOAUTH2",))
    return scene.test(**{**fields, "smtp": {**fields["smtp"], "port": refusing["port"]}})


def _graph_error(echo: str, **error: Any) -> Response:
    return as_json({"error": {"code": "ErrorAccessDenied", "message": "no", **error}}, 404)


GRAPH_ANSWERS: dict[str, Callable[[str], Response]] = {
    "graph, message": lambda echo: _graph_error(echo, message=f"You sent {echo}"),
    "graph, code": lambda echo: _graph_error(echo, code=echo),
    "graph, request-id": lambda echo: _graph_error(echo, innerError={"request-id": echo}),
    "graph, request-id in the header": lambda echo: as_json({}, 404, {"request-id": quote(echo)}),
    "graph, page": lambda echo: as_text(f"<html>{echo}</html>", 404),
    "graph, header": lambda echo: as_json({}, 401, {"WWW-Authenticate": f"Bearer realm={quote(echo)}"}),
    "graph, redirect": lambda echo: Response(302, b"", {"Location": f"https://{quote(echo)}.example.org/"}),
    "graph, not allowed to look": lambda echo: as_json({"error": {"code": "ErrorAccessDenied", "message": echo}}, 403),
}


def _by_graph(answer: Callable[[str], Response]) -> Way:
    return lambda scene: scene.test(**scene.graph(lambda _request: answer(scene.echo)))


for _name, _answer in GRAPH_ANSWERS.items():
    way(_name)(_by_graph(_answer))
way("graph, Retry-After", only=DIGITS)(
    _by_graph(lambda echo: as_json({"error": {"code": "x", "message": "no"}}, 429, {"Retry-After": echo[:6]}))
)


@way("graph, id of what was accepted")
def _accepted(scene: Scene) -> Options:
    def answer(request: Request) -> Response:
        if request.method == "GET":
            return as_json({"id": "inbox"})
        return Response(202, headers={"request-id": quote(scene.echo)})

    return scene.test("send", **scene.graph(answer))


@way("graph, header of the delivered mail", only=LETTERS)
def _delivered_by_graph(scene: Scene) -> Options:
    sent: list[bytes] = []

    def answer(request: Request) -> Response:
        if request.path.endswith("sendMail"):
            sent.append(base64.b64decode(request.body))
            return Response(202)
        if request.path.endswith("/messages"):
            found = re.search(rb"^Message-ID: *(\S+)", sent[0], re.MULTILINE | re.IGNORECASE)
            headers = {"Received": "from x", "Authentication-Results": f"mx; spf={scene.echo}"}
            told = [{"name": name, "value": value} for name, value in headers.items()]
            mail = {"id": "1", "internetMessageId": found and found[1].decode(), "internetMessageHeaders": told}
            return as_json({"value": [mail]})
        return as_json({"id": "inbox"}, 200 if request.method == "GET" else 204)

    return scene.test("deliver", **scene.graph(answer))


def _delivered(header: str, expunged: str = "{tag} OK done") -> Action:
    """What an IMAP server answers about a mail that has come: with this header, and so when it is to be removed."""

    def act(talk: Talk) -> None:
        commands = [line for line in bytes(talk.received).split(b"\r\n") if b" UID " in line]
        asked = re.search(rb"<[^<>\s]+@[^<>\s]+>", b"".join(commands))
        if b"SEARCH" in commands[-1]:
            talk.send("* SEARCH 7\r\n")
        elif b"FETCH" in commands[-1]:
            about = f"Received: from x\r\n{header}\r\nMessage-ID: {asked and asked[0].decode()}\r\n\r\n"
            talk.send(f"* 1 FETCH (UID 7 BODY[HEADER] {{{len(about)}}}\r\n{about})\r\n")
        else:
            talk.send(expunged.replace("{tag}", talk.tag) + "\r\n")
            return
        talk.send(f"{talk.tag} OK done\r\n")

    return act


@way("imap, header of the delivered mail", only=LETTERS)
def _delivered_by_imap(scene: Scene) -> Options:
    header = f"Authentication-Results: mx; spf={scene.echo}; dkim=pass; dmarc={scene.echo}"
    return scene.test("deliver", smtp=scene.smtp(), imap=scene.imap({"uid": _delivered(header)}))


@way("imap, removal refused")
def _not_removed(scene: Scene) -> Options:
    answers = _delivered("Subject: x", f"{{tag}} NO {scene.echo}")
    opened = reply("* 1 EXISTS", "* OK [UIDVALIDITY 1] Ok", "{tag} OK [READ-WRITE] done")
    return scene.test("deliver", smtp=scene.smtp(), imap=scene.imap({"uid": answers, "select": opened}))


@way("imap, size of the mailbox", only=DIGITS)
def _quota(scene: Scene) -> Options:
    quota = ["* QUOTAROOT INBOX x", f"* QUOTA x (STORAGE {scene.echo} {scene.echo})", "{tag} OK done"]
    return scene.test(imap=scene.imap({"quota": reply(*quota)}))


@way("deliver_via, the sender's password")
def _sender_password(scene: Scene) -> Options:
    """The server of the mailbox that is read repeats what only the sending server was told."""
    scene.store("reading", imap={**scene.imap(_at("greeting", "* OK {}", scene.echo))})
    scene.play("connector", name="reading", imap={"password": OTHER})
    scene.store(smtp=scene.smtp())
    return scene.play("connector_test", connectors=["tested"], depth="deliver", deliver_via="reading", fail=False)


@way("deliver_via, the reader's password")
def _reader_password(scene: Scene) -> Options:
    reading = scene.imap({"uid": _delivered("Subject: x")})
    smtp = scene.smtp(_at("message", "250 2.0.0 Ok: queued as {}", scene.echo))
    scene.store("reading", imap=reading)
    scene.store(smtp={name: value for name, value in smtp.items() if name not in ("username", "password")})
    return scene.play("connector_test", connectors=["tested"], depth="deliver", deliver_via="reading", fail=False)


@way("refused a moment ago, by a connector with another proxy")
def _refused_before(scene: Scene) -> Options:
    """What was said to one connector is repeated for the next one, which has the same user and password."""
    smtp = {**scene.smtp(_at("auth_end", "535 5.7.8 {}", scene.echo)), "password": OTHER}
    scene.store("first", smtp={**_proxied(scene, HttpProxy, smtp)})
    scene.store("tested", smtp=smtp)
    return scene.play("connector_test", connectors=["first", "tested"], concurrency=1, fail=False)


@way("init_mail, queue id")
def _init_mail(scene: Scene) -> Options:
    scene.store(smtp=scene.smtp(_at("message", "250 2.0.0 Ok: queued as {}", scene.echo)))
    return scene.play("init_mail", connectors=["tested"])


@way("init_mail, refusal")
def _init_mail_refused(scene: Scene) -> Options:
    scene.store(smtp=scene.smtp(_at("message", "550 5.7.1 {}", scene.echo)))
    return scene.play("init_mail", connectors=["tested"])


@way("connector with verify")
def _verified(scene: Scene) -> Options:
    scene.store(smtp=scene.smtp(_at("ehlo", SMTP_REPLIES["smtp, EHLO keyword"][1], scene.echo)))
    return scene.play("connector", name="tested", from_name="Ann", smtp={"ehlo_name": "x.example.com"}, verify="login")


@way("connectors with verify")
def _all_verified(scene: Scene) -> Options:
    smtp = scene.smtp(_at("rcpt", "550 5.1.1 {}", scene.echo))
    scene.store(smtp=smtp)
    changed = {"name": "tested", "smtp": {"ehlo_name": "x.example.com"}, "test_address": ADDRESS}
    return scene.play("connectors", connectors=[changed], merge=True, verify="send")


@pytest.fixture
def scene(play: Play, request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], Scene]]:
    certificates = request.getfixturevalue("zoo")
    with ExitStack() as stack:
        yield lambda secret, echo: Scene(play, certificates, stack, secret, echo)


# Another form of the secret in each of as many ways as there are forms: all of them pass the same redaction.
FORM_OF = dict(zip(ANY_TEXT[:: len(ANY_TEXT) // len(FORMS)], FORMS))
# Ways in which no word of the server's is shown, so that there is nothing to hide.
SAYS_NOTHING = {
    "imap, mailbox's flags",
    *(name for name in WAYS if name.startswith("proxy, ")),
    *(f"token service, {what}" for what in ("page", "redirect", "reason", "header", "no HTTP", "another JSON")),
    "token service, type of a token",
    "token service, Retry-After",
    *(f"graph, {what}" for what in ("code", "request-id", "request-id in the header", "page", "header", "redirect")),
    "graph, id of what was accepted",
}


def _printed(made: Options) -> str:
    return json.dumps(made, ensure_ascii=False)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.sampled(4)
def test_secret_that_is_sent_back_is_not_printed(name: str, scene: Callable[[str, str], Scene]) -> None:
    secret = LIMITED.get(name, SECRET)
    printed = _printed(WAYS[name](scene(secret, secret)))
    assert not shows(printed, secret)
    assert (HIDDEN in printed) == (name not in SAYS_NOTHING)


@pytest.mark.parametrize("name", FORM_OF, ids=lambda name: f"{name}, {FORM_OF[name]}")
@pytest.mark.sampled(3)
def test_secret_that_is_sent_back_in_another_form_is_not_printed(name: str, scene: Callable[[str, str], Scene]) -> None:
    echo = FORMS[FORM_OF[name]](SECRET)
    assert not shows(_printed(WAYS[name](scene(SECRET, echo))), SECRET, echo)


def test_search_of_these_tests_finds_every_form_of_a_secret() -> None:
    forms: dict[str, Callable[[str], str]] = {"as it is": str, **FORMS}
    echoes = {name: form(SECRET) for name, form in forms.items()}
    assert [name for name, echo in echoes.items() if not shows(f"before {echo} after", SECRET, echo)] == []
    assert [name for name, echo in echoes.items() if shows(f"before {HIDDEN} after", SECRET, echo)] == []


def _own(result: Any) -> Any:
    """What is ours in a result: all but what a server may have said, and how long it took."""
    endpoint = result["endpoints"][0]
    phases = [
        (each["phase"], each["status"], "" if "code" in each else each.get("text", "")) for each in endpoint["phases"]
    ]
    named = [endpoint[name] for name in ("protocol", "host", "port", "tls", "message")]
    return [result[name] for name in ("status", "verdict", "certainty", "remedy", "warnings")], named, phases


SITUATIONS: dict[str, Way] = {
    "refused": lambda scene: scene.smtp({"auth": reply("535 5.7.8 -")}),
    "no STARTTLS": lambda scene: {**scene.smtp(offered=()), "security": "starttls"},
    "no proxy": lambda scene: {**scene.smtp(), "security": "tls", "proxy": "http://127.0.0.1:1"},
    "no TLS": lambda scene: {**scene.smtp(), "security": "tls"},
    "too large": lambda scene: scene.smtp({"auth": reply("235 2.7.0 -"), "mail": reply("552 5.3.4 -")}),
}
WORDS = (
    *("a", "no", "smtp", "auth", "server", "password", "encryption", "STARTTLS", "connection", "username", "proxy"),
    *("127.0.0.1", "localhost", ADDRESS, USERNAME, "tested", "certificate", "security tls", "cannot be reached"),
)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_our_own_words_and_what_was_declared_are_shown_whatever_the_password_is(
    situation: Way, scene: Callable[[str, str], Scene]
) -> None:
    """A gap in a sentence that everybody knows would even tell what the password is."""
    tested = scene(SECRET, "")
    block = {**situation(tested), "host": "localhost", "ehlo_name": "client.example.org"}
    addresses = {"from_address": ADDRESS, "test_address": ADDRESS}
    named = {f"tested_{number:02}": {**block, "password": each} for number, each in enumerate((SECRET, *WORDS))}
    tested.play("connectors", connectors=[{"name": name, "smtp": smtp, **addresses} for name, smtp in named.items()])
    expected, *others = map(_own, tested.play("connector_test", depth="envelope", fail=False)["results"])
    assert expected[0][0] == "fail"
    assert others == [expected] * len(WORDS)


def test_a_password_that_is_the_host_leaves_the_host_and_its_address(scene: Callable[[str, str], Scene]) -> None:
    tested = scene("127.0.0.1", "")
    endpoint = tested.test("connect", smtp=tested.smtp())["results"][0]["endpoints"][0]
    assert (endpoint["host"], endpoint["address"]) == ("127.0.0.1", "127.0.0.1")


def test_decisions_are_made_by_what_the_server_says_even_where_that_is_hidden(
    scene: Callable[[str, str], Scene],
) -> None:
    """A password such as STARTTLS hides the word, and encryption begins all the same."""
    for password in ("STARTTLS", "AUTH=PLAIN", "AUTH PLAIN", "PREAUTH"):
        tested = scene(password, "")
        tls = tested.zoo.good.server_context()
        trust = {"security": "starttls", "host": "localhost", "ca_file": str(tested.zoo.ca_file)}
        result = tested.test(smtp={**tested.smtp(tls=tls), **trust}, imap={**tested.imap(tls=tls), **trust})
        assert result["results"][0]["verdict"] == "ok", password


def test_without_the_key_connecting_is_tested_all_the_same(scene: Callable[[str, str], Scene]) -> None:
    tested = scene(SECRET, "")
    tested.store(smtp=tested.smtp())
    other_key = base64.urlsafe_b64encode(bytes(32)).decode()
    tested.play = functools.partial(tested.play, registry_key=other_key)
    assert tested.test("connect")["results"][0]["verdict"] == "ok"
    assert tested.test("login")["results"][0]["verdict"] == "host_not_ready"
