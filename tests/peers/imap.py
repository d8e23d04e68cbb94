# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted IMAP server: a good one, unless an action says otherwise at a phase."""

from __future__ import annotations

import dataclasses
import re
import ssl
from collections.abc import Mapping, Sequence

from peers import sasl
from peers.actions import Action
from peers.scripted import Login, ScriptedServer, Talk
from peers.smtp import PASSWORDS

# In the order in which a client meets them. `auth` is LOGIN and AUTHENTICATE, `auth_step` is instead of a challenge,
# `auth_end` instead of the result; `select` is EXAMINE too, `quota` both GETQUOTAROOT and GETQUOTA.
PHASES = (
    *(
        "greeting",
        "capability",
        "starttls",
        "tls",
        "capability_tls",
        "auth",
        "auth_step",
        "auth_end",
        "capability_auth",
    ),
    *("id", "namespace", "list", "status", "select", "quota", "search", "noop", "close", "logout"),
)
LOGIN_COMMAND = "LOGIN command"  # its name among the mechanisms
_SAME = {"examine": "select", "getquotaroot": "quota", "getquota": "quota", "login": "auth", "authenticate": "auth"}
_SIGNED_IN = ("namespace", "list", "status", "select", "quota", "search", "close")
_WORD = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')
_LITERAL = re.compile(r"\{(\d+)(\+?)\}$")


