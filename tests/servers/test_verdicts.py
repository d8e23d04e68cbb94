# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a server does ends in the right verdict, in time, with one sign-in at most, and without telling secrets."""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import actions, net
from peers.ca import CertificateZoo
from peers.imap import ImapScript
from peers.scripted import ScriptedServer, Talk
from peers.smtp import SmtpScript
from servers import verdicts_probing as probing
from servers import verdicts_table as table
from servers.verdicts_probing import ALICE, BOB, BOUNDS, ENDING, FAULTS, Outcome, connector, failing_phase, probe, said

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.smtp import SmtpCheck
from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES

Found = dict[tuple[str, str], Outcome]
WRONG = "wrong-Secret-0"
SCRIPTS: dict[str, type[SmtpScript | ImapScript]] = {"smtp": SmtpScript, "imap": ImapScript}
ENDLESS_ANSWERS = ("flood", "endless_lines", "drip")


def further_cases() -> Iterator[tuple[str, str]]:
    """Faults that differ from others only in where they happen: one kind of endless answer is tried at each phase."""
    for protocol in SCRIPTS:
        names = [name for of, name in FAULTS if of == protocol]
        phases = [name.removesuffix("_drip") for name in names if name.endswith("_drip")]
        for number, phase in enumerate(phases):
            for each in {*ENDLESS_ANSWERS} - {ENDLESS_ANSWERS[number % 3]}:
                yield protocol, f"{phase}_{each}"
    # STARTTLS leads to the same handshake as over SMTP.
    yield from ((of, name) for of, name in FAULTS if of == "imap" and re.fullmatch("certificate_.*_starttls", name))


FURTHER = set(further_cases())
EVERY_FAULT = pytest.mark.parametrize(
    "key", [pytest.param(key, id="-".join(key), marks=[pytest.mark.matrix] * (key in FURTHER)) for key in FAULTS]
)
BOTH = pytest.mark.parametrize("protocol", ["smtp", "imap"])


@pytest.fixture(scope="module")
def found(zoo: CertificateZoo, request: pytest.FixtureRequest) -> Found:
    """What comes of every named fault that is asked for."""
    items = (each for each in request.session.items if each.path == request.path and "found" in each.fixturenames)
    asked = [each.callspec.params for each in items if hasattr(each, "callspec")]
    return probing.meet_all(zoo, {each.get("key") or (each["protocol"], each["name"]) for each in asked})


def test_each_fault_has_a_line_in_the_table() -> None:
    assert set(table.EXPECTED) == set(FAULTS)


@EVERY_FAULT
def test_fault_has_its_verdict_costs_one_sign_in_and_tells_no_secret(found: Found, key: tuple[str, str]) -> None:
    outcome = found[key]
    actual = failing_phase(outcome.result), outcome.result["verdict"], outcome.result["certainty"]
    assert table.EXPECTED[key].fits(*actual), f"{actual}, not {table.EXPECTED[key]}: {said(outcome.result)}"
    _check_that_it_is_of_one_piece(outcome.result)
    signs_in = actual[0] in ("", "auth", "sender", "recipient", "select")
    assert len(outcome.logins) <= int(signs_in)
    _check_that_nothing_secret_is_shown_or_sent_in_the_clear(outcome)


def _check_that_it_is_of_one_piece(result: probing.Result) -> None:
    failed = result["verdict"] != "ok"
    assert (result["status"] == "fail") == failed
    assert bool(failing_phase(result)) == failed, "a failure happens in a phase"
    assert bool(result["remedy"]) == failed
    assert not [gap for gap in ("not known", ": nothing", "{") if gap in result["remedy"]]
    statuses = [phase["status"] for phase in result["endpoints"][0]["phases"]]
    assert statuses == sorted(statuses, key=["ok", "fail", "skipped"].index)
    assert statuses.count("fail") == failed
    assert len(str(result)) < 20_000


