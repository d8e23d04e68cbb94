# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_test against Postfix, Dovecot and proxies: all connectors of a table, in a few tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from peers import net, oracles
from peers.ca import CertificateZoo
from peers.mail import MailServer
from peers.proxies import SOCKS_REPLIES, HttpProxy, Proxy, Socks5Proxy
from peers.users import USERS
from servers.playing import prepare, run

from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table

FAULTY = ("expired", "not_yet_valid", "wrong_name", "no_address", "no_names", "other_ca", "self_signed")
FAULTY_CHAINS = ("missing_intermediate", "expired_intermediate", "sha1", "sha1_intermediate", "loose_ca")
OF_CERTIFICATES = {
    **dict.fromkeys(("expired", "expired_intermediate"), "tls_expired"),
    "not_yet_valid": "tls_not_yet_valid",
    **dict.fromkeys(("wrong_name", "no_address", "no_names"), "tls_name_mismatch"),
    **dict.fromkeys(("other_ca", "self_signed", "missing_intermediate"), "tls_untrusted"),
    **dict.fromkeys(("sha1", "sha1_intermediate", "loose_ca"), "tls_untrusted"),
}
Result = dict[str, Any]
Results = Mapping[str, Result]


class Scene:
    """A registry, and what is written into it."""

    def __init__(self, folder: Path, server: MailServer) -> None:
        self.server = server
        self.options = {"registry": str(folder / "registry.db"), "actor": "tester"}

    def store(self, connectors: list[dict[str, Any]]) -> None:
        """Stores connectors, and forgets all others."""
        prepare("connectors", {**self.options, "connectors": connectors, "purge": True})

    def test(self, **options: Any) -> dict[str, Any]:
        """What the module answers."""
        return run("connector_test", {**self.options, **options})

    def results(self, **options: Any) -> Results:
        """The results by connector; the task itself does not fail."""
        answer = self.test(fail=False, **options)
        assert "results" in answer, answer
        return {result["connector"]: result for result in answer["results"]}

    def block(self, place: str, user: str = "alice", **more: Any) -> dict[str, Any]:
        """How to reach a port of the mail server and sign in there; what is given as None is left out."""
        starttls = not place.startswith(("smtps", "imaps", "only_", "tls1")) and not place.endswith("_tls")
        settings = {
            "host": "127.0.0.1",
            "port": self.server.ports[place],
            "security": "starttls" if starttls else "tls",
            "ca_file": str(self.server.ca_file),
            "username": USERS[user].address,
            "password": USERS[user].password,
            **more,
        }
        return {key: value for key, value in settings.items() if value is not None}


