# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults by name: `SMTP` and `IMAP` hold all of them, each of which makes a server that has it."""

from __future__ import annotations

import dataclasses
import ssl
import warnings
from collections.abc import Callable, Mapping, Sequence

from peers import actions, imap, sasl, smtp, texts
from peers.actions import Action
from peers.ca import CertificateZoo
from peers.scripted import Script, ScriptedServer, Talk

Scripted = smtp.SmtpScript | imap.ImapScript


@dataclasses.dataclass(frozen=True)
class Fault:
    """A server with one fault."""

    name: str
    security: str  # what the client should be set to: none, starttls, tls
    phase: str  # where it happens
    make: Callable[[CertificateZoo], ScriptedServer]
    endless: bool = False  # a client without a deadline would never come to an end


def behaviours(line: str) -> dict[str, Action]:
    """What can happen at every phase; `line` is a continuation line of the protocol."""
    return {
        "silent": actions.silent(),
        "hang_up": actions.hang_up(),
        "reset": actions.reset(),
        "garbage": actions.garbage(),
        "flood": actions.flood(line),
        "endless_lines": actions.endless_lines(line),
        "drip": actions.endless_drip(line),
    }


ENDLESS = ("silent", "garbage", "flood", "endless_lines", "drip")


def dialogue(
    name: str,
    script: Scripted,
    phase: str,
    security: str = "starttls",
    *,
    certificate: str = "good",
    endless: bool = False,
) -> Fault:
    """A fault in a conversation that is otherwise good."""

    def make(zoo: CertificateZoo) -> ScriptedServer:
        if security == "none":
            return ScriptedServer(script, name=name)
        with_tls = dataclasses.replace(script, tls=zoo[certificate].server_context())
        return with_tls.server(tls=security == "tls", name=name)

    return Fault(name, security, phase, make, endless)


def bare(name: str, script: Script, security: str = "none", phase: str = "greeting", endless: bool = False) -> Fault:
    """A server that does not speak the protocol at all."""
    return Fault(name, security, phase, lambda zoo: ScriptedServer(script, name=name), endless)


def other_protocol(first: str, answer: str = "") -> Script:
    """Greets like another protocol, or waits for the client, answers once, and closes."""

    def script(talk: Talk) -> None:
        if first:
            talk.send(first)
        talk.read()
        talk.send(answer)
        talk.close()

    return script


def tls_limited(zoo: CertificateZoo) -> ssl.SSLContext | None:
    """A server's context for TLS 1.0 and 1.1 only, or None where OpenSSL has neither any more."""
    context = zoo.good.server_context()
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is what they are for
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    except (ValueError, ssl.SSLError):
        return None
    return context


def old_tls(base: Scripted) -> Fault:
    """TLS 1.1 at most, from the first byte."""

    def make(zoo: CertificateZoo) -> ScriptedServer:
        context = tls_limited(zoo)
        if context is None:
            return ScriptedServer(refuse_version, name="tls_1_1")
        return ScriptedServer(base, tls=context, name="tls_1_1")

    return Fault("tls_1_1", "tls", "tls", make)


def refuse_version(talk: Talk) -> None:
    """Refuses a TLS handshake with the alert `protocol_version`."""
    actions.alert(actions.ALERT_PROTOCOL_VERSION)(talk)


def _everywhere(base: Scripted, phases: Sequence[str], line: str) -> list[Fault]:
    found = []
    for phase in phases:
        for name, action in behaviours(line).items():
            # Everything is in the clear but PLAIN, which needs no step: a step needs a mechanism that has one.
            at = {phase: action}
            mechanisms = ("LOGIN",) if phase == "auth_step" else ("PLAIN",)
            script = dataclasses.replace(base, at=at, mechanisms=mechanisms)
            found.append(dialogue(f"{phase}_{name}", script, phase, endless=name in ENDLESS))
    return found


def _replies(base: Scripted, replies: Mapping[str, Mapping[str, str]]) -> list[Fault]:
    return [
        dialogue(f"{phase}_{name}", dataclasses.replace(base, at={phase: actions.reply(text)}), phase)
        for phase, some in replies.items()
        for name, text in some.items()
    ]


