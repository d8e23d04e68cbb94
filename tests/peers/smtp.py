# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted SMTP server: a good one, unless an action says otherwise at a phase."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Mapping, Sequence

from peers import sasl
from peers.actions import Action
from peers.scripted import Login, ScriptedServer, Talk
from peers.users import USERS

# In the order in which a client meets them. `auth_step` is instead of a challenge, `auth_end` instead of the result.
PHASES = (
    *("greeting", "ehlo", "helo", "starttls", "tls", "ehlo_tls", "auth", "auth_step", "auth_end"),
    *("mail", "rcpt", "data", "message", "rset", "noop", "quit"),
)
PASSWORDS = {user.address: user.password for user in USERS.values()}
ACCEPTED = "235 2.7.0 Authentication successful"
REFUSED = "535 5.7.8 Error: authentication failed"


@dataclasses.dataclass(frozen=True)
class SmtpScript:
    """How to talk SMTP; call it with a `Talk`.

    `tls` is what STARTTLS leads to, and without it STARTTLS is not offered. `offered` and `offered_tls` replace the
    lines of the EHLO reply after the first, word for word, before and after STARTTLS.
    """

    at: Mapping[str, Action] = dataclasses.field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    users: Mapping[str, str] = dataclasses.field(default_factory=lambda: PASSWORDS)
    faults: sasl.Faults = dataclasses.field(default_factory=sasl.Faults)
    offered: Sequence[str] | None = None
    offered_tls: Sequence[str] | None = None
    injected: str = ""  # sent in the clear, in one piece with the reply to STARTTLS
    auth_needed: bool = False  # MAIL only after signing in

    def __call__(self, talk: Talk) -> None:
        """Talks until one side ends it."""
        if self._normal(talk, "greeting"):
            talk.send("220 mail.example.com ESMTP\r\n")
        while True:
            self._answer(talk, talk.line())

    def server(self, tls: bool = False, host: str = "127.0.0.1", port: int = 0, name: str = "") -> ScriptedServer:
        """A server for this script; with `tls`, from the first byte."""
        script = dataclasses.replace(self, tls=None) if tls else self
        return ScriptedServer(script, tls=self.tls if tls else None, host=host, port=port, name=name)

    def _normal(self, talk: Talk, phase: str) -> bool:
        """Does what is wanted at this phase, and says whether to do what is normal too."""
        action = self.at.get(phase)
        return action is None or bool(action(talk))

    def _answer(self, talk: Talk, line: str) -> None:
        verb, _space, rest = line.partition(" ")
        phase = verb.lower()
        if phase == "ehlo" and talk.encrypted:
            phase = "ehlo_tls"
        if phase == "auth":
            self._auth(talk, rest)
        elif not self._normal(talk, phase):
            return
        elif phase in ("ehlo", "ehlo_tls"):
            self._ehlo(talk)
        elif phase == "starttls":
            self._starttls(talk)
        elif phase == "data":
            self._data(talk)
        elif phase == "quit":
            talk.send("221 2.0.0 Bye\r\n")
            talk.close()
        else:
            talk.send(self._reply(talk, phase) + "\r\n")

    def _reply(self, talk: Talk, phase: str) -> str:
        if phase == "mail":
            if self.auth_needed and not talk.user:
                return "530 5.7.0 Authentication required"
            talk.recipients = 0
            return "250 2.1.0 Ok"
        if phase == "rcpt":
            if talk.recipients is None:
                return "503 5.5.1 Error: need MAIL command"
            talk.recipients += 1
            return "250 2.1.5 Ok"
        if phase == "rset":
            talk.recipients = None
        known = {"helo": "250 mail.example.com", "rset": "250 2.0.0 Ok", "noop": "250 2.0.0 Ok"}
        return known.get(phase, "502 5.5.2 Error: unknown command")

    def _ehlo(self, talk: Talk) -> None:
        lines = ["mail.example.com", *self._offers(talk)]
        last = len(lines) - 1
        talk.send("".join(f"250{' ' if number == last else '-'}{line}\r\n" for number, line in enumerate(lines)))

    def _offers(self, talk: Talk) -> Sequence[str]:
        special = self.offered_tls if talk.encrypted else self.offered
        if special is not None:
            return special
        starttls = ["STARTTLS"] if self.tls and not talk.encrypted else []
        auth = [f"AUTH {' '.join(self.mechanisms)}"] if self.mechanisms else []
        return ["PIPELINING", "SIZE 10485760", *starttls, *auth, "ENHANCEDSTATUSCODES", "8BITMIME"]

    def _starttls(self, talk: Talk) -> None:
        if talk.encrypted:
            talk.send("502 5.5.1 Error: already encrypted\r\n")
            return
        talk.send("220 2.0.0 Ready to start TLS\r\n" + self.injected)
        if self._normal(talk, "tls") and self.tls:
            talk.start_tls(self.tls)

    def _data(self, talk: Talk) -> None:
        if not talk.recipients:
            talk.send("554 5.5.1 Error: no valid recipients\r\n")
            return
        talk.recipients = None
        talk.send("354 End data with <CR><LF>.<CR><LF>\r\n")
        while talk.line() != ".":
            pass
        if self._normal(talk, "message"):
            talk.send("250 2.0.0 Ok: queued as 4EXAMPLE1\r\n")

    def _auth(self, talk: Talk, rest: str) -> None:
        mechanism, _space, initial = rest.partition(" ")
        with talk.server.login(talk, mechanism.upper()) as login:
            if not self._normal(talk, "auth"):
                return
            known = {name.upper() for name in self.mechanisms} & set(sasl.MECHANISMS)
            if login.mechanism not in known:
                talk.send("504 5.5.4 Error: authentication mechanism not supported\r\n")
                return
            try:
                login.accepted = self._exchange(talk, login, initial)
            except sasl.BadResponse as error:
                talk.send(f"501 5.5.2 Error: authentication failed: {error}\r\n")
                return
            if not self._normal(talk, "auth_end"):
                login.accepted = False
                return
            talk.user = login.username if login.accepted else None
            talk.send((ACCEPTED if login.accepted else REFUSED) + "\r\n")

    def _exchange(self, talk: Talk, login: Login, initial: str) -> bool:
        asked = 0

        def ask(challenge: bytes) -> bytes:
            nonlocal asked
            asked += 1
            if self._normal(talk, "auth_step"):
                special = self.faults.challenge if asked == 1 else None
                talk.send(f"334 {sasl.encode(challenge) if special is None else special}\r\n")
            return sasl.decode(talk.line())

        first = sasl.decode(initial) if initial else None
        exchange = sasl.Exchange(login, self.users, self.faults.ask(ask), first, self.faults)
        return sasl.MECHANISMS[login.mechanism](exchange)