def connector(name: str, protocol: str, block: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A connector with one block."""
    return {"name": name, protocol: dict(block), "from_address": "alice@example.com", **more}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, mail_server: MailServer) -> Scene:
    """A registry for this module's tests."""
    return Scene(tmp_path_factory.mktemp("registry"), mail_server)


def protocol_of(place: str) -> str:
    """Which protocol a port of the mail server speaks."""
    return "imap" if place.startswith("imap") else "smtp"


def failing_phase(result: Result) -> str:
    """The phase that failed, or nothing."""
    phases = (phase for endpoint in result["endpoints"] for phase in endpoint["phases"])
    return next((phase["phase"] for phase in phases if phase["status"] == "fail"), "")


NOBODY: dict[str, Any] = {"username": None, "password": None}
# By name: the port, how it is used, and what comes of it at depth envelope: verdict, phase that failed, warnings.
Line = tuple[str, dict[str, Any], str, str, list[str]]
LINES: dict[str, Line] = {
    "submission": ("submission", {}, "ok", "", []),
    "smtps": ("smtps", {}, "ok", "", []),
    "imap": ("imap", {}, "ok", "", []),
    "imaps": ("imaps", {}, "ok", "", []),
    "imap_after_starttls": ("imap_starttls_required", {}, "ok", "", []),
    "intermediate": ("smtps_with_intermediate", {}, "ok", "", []),
    "unicode_smtp": ("submission", {"user": "uma"}, "ok", "", []),
    "unicode_imap": ("imaps", {"user": "uma"}, "ok", "", []),
    "unicode_typed_smtp": ("smtps", {"user": "uma", "password": USERS["uma"].typed}, "ok", "", []),
    "unicode_typed_imap": ("imap", {"user": "uma", "password": USERS["uma"].typed}, "ok", "", []),
    "unicode_typed_plain": (
        "imaps",
        {"user": "uma", "password": USERS["uma"].typed, "mechanisms": ["PLAIN"]},
        "ok",
        "",
        [],
    ),
    "scram_user_smtp": ("submission", {"user": "scram"}, "ok", "", []),
    "scram_user_imap": ("imaps", {"user": "scram"}, "ok", "", []),
    "near_end_smtp": ("submission_near_end", {}, "ok", "", ["certificate_ends"]),
    "near_end_imap": ("imaps_near_end", {}, "ok", "", ["certificate_ends"]),
    "tls12": ("tls12", {}, "ok", "", ["tls_old"]),
    "imaps_tls12": ("imaps_tls12", {}, "ok", "", ["tls_old"]),
    "tls10": ("tls10", {}, "tls_version", "tls", []),
    "cleartext_smtp": ("no_starttls", {"security": "none"}, "ok", "", ["cleartext_login"]),
    "cleartext_imap": ("imap_no_starttls", {"security": "none"}, "ok", "", ["cleartext_login"]),
    "optional_used": ("starttls_optional", {"security": "starttls_optional"}, "ok", "", ["starttls_optional"]),
    "optional_unused": (
        "no_starttls",
        {"security": "starttls_optional"},
        "starttls_missing",
        "auth",
        ["starttls_optional"],
    ),
    "unchecked": ("smtps_self_signed", {"validate_certs": False}, "ok", "", ["certificate_unchecked"]),
    "no_starttls_smtp": ("no_starttls", {}, "starttls_missing", "starttls", []),
    "no_starttls_imap": ("imap_no_starttls", {}, "starttls_missing", "starttls", []),
    "tls_to_plain_smtp": ("submission", {"security": "tls"}, "security_mismatch", "tls", []),
    "tls_to_plain_imap": ("imap", {"security": "tls"}, "security_mismatch", "tls", []),
    "plain_to_tls_smtp": ("smtps", {"security": "starttls"}, "security_mismatch", "greeting", []),
    "plain_to_tls_imap": ("imaps", {"security": "starttls"}, "security_mismatch", "greeting", []),
    "no_auth": ("no_auth", {"security": "none"}, "auth_unsupported", "auth", []),
    "before_tls": ("auth_after_starttls", {"security": "none"}, "auth_unsupported", "auth", []),
    "login_disabled": (
        "imap_starttls_required",
        {"security": "none", "mechanisms": ["PLAIN"]},
        "auth_disabled",
        "auth",
        [],
    ),
    "wrong_password_smtp": ("submission", {"password": "wrong-0"}, "auth_rejected", "auth", []),
    "wrong_password_imap": ("imap", {"password": "wrong-1"}, "auth_rejected", "auth", []),
    "locked": ("imap", {"user": "locked"}, "auth_disabled", "auth", []),
    "broken_imap": ("imaps", {"user": "broken"}, "auth_temporary", "auth", []),
    "denied": ("imaps", {"user": "denied"}, "mailbox_denied", "select", []),
    "missing": ("imaps", {"mailbox": "Nowhere"}, "mailbox_missing", "select", []),
    "quota": ("imaps", {"user": "full"}, "ok", "", ["mailbox_full"]),
    "homeless": ("imaps", {"user": "homeless"}, "mailbox_denied", "select", []),
    "auth_required": ("auth_before_mail", NOBODY, "auth_required", "sender", []),
    "relay_denied": ("submission", {**NOBODY, "to": "x@example.org"}, "relay_denied", "recipient", []),
    "over_quota": ("submission", {"to": "full@example.com"}, "mailbox_full", "recipient", []),
    "unknown": ("submission", {"to": "unknown@example.com"}, "recipient_rejected", "recipient", []),
    # Postfix waits for the recipient before it says what it thinks of the sender.
    "own_sender": ("own_sender", {"from": "bob@example.com"}, "sender_rejected", "recipient", []),
    "other_domain": (
        "submission",
        {"from": "a@example.org"},
        "ok",
        "",
        ["from_domain_differs"],
    ),
    "relay": ("submission", {"from": "a@example.org", "relay": True}, "ok", "", []),
    "small": ("small", {}, "ok", "", []),
    # With TLS 1.3 the server says what it thinks of the client's certificate when the handshake is over.
    "without_client_certificate": ("client_cert_tls", {}, "tls_handshake", "greeting", []),
    "imap_without_client_certificate": ("imaps_client_cert", {}, "tls_handshake", "greeting", []),
    **{
        f"{place}_{name}": (f"{place}_{name}", {}, OF_CERTIFICATES[name], "tls", [])
        for place in ("submission", "smtps", "imap", "imaps")
        for name in (*FAULTY, *FAULTY_CHAINS)
        if name != "sha1"
    },
    **{
        f"{place}_sha1": (f"{place}_sha1", {}, "tls_untrusted", "tls", ["certificate_weak"])
        for place in ("submission", "smtps", "imap", "imaps")
    },
}
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
for _place in ("submission", "smtps", "imap", "imaps"):
    for _mechanism in MECHANISMS:
        LINES[f"{_place}_by_{_mechanism.replace('-', '_')}"] = (_place, {"mechanisms": [_mechanism]}, "ok", "", [])
for _mechanism in MECHANISMS:
    _only = f"only_{_mechanism.lower().replace('-', '_')}"
    _verdict = ("auth_unsupported", "auth") if _mechanism == "CRAM-MD5" else ("ok", "")
    LINES[_only] = (_only, {}, *_verdict, [])


def declared(scene: Scene, name: str) -> dict[str, Any]:
    """The connector of a line of the table."""
    place, changes, *_expected = LINES[name]
    rest = dict(changes)
    to, sender = rest.pop("to", "bob@example.com"), rest.pop("from", "alice@example.com")
    block = scene.block(place, **rest)
    return connector(name, protocol_of(place), block, from_address=sender, test_address=to)


@pytest.fixture(scope="module")
def tested(scene: Scene) -> Results:
    """The results of all lines, at depth envelope and in one task."""
    scene.store([declared(scene, name) for name in LINES])
    return scene.results(connectors=list(LINES), depth="envelope", timeout=5)


@pytest.mark.parametrize("name", LINES)
def test_each_line_has_its_verdict(tested: Results, name: str) -> None:
    _place, _changes, verdict, phase, warnings = LINES[name]
    result = tested[name]
    codes = [warning["code"] for warning in result["warnings"]]
    assert (result["verdict"], failing_phase(result)) == (verdict, phase)
    assert codes == warnings
    assert result["status"] == ("fail" if verdict != "ok" else "warn" if warnings else "ok")
    assert "not known" not in result["remedy"]


def test_the_results_are_in_the_order_asked(tested: Results) -> None:
    assert list(tested) == list(LINES)


def test_no_mail_is_delivered(tested: Results, mail_server: MailServer) -> None:
    assert tested["submission"]["verdict"] == "ok"
    assert mail_server.messages("bob") == mail_server.messages("alice") == []


@pytest.mark.parametrize("name", [*FAULTY, *FAULTY_CHAINS])
@pytest.mark.parametrize("place", ["submission", "smtps", "imap", "imaps"])
def test_a_certificate_is_reported_even_when_it_is_refused(
    tested: Results, zoo: CertificateZoo, place: str, name: str
) -> None:
    tls = tested[f"{place}_{name}"]["endpoints"][0]["tls"]
    assert tls["not_after"] == zoo[name].not_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert tls["fingerprint_sha256"] == zoo[name].fingerprint_sha256
    assert tls["version"] in ("TLSv1.2", "TLSv1.3")
    names = {"wrong_name": ["wrong.example.com", "192.0.2.1"], "no_names": []}
    names["no_address"] = ["localhost", "mail.example.com"]
    assert tls["names"] == names.get(name, ["localhost", "mail.example.com", "127.0.0.1", "::1"])
    issuers = {"other_ca": "Example Other CA", "self_signed": "localhost", "loose_ca": "Example Loose CA"}
    between = ("missing_intermediate", "expired_intermediate", "sha1_intermediate")
    issuers.update(dict.fromkeys(between, "Example Issuing CA"))
    assert f"CN={issuers.get(name, 'Example Root CA')}" in tls["issuer"]


SMTP_STARTTLS = "config dns tcp greeting ehlo starttls tls ehlo".split()
IMAP_STARTTLS = "config dns tcp greeting capability starttls tls capability".split()
PHASES = {
    "submission": (SMTP_STARTTLS, ["auth"], ["sender", "recipient"]),
    "imap": (IMAP_STARTTLS, ["auth", "select"], []),
    "smtps": ("config dns tcp tls greeting ehlo".split(), ["auth"], ["sender", "recipient"]),
    "imaps": ("config dns tcp tls greeting capability".split(), ["auth", "select"], []),
}


@pytest.mark.parametrize("place", PHASES)
def test_each_depth_goes_as_far_as_it_says(scene: Scene, tested: Results, place: str) -> None:
    block = scene.block(place)
    declaration = {protocol_of(place): block, "from_address": "alice@example.com", "test_address": "bob@example.com"}
    expected: list[str] = []
    for depth, more in zip(("connect", "login", "envelope"), PHASES[place], strict=True):
        expected += more
        result = scene.results(declaration=declaration, depth=depth)["declaration"]
        endpoint = result["endpoints"][0]
        assert [(phase["phase"], phase["status"]) for phase in endpoint["phases"]] == [
            (each, "ok") for each in expected
        ]
        assert (result["depth"], endpoint["host"], endpoint["address"]) == (depth, "127.0.0.1", "127.0.0.1")
        assert endpoint["capabilities"]["after_tls"]


@pytest.mark.parametrize("place", PHASES)
def test_what_follows_a_failure_is_skipped(tested: Results, place: str) -> None:
    phases = tested[f"{place}_expired"]["endpoints"][0]["phases"]
    names = [name for part in PHASES[place] for name in part]
    assert [phase["phase"] for phase in phases] == names
    at = names.index("tls")
    assert [phase["status"] for phase in phases] == ["ok"] * at + ["fail"] + ["skipped"] * (len(names) - at - 1)


@pytest.mark.parametrize("place", ["client_cert", "client_cert_tls", "imaps_client_cert"])
def test_a_client_certificate_opens_the_door(scene: Scene, zoo: CertificateZoo, place: str) -> None:
    for name, verdict in {
        "client": "ok",
        "client_other_ca": "tls_handshake",
        "client_expired": "tls_handshake",
    }.items():
        shown = {"client_cert": str(zoo[name].certificate_file), "client_key": str(zoo[name].key_file)}
        declaration = {protocol_of(place): scene.block(place, **shown)}
        assert scene.results(declaration=declaration)["declaration"]["verdict"] == verdict, name


PROXIES: dict[str, tuple[Proxy, str, dict[str, Any], str]] = {
    "socks5": (Socks5Proxy(), "socks5", {}, "ok"),
    "socks5_signed_in": (
        Socks5Proxy(username="proxy", password="proxy-Secret"),
        "socks5",
        {"proxy_username": "proxy", "proxy_password": "proxy-Secret"},
        "ok",
    ),
    "socks5_nobody": (Socks5Proxy(username="proxy", password="x"), "socks5", {}, "proxy_failed"),
    "socks5_forbids": (Socks5Proxy(refuse=SOCKS_REPLIES["not_allowed"]), "socks5", {}, "proxy_failed"),
    "socks5_garbage": (Socks5Proxy(mode="garbage"), "socks5", {}, "proxy_failed"),
    "socks5_hangs": (Socks5Proxy(mode="hang"), "socks5", {}, "proxy_failed"),
    "socks5_hangs_up": (Socks5Proxy(mode="hang_up"), "socks5", {}, "proxy_failed"),
    "http": (HttpProxy(), "http", {}, "ok"),
    "http_signed_in": (
        HttpProxy(username="proxy", password="proxy-Secret"),
        "http",
        {"proxy_username": "proxy", "proxy_password": "proxy-Secret"},
        "ok",
    ),
    "http_nobody": (HttpProxy(username="proxy", password="x"), "http", {}, "proxy_failed"),
    "http_forbids": (HttpProxy(refuse=403), "http", {}, "proxy_failed"),
    "http_garbage": (HttpProxy(mode="garbage"), "http", {}, "proxy_failed"),
    "http_hangs": (HttpProxy(mode="hang"), "http", {}, "proxy_failed"),
}


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("place", ["submission", "imaps"])
@pytest.mark.sampled(3)
def test_through_a_proxy(scene: Scene, place: str, name: str) -> None:
    proxy, scheme, signing_in, verdict = PROXIES[name]
    proxy.requests.clear()
    with proxy.server() as server:
        block = scene.block(place, host="localhost", proxy=f"{scheme}://127.0.0.1:{server.port}", **signing_in)
        proxy.routes = {"localhost": "127.0.0.1"}
        result = scene.results(declaration={protocol_of(place): block}, timeout=1)["declaration"]
    assert (result["verdict"], failing_phase(result)) == (verdict, "" if verdict == "ok" else "tcp")
    if verdict == "ok":
        assert [(each.host, each.kind) for each in proxy.requests] == [("localhost", "name")]
    assert "proxy-Secret" not in json.dumps(result)


def test_a_dead_first_address_costs_little(scene: Scene, tmp_path: Path) -> None:
    port = scene.server.ports["submission"]
    with net.Refused("127.0.0.2", port), net.Blackhole("127.0.0.3", port):
        names = {"mail.example.com": ["127.0.0.3", "127.0.0.2", "127.0.0.1"]}
        environment = net.hosts_environment(tmp_path, names)
        block = scene.block("submission", host="mail.example.com")
        answer = run("connector_test", {**scene.options, "declaration": {"smtp": block}, "timeout": 10}, **environment)
    (result,) = answer["results"]
    assert (result["verdict"], result["endpoints"][0]["address"]) == ("ok", "127.0.0.1")
    assert result["elapsed_ms"] < 9000  # a dead address in turn would have taken the timeout of 10 s


def test_the_message_is_the_table_whether_or_not_the_task_fails(scene: Scene) -> None:
    names = ["submission", "wrong_password_smtp", "smtps_expired", "near_end_smtp"]
    scene.store([declared(scene, name) for name in names])
    answer = scene.test(connectors=names)
    assert (answer["failed"], answer["changed"], answer["summary"]) == (True, False, {"ok": 1, "warn": 1, "fail": 2})
    assert answer["msg"].splitlines() == table(parse_results(answer["results"]))
    assert "wrong-0" not in json.dumps(answer)
    relaxed = scene.test(connectors=names, fail=False)
    assert ("failed" in relaxed, relaxed["summary"]) == (False, answer["summary"])
    assert relaxed["msg"].splitlines() == table(parse_results(relaxed["results"]))


def test_which_connectors_are_tested(scene: Scene) -> None:
    scene.store([declared(scene, "imaps"), {**declared(scene, "smtps"), "enabled": False}])
    assert list(scene.results()) == ["imaps"]
    asked = scene.results(connectors=["smtps", "imaps"])
    assert {name: result["verdict"] for name, result in asked.items()} == {"smtps": "config_invalid", "imaps": "ok"}
    assert "disabled" in asked["smtps"]["remedy"]
    unknown = scene.test(connectors=["imaps", "nowhere"])
    assert unknown["failed"] is True
    assert "nowhere" in unknown["msg"]
    assert "results" not in unknown


def test_secrets_are_opened_only_where_someone_signs_in(scene: Scene) -> None:
    nobody = connector("nobody", "smtp", scene.block("relay", **NOBODY))
    scene.store([declared(scene, "smtps"), nobody])
    wrong = {"registry_key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    connect = scene.results(connectors=["smtps", "nobody"], depth="connect", **wrong)
    assert [result["verdict"] for result in connect.values()] == ["ok", "ok"]
    login = scene.results(connectors=["smtps", "nobody"], depth="login", **wrong)
    assert [result["verdict"] for result in login.values()] == ["host_not_ready", "ok"]


def test_check_mode_tests_too_and_changes_nothing(scene: Scene, tmp_path: Path) -> None:
    registry = tmp_path / "registry.db"
    declaration = {"imap": scene.block("imaps")}
    answer = run("connector_test", {"registry": str(registry), "declaration": declaration}, check=True)
    assert (answer["changed"], answer["summary"]) == (False, {"ok": 1, "warn": 0, "fail": 0})
    assert not registry.exists()


ORACLES = {
    "submission": ("ok", "ok"),
    "smtps": ("ok", "ok"),
    "no_auth": ("auth", "auth_unsupported"),
    "no_starttls": ("tls", "starttls_missing"),
    "submission_other_ca": ("tls", "tls_untrusted"),
    "smtps_expired": ("tls", "tls_expired"),
    "auth_before_mail": ("ok", "ok"),
}


@pytest.mark.parametrize("place", ORACLES)
@pytest.mark.sampled(3)
def test_swaks_agrees(scene: Scene, zoo: CertificateZoo, place: str) -> None:
    phase, verdict = ORACLES[place]
    security = "none" if place == "no_auth" else "tls" if place.startswith("smtps") else "starttls"
    opinion = oracles.swaks(
        scene.server.ports[place],
        security=security,
        zoo=None if security == "none" else zoo,
        user=USERS["alice"],
        until="rcpt",
    )
    block = scene.block(place, security=security)
    declaration = {"smtp": block, "from_address": "alice@example.com", "test_address": "bob@example.com"}
    result = scene.results(declaration=declaration, depth="envelope")["declaration"]
    assert result["verdict"] == verdict
    assert opinion.phase == phase, opinion.text


@pytest.mark.parametrize(("place", "security"), [("submission", "starttls"), ("no_starttls", "starttls")])
def test_check_smtp_agrees(scene: Scene, place: str, security: str) -> None:
    opinion = oracles.check_smtp(scene.server.ports[place], security=security)
    result = scene.results(declaration={"smtp": scene.block(place)}, depth="connect")["declaration"]
    assert (opinion.code == 0) == (result["verdict"] == "ok"), opinion.text


@pytest.mark.parametrize("place", ["imaps", "imap", "smtps"])
def test_check_imap_agrees(scene: Scene, place: str) -> None:
    opinion = oracles.check_imap(scene.server.ports[place], security="none" if place == "imap" else "tls")
    block = scene.block(place, security=None if place == "imap" else "tls", mailbox="INBOX")
    result = scene.results(declaration={"imap": {**block, "security": block.get("security", "none")}}, depth="connect")
    assert (opinion.code == 0) == (result["declaration"]["verdict"] == "ok"), opinion.text


# By name: the module of the exporter, the port, and whether both are content.
PROBED = {
    "submission": ("smtp_starttls", True),
    "no_starttls": ("smtp_starttls", False),
    "submission_expired": ("smtp_starttls", False),
    "submission_wrong_name": ("smtp_starttls", False),
    "smtps": ("smtp_tls", True),
    "smtps_other_ca": ("smtp_tls", False),
    "imap": ("imap_starttls", True),
    "imap_expired": ("imap_starttls", False),
    "imaps": ("imap_tls", True),
    "imaps_missing_intermediate": ("imap_tls", False),
}


@pytest.fixture(scope="module")
def blackbox(tmp_path_factory: pytest.TempPathFactory, zoo: CertificateZoo) -> Iterator[oracles.Blackbox]:
    """The blackbox exporter, with one module per protocol and way to encrypt."""
    modules = {
        f"{protocol}_{security}": make(zoo, security)
        for protocol, make in {"smtp": oracles.smtp_module, "imap": oracles.imap_module}.items()
        for security in ("starttls", "tls")
    }
    with oracles.Blackbox(tmp_path_factory.mktemp("blackbox"), modules) as exporter:
        yield exporter


@pytest.mark.parametrize("place", PROBED)
@pytest.mark.matrix
def test_the_blackbox_exporter_agrees(scene: Scene, blackbox: oracles.Blackbox, place: str) -> None:
    module, is_content = PROBED[place]
    block = scene.block(place, host="localhost")
    result = scene.results(declaration={protocol_of(place): block}, depth="connect")["declaration"]
    assert (result["verdict"] == "ok") == is_content, result["remedy"]
    assert blackbox.probe(module, scene.server.ports[place]) == is_content