@dataclasses.dataclass(frozen=True)
class ImapScript:
    """How to talk IMAP; call it with a `Talk`.

    `tls` is what STARTTLS leads to, and without it STARTTLS is not offered. `offered` and `offered_tls` replace the
    list of capabilities before and after STARTTLS.
    """

    at: Mapping[str, Action] = dataclasses.field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    users: Mapping[str, str] = dataclasses.field(default_factory=lambda: PASSWORDS)
    faults: sasl.Faults = dataclasses.field(default_factory=sasl.Faults)
    offered: Sequence[str] | None = None
    offered_tls: Sequence[str] | None = None
    injected: str = ""  # sent in the clear, in one piece with the reply to STARTTLS
    login_disabled: bool = False  # no signing in before STARTTLS
    initial_response: bool = True  # SASL-IR
    mailboxes: Sequence[str] = ("INBOX", "Archive")
    greeting: str = "* OK IMAP4rev1 ready"

    def __call__(self, talk: Talk) -> None:
        """Talks until one side ends it."""
        if self._normal(talk, "greeting"):
            talk.send(self.greeting + "\r\n")
        while True:
            self._answer(talk, *_command(talk))

    def server(self, tls: bool = False, host: str = "127.0.0.1", port: int = 0, name: str = "") -> ScriptedServer:
        """A server for this script; with `tls`, from the first byte."""
        script = dataclasses.replace(self, tls=None) if tls else self
        return ScriptedServer(script, tls=self.tls if tls else None, host=host, port=port, name=name)

    def _normal(self, talk: Talk, phase: str) -> bool:
        """Does what is wanted at this phase, and says whether to do what is normal too."""
        action = self.at.get(phase)
        return action is None or bool(action(talk))

    def _answer(self, talk: Talk, name: str, words: list[str]) -> None:
        phase = _SAME.get(name, name)
        if phase == "auth":
            self._auth(talk, name, words)
            return
        if phase == "capability" and talk.user:
            phase = "capability_auth"
        elif phase == "capability" and talk.encrypted:
            phase = "capability_tls"
        if not self._normal(talk, phase):
            return
        if phase in _SIGNED_IN and not talk.user and "PREAUTH" not in self.greeting:
            talk.send(f"{talk.tag} BAD Please sign in first\r\n")
        elif phase == "starttls":
            self._starttls(talk)
        elif phase == "logout":
            talk.send(f"* BYE Logging out\r\n{talk.tag} OK Logout completed\r\n")
            talk.close()
        else:
            self._reply(talk, phase, words)

    def _reply(self, talk: Talk, phase: str, words: list[str]) -> None:
        if phase == "select" and (not words or words[0] not in self.mailboxes):
            talk.send(f"{talk.tag} NO [NONEXISTENT] Mailbox does not exist\r\n")
            return
        untagged = {
            "capability": [self._capabilities(talk)],
            "id": ['* ID ("name" "Example")'],
            "namespace": ['* NAMESPACE (("" "/")) NIL NIL'],
            "list": [f'* LIST () "/" {name}' for name in self.mailboxes],
            "status": [f"* STATUS {words[0] if words else 'INBOX'} (MESSAGES 0)"],
            "select": [
                "* FLAGS (\\Seen)",
                "* 0 EXISTS",
                "* 0 RECENT",
                "* OK [UIDVALIDITY 1] Ok",
                "* OK [UIDNEXT 1] Ok",
            ],
            "quota": ['* QUOTAROOT INBOX "User quota"', '* QUOTA "User quota" (STORAGE 1 10240)'],
            "search": ["* SEARCH"],
            "noop": [],
            "close": [],
        }.get(phase.partition("_")[0])
        if untagged is None:
            talk.send(f"{talk.tag} BAD Unknown command\r\n")
            return
        code = "[READ-ONLY] " if phase == "select" else ""
        talk.send("".join(f"{line}\r\n" for line in [*untagged, f"{talk.tag} OK {code}{phase} completed"]))

    def _capabilities(self, talk: Talk) -> str:
        special = self.offered_tls if talk.encrypted else self.offered
        if special is not None:
            return " ".join(["* CAPABILITY", *special])
        words = ["IMAP4rev1", "ID", "NAMESPACE", "QUOTA", "LITERAL+", *["SASL-IR"] * self.initial_response]
        if self.tls and not talk.encrypted:
            words.append("STARTTLS")
        if self._disabled(talk):
            return " ".join(["* CAPABILITY", *words, "LOGINDISABLED"])
        return " ".join(["* CAPABILITY", *words, *(f"AUTH={name}" for name in self.mechanisms)])

    def _disabled(self, talk: Talk) -> bool:
        return self.login_disabled and not talk.encrypted

    def _starttls(self, talk: Talk) -> None:
        talk.send(f"{talk.tag} OK Begin TLS negotiation now\r\n" + self.injected)
        if self._normal(talk, "tls") and self.tls:
            talk.start_tls(self.tls)

    def _auth(self, talk: Talk, name: str, words: list[str]) -> None:
        mechanism = LOGIN_COMMAND if name == "login" else words[0].upper() if words else ""
        with talk.server.login(talk, mechanism) as login:
            if mechanism == LOGIN_COMMAND and len(words) > 1:
                login.username, login.password = words[0], words[1]
            if not self._normal(talk, "auth"):
                return
            if self._disabled(talk):
                talk.send(f"{talk.tag} NO [PRIVACYREQUIRED] Not before STARTTLS\r\n")
                return
            try:
                login.accepted = self._accepts(talk, login, words)
            except sasl.BadResponse as error:
                talk.send(f"{talk.tag} BAD Authentication failed: {error}\r\n")
                return
            if not self._normal(talk, "auth_end"):
                login.accepted = False
                return
            talk.user = login.username if login.accepted else None
            result = "OK Logged in" if login.accepted else "NO [AUTHENTICATIONFAILED] Authentication failed."
            talk.send(f"{talk.tag} {result}\r\n")

    def _accepts(self, talk: Talk, login: Login, words: list[str]) -> bool:
        if login.mechanism == LOGIN_COMMAND:
            return bool(login.username) and self.users.get(login.username or "") == login.password
        if login.mechanism not in {name.upper() for name in self.mechanisms} & set(sasl.MECHANISMS):
            raise sasl.BadResponse("unsupported mechanism")
        return self._exchange(talk, login, words[1] if len(words) > 1 else "")

    def _exchange(self, talk: Talk, login: Login, initial: str) -> bool:
        asked = 0

        def ask(challenge: bytes) -> bytes:
            nonlocal asked
            asked += 1
            if self._normal(talk, "auth_step"):
                special = self.faults.challenge if asked == 1 else None
                talk.send(f"+ {sasl.encode(challenge) if special is None else special}\r\n")
            return sasl.decode(talk.line())

        first = sasl.decode(initial) if initial else None
        exchange = sasl.Exchange(login, self.users, self.faults.ask(ask), first, self.faults)
        return sasl.MECHANISMS[login.mechanism](exchange)


def _command(talk: Talk) -> tuple[str, list[str]]:
    """The next command and its arguments, literals included; remembers the tag."""
    line = talk.line()
    talk.tag, _space, rest = line.partition(" ")
    name, _space, rest = rest.partition(" ")
    words = _words(rest)
    while words and (literal := _LITERAL.search(words[-1])):
        if not literal[2]:
            talk.send("+ Ready for literal\r\n")
        words[-1] = talk.read_exactly(int(literal[1])).decode(errors="surrogateescape")
        words += _words(talk.line())
    return name.lower(), words


def _words(text: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else bare for quoted, bare in _WORD.findall(text)]