def _signing_in(base: Scripted) -> list[Fault]:
    scram = {
        "scram_wrong_signature": sasl.Faults(wrong_signature=True),
        "scram_no_signature": sasl.Faults(no_signature=True),
        "scram_one_iteration": sasl.Faults(iterations=1),
        "scram_no_iterations": sasl.Faults(iterations=0),
        "scram_too_many_iterations": sasl.Faults(iterations=10**9),
        "scram_wrong_nonce": sasl.Faults(wrong_nonce=True),
        "scram_short_nonce": sasl.Faults(short_nonce=True),
        "scram_error": sasl.Faults(first=b"e=other-error"),
        "scram_nothing": sasl.Faults(first=b""),
        "scram_extension": sasl.Faults(first=b"m=unknown,r=x,s=eA==,i=4096"),
        "scram_not_text": sasl.Faults(first=b"\xff\xfe\x00"),
        "scram_not_base64": sasl.Faults(challenge="!!!not base64!!!"),
    }
    plain = {
        "too_many_challenges": sasl.Faults(challenges=3),
        "endless_challenges": sasl.Faults(challenges=-1),
    }
    made = [(name, faults, ("SCRAM-SHA-256",)) for name, faults in scram.items()]
    made += [(name, faults, ("PLAIN",)) for name, faults in plain.items()]
    made.append(("login_not_base64", sasl.Faults(challenge="%%%"), ("LOGIN",)))
    return [
        dialogue(
            name,
            dataclasses.replace(base, faults=faults, mechanisms=mechanisms),
            "auth",
            endless=name == "endless_challenges",
        )
        for name, faults, mechanisms in made
    ]


def _encryption(base: Scripted, plain_text: str) -> list[Fault]:
    quiet: dict[str, Action] = {"silent": actions.silent(), "hang_up": actions.hang_up(), "reset": actions.reset()}
    after_tls_record = {**quiet, "alert": actions.alert(), "garbage": actions.garbage()}
    return [
        old_tls(base),
        bare("tls_refused_version", refuse_version, "tls", "tls"),
        *(
            bare(f"implicit_tls_{name}", lambda talk, action=action: action(talk), "tls", "tls", name in ENDLESS)  # type: ignore[misc]
            for name, action in after_tls_record.items()
        ),
        dialogue("tls_alert", dataclasses.replace(base, at={"tls": actions.alert()}), "tls"),
        dialogue("tls_plain_text", dataclasses.replace(base, at={"tls": actions.reply(plain_text)}), "tls"),
        dialogue("plain_port_for_tls", base, "tls", "none"),
        Fault(
            "tls_port_for_plain",
            "none",
            "greeting",
            lambda zoo: ScriptedServer(base, tls=zoo.good.server_context()),
            endless=True,
        ),
        *(dialogue(f"certificate_{name}", base, "tls", "tls", certificate=name) for name in CertificateZoo.SERVERS[1:]),
        *(
            dialogue(f"certificate_{name}_starttls", base, "tls", "starttls", certificate=name)
            for name in CertificateZoo.SERVERS[1:]
        ),
        Fault(
            "client_certificate_needed",
            "tls",
            "tls",
            lambda zoo: ScriptedServer(base, tls=zoo.good.server_context(zoo.client_ca_file)),
        ),
    ]


