# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that repeat what they are told where others say what is wrong; what they are told are secrets."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

from peers import entra, google, graph, token_url
from peers.actions import Action
from peers.https import Request, Response, as_json
from peers.imap import ImapScript
from peers.scripted import Talk
from peers.smtp import SmtpScript


def _repeated(request: Request, status: int) -> Response:
    spoken = f"{request.body.decode(errors='replace')} {request.form} {dict(request.headers)}"
    return as_json({"error": "invalid_request", "error_description": f"You sent {spoken}"}, status)


class Entra(entra.Entra):
    """Repeats instead of issuing tokens."""

    def _token(self, request: Request, tenant: str) -> Response:
        return _repeated(request, 400)


class Google(google.Google):
    """Repeats instead of issuing tokens."""

    def _token(self, request: Request) -> Response:
        return _repeated(request, 400)


class TokenUrl(token_url.TokenUrl):
    """Repeats instead of issuing tokens."""

    def _token(self, request: Request) -> Response:
        return _repeated(request, 401)


class Graph(graph.Graph):
    """Repeats wherever there is room for it instead of showing a folder."""

    def _folder(self, request: Request, user: str, folder: str) -> Response:
        token = request.bearer
        inner = {"request-id": token, "client-request-id": token}
        error = {"code": token, "message": f"You sent {dict(request.headers)}", "innerError": inner}
        return as_json({"error": error}, 404, {"request-id": token})


def _heard(talk: Talk) -> list[str]:
    """The last words of a client, as they are and decoded."""
    words = bytes(talk.received).split()[-8:]
    with suppress(ValueError):
        words += [base64.b64decode(word, validate=True) for word in words[-1:]]
    return [word.decode(errors="replace") for word in words]


def _refuse(go_on: str, refusal: str) -> Action:
    """Hears the token, and tells the reason in JSON and in words: what it has heard."""

    def act(talk: Talk) -> None:
        if _heard(talk)[-1].upper() in ("XOAUTH2", "OAUTHBEARER"):
            talk.send(f"{go_on}\r\n")
            talk.line()
        told = {"status": f"You sent {_heard(talk)}", "schemes": "bearer", "scope": "mail"}
        talk.send(f"{go_on}{base64.b64encode(json.dumps(told).encode()).decode()}\r\n")
        words = " ".join(_heard(talk)).replace("\1", " ")
        talk.line()
        talk.send(f"{refusal.replace('{tag}', talk.tag or '*')} You sent {words}\r\n")

    return act


def smtp(mechanism: str) -> SmtpScript:
    """An SMTP server that repeats a token."""
    return SmtpScript({"auth": _refuse("334 ", "535 5.7.8")}, mechanisms=(mechanism,))


def imap(mechanism: str) -> ImapScript:
    """An IMAP server that repeats a token."""
    return ImapScript({"auth": _refuse("+ ", "{tag} NO")}, mechanisms=(mechanism,))