def _check_that_nothing_secret_is_shown_or_sent_in_the_clear(outcome: Outcome) -> None:
    assert not probing.shows(outcome.result, ALICE.password)
    encrypted = {login.connection for login in outcome.logins if login.encrypted}
    for number, received in enumerate(outcome.received):
        before = received.partition(b"STARTTLS")[0] if number in encrypted and outcome.security != "tls" else b""
        clear = before if number in encrypted else received
        sent = any(form.encode() in clear for form in probing.forms(ALICE.address, ALICE.password))
        assert not sent or outcome.security == "none"


@pytest.mark.parametrize(
    ("protocol", "name", "verdict"),
    [
        ("smtp", "greeting_drip", "greeting_timeout"),
        ("smtp", "tls_silent", "tls_timeout"),
        ("smtp", "auth_end_drip", "response_timeout"),
        ("smtp", "rcpt_silent", "response_timeout"),
        ("smtp", "quit_drip", "ok"),
        ("imap", "greeting_drip", "greeting_timeout"),
        ("imap", "auth_silent", "response_timeout"),
        ("imap", "select_drip", "response_timeout"),
        ("imap", "quota_silent", "ok"),
        ("imap", "logout_drip", "ok"),
    ],
)
@pytest.mark.sampled(3)
def test_the_deadline_ends_a_test_whose_steps_may_take_longer(
    zoo: CertificateZoo, protocol: str, name: str, verdict: str
) -> None:
    bounds = Bounds("envelope", timeout=600, deadline=1)
    assert probing.meet(zoo, protocol, FAULTS[protocol, name], bounds).result["verdict"] == verdict


# Faults of a connector, of names and of the network: what is changed, the phase and the verdict.
ELSEWHERE: dict[str, tuple[str, str, str]] = {
    "ca_file_missing": ("config", "config_invalid", "certain"),
    "ca_file_empty": ("config", "config_invalid", "certain"),
    "client_cert_missing": ("config", "config_invalid", "certain"),
    "unfit_password": ("auth", "config_invalid", "certain"),
    "name_unknown": ("dns", "dns_not_found", "certain"),
    "name_impossible": ("dns", "dns_not_found", "certain"),
    "name_later": ("dns", "dns_temporary", "likely"),
    "name_hangs": ("dns", "dns_temporary", "likely"),
    "refused": ("tcp", "connect_refused", "certain"),
    "black_hole": ("tcp", "connect_timeout", "likely"),
    "no_route": ("tcp", "connect_unreachable", "certain"),
    "proxy_refused": ("tcp", "proxy_failed", "certain"),
}


def _fails(code: int) -> Callable[..., Any]:
    def look_up(*_arguments: object, **_options: object) -> Any:
        raise socket.gaierror(code, "as the test wants it")

    return look_up


def _hangs(*_arguments: object, **_options: object) -> Any:
    threading.Event().wait(10)
    raise socket.gaierror(socket.EAI_NONAME, "too late")


@pytest.fixture
def dead_ports() -> Iterator[dict[str, int]]:
    """Ports where nobody answers in a good way."""
    with net.Refused() as refused, net.Blackhole() as hole:
        yield {"refused": refused.port, "black_hole": hole.port}