OTHERS = {
    "http": other_protocol("", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    "ssh": other_protocol("SSH-2.0-OpenSSH_9.2\r\n"),
    "pop3": other_protocol("+OK POP3 ready\r\n", "-ERR unknown command\r\n"),
    "mysql": other_protocol("J\0\0\0\n8.0.36\0\x08\0\0\0"),
}

_SMTP = smtp.SmtpScript()
_IMAP = imap.ImapScript()
_SLOW = actions.slow(0.1)
_SMTP_FAULTS = [
    *_everywhere(_SMTP, [phase for phase in smtp.PHASES if phase not in ("helo", "noop")], "220-"),
    *_replies(_SMTP, texts.SMTP),
    *_signing_in(_SMTP),
    *_encryption(_SMTP, "250 Still in the clear"),
    *(bare(f"speaks_{name}", script, endless=name == "http") for name, script in OTHERS.items()),
    dialogue("slow", smtp.SmtpScript(dict.fromkeys(smtp.PHASES, _SLOW)), "quit"),
    bare("speaks_imap", imap.ImapScript()),
    dialogue(
        "greeting_endless", smtp.SmtpScript({"greeting": actions.endless_lines("220-Wait")}), "greeting", endless=True
    ),
    dialogue(
        "greeting_many_lines",
        smtp.SmtpScript({"greeting": actions.reply("220-One", "220-Two", "220 Three")}),
        "greeting",
    ),
    dialogue("greeting_not_a_reply", smtp.SmtpScript({"greeting": actions.reply("Welcome!")}), "greeting"),
    dialogue(
        "ehlo_other_codes", smtp.SmtpScript({"ehlo": actions.reply("250-mail.example.com", "550 STARTTLS")}), "ehlo"
    ),
    dialogue("ehlo_many_lines", smtp.SmtpScript({"ehlo": actions.endless_lines("250-X", 20_000)}), "ehlo"),
    dialogue("no_auth", smtp.SmtpScript(mechanisms=()), "auth"),
    dialogue("unknown_auth", smtp.SmtpScript(mechanisms=("GSSAPI", "NTLM")), "auth"),
    dialogue("auth_with_equals", smtp.SmtpScript(offered_tls=["AUTH=PLAIN LOGIN"]), "auth"),
    dialogue("no_starttls", smtp.SmtpScript(offered=["PIPELINING"]), "starttls"),
    dialogue("starttls_last", smtp.SmtpScript(offered=["SIZE 10485760", "STARTTLS"]), "ehlo"),
    dialogue("odd_case", smtp.SmtpScript(offered=["StartTls"], offered_tls=["aUtH pLaIn LoGiN", "size 100"]), "ehlo"),
    dialogue(
        "helo_only",
        smtp.SmtpScript({"ehlo": actions.reply("502 5.5.1 Error: command not implemented")}),
        "ehlo",
        "none",
    ),
    dialogue("auth_needed", smtp.SmtpScript(auth_needed=True), "mail"),
    dialogue("starttls_injection", smtp.SmtpScript(injected="250 2.0.0 Injected\r\n"), "starttls"),
    dialogue(
        "shutting_down",
        smtp.SmtpScript({"noop": actions.reply("421 4.3.2 Bye"), "rset": actions.reply("421 4.3.2 Bye")}),
        "rset",
    ),
]
_IMAP_FAULTS = [
    *_everywhere(
        _IMAP, [phase for phase in imap.PHASES if phase not in ("search", "status", "noop", "close")], "* OK "
    ),
    *_replies(_IMAP, texts.IMAP),
    *_signing_in(_IMAP),
    *_encryption(_IMAP, "* OK Still in the clear"),
    *(bare(f"speaks_{name}", script, endless=name == "http") for name, script in OTHERS.items()),
    dialogue("slow", imap.ImapScript(dict.fromkeys(imap.PHASES, _SLOW)), "logout"),
    bare("speaks_smtp", smtp.SmtpScript()),
    dialogue("login_disabled", imap.ImapScript(login_disabled=True), "auth", "none"),
    dialogue("login_disabled_starttls", imap.ImapScript(login_disabled=True), "auth"),
    dialogue("no_starttls", imap.ImapScript(offered=["IMAP4rev1", "AUTH=PLAIN"]), "starttls"),
    dialogue("no_auth", imap.ImapScript(offered_tls=["IMAP4rev1", "LOGINDISABLED"]), "auth"),
    dialogue("unknown_auth", imap.ImapScript(offered_tls=["IMAP4rev1", "LOGINDISABLED", "AUTH=GSSAPI"]), "auth"),
    dialogue(
        "odd_case",
        imap.ImapScript(offered=["imap4REV1", "StartTls"], offered_tls=["imap4rev1", "auth=plain"]),
        "capability",
    ),
    dialogue("starttls_injection", imap.ImapScript(injected="* CAPABILITY IMAP4rev1 AUTH=LOGIN\r\n"), "starttls"),
    dialogue("preauth", imap.ImapScript(greeting="* PREAUTH Already signed in"), "greeting", "none"),
    dialogue("preauth_starttls", imap.ImapScript(greeting="* PREAUTH Already signed in"), "starttls"),
    dialogue("greeting_alert", imap.ImapScript(greeting="* OK [ALERT] Maintenance at noon"), "greeting"),
    dialogue("greeting_not_imap", imap.ImapScript(greeting="Welcome!"), "greeting"),
    dialogue(
        "huge_literal",
        imap.ImapScript({"capability": actions.reply("* CAPABILITY {4294967295}")}),
        "capability",
        endless=True,
    ),
    dialogue(
        "huge_literal_list",
        imap.ImapScript({"select": actions.flood('* LIST () "/" {4294967295}\r\n')}),
        "select",
        endless=True,
    ),
    dialogue(
        "many_untagged", imap.ImapScript({"select": actions.endless_lines("* 1 FETCH (FLAGS ())", 50_000)}), "select"
    ),
    dialogue(
        "wrong_tag",
        imap.ImapScript({"capability": actions.reply("* CAPABILITY IMAP4rev1", "zzz OK Done")}),
        "capability",
        endless=True,
    ),
    dialogue("no_tagged_reply", imap.ImapScript({"select": actions.reply("* 0 EXISTS")}), "select", endless=True),
    dialogue("no_such_mailbox", imap.ImapScript(mailboxes=()), "select"),
    dialogue("quota_unknown", imap.ImapScript({"quota": actions.reply("{tag} BAD Unknown command")}), "quota"),
]

SMTP: dict[str, Fault] = {fault.name: fault for fault in _SMTP_FAULTS}
IMAP: dict[str, Fault] = {fault.name: fault for fault in _IMAP_FAULTS}