@pytest.mark.parametrize("name", ELSEWHERE)
@BOTH
@pytest.mark.sampled(2)
def test_what_is_not_the_servers_fault(
    zoo: CertificateZoo, dead_ports: dict[str, int], protocol: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = zoo.folder / "empty.crt"
    empty.touch()
    changes: dict[str, dict[str, Any]] = {
        "ca_file_missing": {"ca_file": "/nowhere/ca.crt", "security": "starttls"},
        "ca_file_empty": {"ca_file": str(empty), "security": "starttls"},
        "client_cert_missing": {"client_cert": "/nowhere/client.crt", "security": "starttls"},
        "unfit_password": {"password": "bell\u0007\u00fc", "mechanisms": ["PLAIN"]},
        # An IP address would not be looked up.
        **{key: {"host": "mail.example.com"} for key in ("name_unknown", "name_later", "name_hangs")},
        "name_impossible": {"host": f"{'a' * 70}.example.com"},
        "no_route": {"host": "255.255.255.255"},
        "proxy_refused": {"proxy": f"socks5://127.0.0.1:{dead_ports['refused']}"},
    }
    look_ups = {
        "name_unknown": _fails(socket.EAI_NONAME),
        "name_later": _fails(socket.EAI_AGAIN),
        "name_hangs": _hangs,
    }
    with SCRIPTS[protocol]().server() as server:
        if name in look_ups:
            monkeypatch.setattr(socket, "getaddrinfo", look_ups[name])
        port = dead_ports.get(name, server.port)
        bounds = ENDING if name in ("name_hangs", "black_hole") else BOUNDS
        (result,) = probe(connector(zoo, protocol, port, **changes.get(name, {})), bounds=bounds)
    assert (failing_phase(result), result["verdict"], result["certainty"]) == ELSEWHERE[name]
    assert result["remedy"]
    assert not server.logins


def test_every_verdict_of_smtp_and_imap_is_produced() -> None:
    lines = [each for each in table.EXPECTED.values() if len(each.verdicts) == 1]
    produced = {verdict for each in lines for verdict in each.verdicts} | {
        verdict for _p, verdict, _c in ELSEWHERE.values()
    }
    produced |= {"internal_error", "host_not_ready"}  # by the test of a crash below, and by unit tests
    assert produced == set(table.SECTION_5) - table.OF_TOKENS_AND_GRAPH - table.OF_SENDING
    assert set(REMEDIES) == set(table.SECTION_5)


@pytest.mark.parametrize(
    ("protocol", "name", "words"),
    [
        ("smtp", "greeting_blocklisted", "removed from the block list"),
        ("smtp", "certificate_wrong_name", "wrong.example.com"),
        ("smtp", "certificate_no_names", "127.0.0.1"),
        ("smtp", "certificate_other_ca", "ca_file"),
        ("smtp", "certificate_missing_intermediate", "intermediate"),
        ("smtp", "certificate_expired_intermediate", "intermediate"),
        ("smtp", "client_certificate_needed", "client_cert"),
        ("smtp", "implicit_tls_garbage", "starttls"),
        ("smtp", "tls_port_for_plain", "security to tls"),
        ("smtp", "ehlo_name_refused", "ehlo_name"),
        ("smtp", "auth_end_rejected", "app password"),
        ("smtp", "auth_end_exchange_unsuccessful", "app password"),
        ("smtp", "auth_end_exchange_tenant_disabled", "SmtpClientAuthenticationDisabled"),
        ("smtp", "auth_end_exchange_retired", "oauth2"),
        ("smtp", "auth_end_app_password", "app password"),
        ("smtp", "auth_end_encryption_needed", "starttls"),
        ("smtp", "auth_end_transition", "PLAIN"),
        ("smtp", "mail_starttls_needed", "starttls"),
        ("smtp", "unknown_auth", "GSSAPI"),
        ("smtp", "mail_not_owned", "not owned by user"),
        ("smtp", "mail_too_large", "10485760"),
        ("smtp", "rcpt_unknown_user", "User unknown"),
        ("imap", "auth_end_failed", "app password"),
        ("imap", "auth_end_alert", "app password"),
        ("imap", "auth_end_expired", "expired"),
        ("imap", "auth_end_not_enabled", "IMAP access is disabled"),
        ("imap", "auth_end_web_login", "https://accounts.example.com/signin"),
        ("imap", "auth_end_privacy", "starttls"),
        ("imap", "login_disabled", "starttls"),
        ("imap", "select_over_quota", "quota"),
        ("imap", "select_not_connected", "not connected"),
    ],
)
def test_a_remedy_names_the_cause_or_the_setting(found: Found, protocol: str, name: str, words: str) -> None:
    assert words in found[protocol, name].result["remedy"]


@pytest.mark.parametrize("name", ["certificate_expired_intermediate", "certificate_expired_intermediate_starttls"])
@BOTH
def test_a_remedy_does_not_say_that_a_good_certificate_has_ended(found: Found, protocol: str, name: str) -> None:
    endpoint = found[protocol, name].result["endpoints"][0]
    assert endpoint["tls"]["not_after"] not in found[protocol, name].result["remedy"]


@pytest.mark.parametrize(
    ("protocol", "name", "text"),
    [
        ("smtp", "speaks_ssh", "SSH"),
        ("smtp", "speaks_pop3", "POP3"),
        ("smtp", "speaks_imap", "IMAP"),
        ("smtp", "greeting_not_a_reply", "Welcome!"),
        ("smtp", "auth_end_rejected", "Error: authentication failed"),
        ("imap", "speaks_ssh", "SSH"),
        ("imap", "speaks_smtp", "SMTP"),
        ("imap", "auth_end_bye", "Too many failed attempts"),
        ("imap", "auth_end_bye_unavailable", "Server is shutting down"),
        ("imap", "auth_end_bad", "Command not recognised"),
        ("imap", "select_bye", "Server is shutting down"),
    ],
)
def test_the_servers_words_are_reported(found: Found, protocol: str, name: str, text: str) -> None:
    assert text in said(found[protocol, name].result)
    assert "b'" not in said(found[protocol, name].result)


PREFERENCE = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")


@pytest.mark.parametrize("password", [ALICE.password, WRONG])
@pytest.mark.parametrize(
    ("offered", "allowed", "used"),
    [
        *((PREFERENCE[number:], None, PREFERENCE[number]) for number in range(len(PREFERENCE))),
        (("LOGIN", "PLAIN", "CRAM-MD5"), None, "PLAIN"),
        (("CRAM-MD5", "PLAIN"), ["CRAM-MD5"], "CRAM-MD5"),
        (PREFERENCE, ["LOGIN"], "LOGIN"),
        (PREFERENCE, ["PLAIN", "SCRAM-SHA-1"], "SCRAM-SHA-1"),
    ],
)
@BOTH
def test_one_mechanism_is_tried_and_never_another(
    zoo: CertificateZoo, protocol: str, offered: tuple[str, ...], allowed: list[str] | None, used: str, *, password: str
) -> None:
    script = SCRIPTS[protocol](tls=zoo.good.server_context(), mechanisms=offered)
    with script.server() as server:
        (result,) = probe(
            connector(zoo, protocol, server.port, security="starttls", password=password, mechanisms=allowed)
        )
    assert server.mechanisms == [used]
    assert result["verdict"] == ("ok" if password == ALICE.password else "auth_rejected")
    assert not probing.shows(result, password)


@pytest.mark.parametrize(("offered", "allowed"), [(("CRAM-MD5",), None), (("PLAIN", "LOGIN"), ["SCRAM-SHA-256"])])
@BOTH
def test_no_mechanism_that_is_not_wanted(
    zoo: CertificateZoo, protocol: str, offered: tuple[str, ...], allowed: list[str] | None
) -> None:
    script = SCRIPTS[protocol](tls=zoo.good.server_context(), mechanisms=offered)
    with script.server() as server:
        (result,) = probe(connector(zoo, protocol, server.port, security="starttls", mechanisms=allowed))
    if protocol == "smtp" or allowed:
        assert (server.mechanisms, result["verdict"]) == ([], "auth_unsupported")
    else:
        assert server.mechanisms == ["LOGIN command"]  # which every IMAP server knows, AUTH=CRAM-MD5 or not


@BOTH
def test_a_password_stays_where_optional_encryption_is_not_offered(zoo: CertificateZoo, protocol: str) -> None:
    with SCRIPTS[protocol]().server() as server:
        (result,) = probe(connector(zoo, protocol, server.port, security="starttls_optional"))
    assert (result["verdict"], server.logins) == ("starttls_missing", [])
    assert not any(ALICE.password.encode() in received for received in server.received)


@BOTH
def test_without_encryption_only_where_that_is_written_and_with_a_warning(zoo: CertificateZoo, protocol: str) -> None:
    with SCRIPTS[protocol](mechanisms=("PLAIN",)).server() as server:
        (result,) = probe(connector(zoo, protocol, server.port, security="none"))
    assert result["status"] == "warn"
    assert [warning["code"] for warning in result["warnings"]] == ["cleartext_login"]


class _Crowd:
    """Counts how many sign in at once, on all servers that share it."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, talk: Talk) -> bool:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        talk.wait(0.05)
        with self._lock:
            self._now -= 1
        return True


def test_identical_credentials_never_sign_in_at_once(zoo: CertificateZoo) -> None:
    crowd = _Crowd()
    with SmtpScript({"auth_end": crowd}).server() as smtp, ImapScript({"auth_end": crowd}).server() as imap:
        servers = {"smtp": smtp.port, "imap": imap.port}
        jobs = [connector(zoo, protocol, port) for _number in range(4) for protocol, port in servers.items()]
        results = probe(*jobs)
    assert [result["verdict"] for result in results] == ["ok"] * 8
    assert crowd.most == 1
    assert len(smtp.logins) == len(imap.logins) == 4


def test_different_credentials_sign_in_at_once(zoo: CertificateZoo) -> None:
    both = threading.Barrier(2, timeout=120)

    def meet(_talk: Talk) -> bool:
        both.wait()
        return True

    with SmtpScript({"auth_end": meet}).server() as server:
        bob = connector(zoo, "smtp", server.port, password=BOB.password, username=BOB.address)
        results = probe(connector(zoo, "smtp", server.port), bob, bounds=Bounds("login"))
    assert [result["verdict"] for result in results] == ["ok", "ok"]


def test_refused_credentials_are_not_tried_again(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as smtp, ImapScript().server() as imap:
        jobs = [connector(zoo, "smtp", smtp.port, password=WRONG) for _number in range(3)]
        jobs += [connector(zoo, "imap", imap.port, password=WRONG), connector(zoo, "smtp", smtp.port)]
        results = probe(*jobs)
    assert [result["verdict"] for result in results] == ["auth_rejected"] * 4 + ["ok"]
    assert sorted(login.accepted for login in smtp.logins) == [False, True]
    assert not imap.logins
    assert not probing.shows(results, WRONG)


@BOTH
def test_an_echo_of_the_password_is_not_shown(zoo: CertificateZoo, protocol: str) -> None:
    spoken = probing.forms(ALICE.address, ALICE.password)
    prefix = {"smtp": "535 5.7.8 ", "imap": "{tag} NO "}[protocol]
    script = SCRIPTS[protocol]({"auth_end": actions.reply(f"{prefix}Wrong: {' '.join(spoken)}")}, mechanisms=("PLAIN",))
    with script.server() as server:
        (result,) = probe(connector(zoo, protocol, server.port))
    assert result["verdict"] == "auth_rejected"
    assert "Wrong" in said(result)
    assert not probing.shows(result, ALICE.password)


def test_results_keep_the_order_of_the_request(zoo: CertificateZoo) -> None:
    slow, quick = SmtpScript({"greeting": actions.slow(0.3)}), SmtpScript()
    with slow.server() as first, quick.server() as second:
        ports = [first.port, second.port] * 4
        jobs = [
            connector(zoo, "smtp", port, password=None, name=f"connector_{number}") for number, port in enumerate(ports)
        ]
        results = probe(*jobs, concurrency=3)
    assert [result["connector"] for result in results] == [job.name for job in jobs]


def test_a_crash_is_one_connectors_own(zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    good = SmtpCheck.after_login

    def crash(probe: SmtpCheck, session: Any) -> Any:
        if probe.job.name == "crash":
            raise RuntimeError(f"with {ALICE.password} in it")
        return good(probe, session)

    monkeypatch.setattr(SmtpCheck, "after_login", crash)
    with SmtpScript().server() as server:
        results = probe(*(connector(zoo, "smtp", server.port, name=name) for name in ("before", "crash", "after")))
    assert [result["verdict"] for result in results] == ["ok", "internal_error", "ok"]
    assert "RuntimeError" in results[1]["remedy"]
    assert not probing.shows(results, ALICE.password)


def test_two_blocks_of_a_connector_are_both_tested(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as smtp, ImapScript(mailboxes=()).server() as imap:
        outgoing, incoming = connector(zoo, "smtp", smtp.port), connector(zoo, "imap", imap.port)
        job = dataclasses.replace(
            outgoing,
            connector=dataclasses.replace(outgoing.connector, imap=incoming.connector.imap),
            secrets=(*outgoing.secrets, *incoming.secrets),
        )
        (result,) = probe(job)
    assert [endpoint["protocol"] for endpoint in result["endpoints"]] == ["smtp", "imap"]
    assert (failing_phase(result), result["verdict"]) == ("select", "mailbox_missing")


def test_no_mail_is_sent_where_the_mailbox_needs_no_sign_in_and_so_stays_closed(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as smtp, ImapScript().server() as imap:
        outgoing = connector(zoo, "smtp", smtp.port)
        incoming = connector(zoo, "imap", imap.port, password=None)
        both = dataclasses.replace(outgoing.connector, imap=incoming.connector.imap)
        (result,) = probe(dataclasses.replace(outgoing, connector=both), bounds=Bounds("deliver"))
    assert (result["verdict"], result["field"]) == ("config_invalid", "imap.auth")
    assert not [said for said in smtp.received if b"DATA" in said]


def test_a_relay_is_tried_with_a_foreign_sender_to_its_own_test_address_only(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as server:
        (result,) = probe(
            connector(zoo, "smtp", server.port, relay=True), bounds=Bounds("envelope", to="other@example.com")
        )
    said_to_server = server.received[0].decode()
    assert result["verdict"] == "ok"
    foreign = said_to_server.partition("@example.org>")[2]
    assert f"RCPT TO:<{BOB.address}>" in foreign
    assert "other@example.com" not in foreign
    assert "DATA" not in said_to_server


@pytest.mark.parametrize("code", ["535 5.7.8 No", "535 5.7.139 No", "454 4.7.0 Later", "504 5.5.4 No"])
def test_no_second_attempt_whatever_the_refusal(zoo: CertificateZoo, code: str) -> None:
    script = SmtpScript({"auth_end": actions.reply(code)}, tls=zoo.good.server_context())
    with script.server() as server:
        probe(connector(zoo, "smtp", server.port, security="starttls"))
    assert server.mechanisms == ["SCRAM-SHA-256"]
    assert server.connections == 1


def _tls_port(zoo: CertificateZoo, why: str) -> ScriptedServer:
    """A port that speaks TLS from the first byte, where the handshake breaks down."""
    if why == "client certificate":
        context = zoo.good.server_context(zoo.client_ca_file)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the handshake ends with it
    else:
        context = zoo.good.server_context()
        context.sni_callback = lambda *_about: ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
    return ScriptedServer(SmtpScript(), tls=context)


@pytest.mark.parametrize("security", ["starttls", "none"])
@pytest.mark.parametrize("why", ["client certificate", "alert"])
@BOTH
@pytest.mark.sampled(4)
def test_an_alert_proves_tls(zoo: CertificateZoo, protocol: str, why: str, security: str) -> None:
    """Verdicts, cause 11: the second handshake, which looks for TLS, breaks down by an alert."""
    bounds = dataclasses.replace(ENDING, depth="connect")
    with _tls_port(zoo, why) as server:
        (result,) = probe(connector(zoo, protocol, server.port, security=security), bounds=bounds)
    assert (result["verdict"], result["certainty"]) == ("security_mismatch", "certain")
    assert "tls" in result["remedy"]


@BOTH
def test_an_alert_in_place_of_a_greeting_proves_tls(zoo: CertificateZoo, protocol: str) -> None:
    """Some servers give up on a handshake that does not begin, and say so."""
    alert = actions.raw(b"\x15\x03\x03\x00\x02\x02\x28", close=True)
    with SCRIPTS[protocol]({"greeting": alert}).server() as server:
        (result,) = probe(connector(zoo, protocol, server.port, security="starttls"))
    assert (result["verdict"], failing_phase(result)) == ("security_mismatch", "greeting")


@BOTH
def test_a_refused_sign_in_names_the_way_that_was_used(zoo: CertificateZoo, protocol: str) -> None:
    """Verdicts, cause 10."""
    script = SCRIPTS[protocol](tls=zoo.good.server_context(), mechanisms=("SCRAM-SHA-1", "PLAIN"))
    with script.server() as server:
        (result,) = probe(connector(zoo, protocol, server.port, security="starttls", password=WRONG))
    assert result["verdict"] == "auth_rejected"
    assert "used SCRAM-SHA-1" in result["remedy"]
    assert "PLAIN" in result["remedy"]
