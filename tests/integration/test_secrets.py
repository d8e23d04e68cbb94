# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret leaves a module: what a run shows, and what it leaves behind, is searched for them."""

from __future__ import annotations

import base64
import json
import re
import secrets
import shlex
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from integration.playing import BYTECODE, TARGET_PYTHON, Stage
from peers.actions import Action
from peers.ca import CertificateZoo
from peers.cloud import Cloud
from peers.entra import App, Entra
from peers.google import Google
from peers.https import HttpsServer
from peers.imap import ImapScript
from peers.mail import MailServer
from peers.proxies import HttpProxy
from peers.scripted import ScriptedServer, Talk
from peers.smtp import SmtpScript
from peers.token_url import TokenUrl
from peers.users import USERS
from servers import oauth_echoes as echoes
from servers.playing import run

RECORDERS = Path(__file__).parent / "recorders"
# Where a secret's random part stands: among characters that JSON, Python, shells and addresses escape or cut at.
SHAPES = {"first": "{0}\"\\/é @:'$x\t<&", "second": "\\{0}'\n\"%$x\t<&é "}
PEM = """\
-----BEGIN PRIVATE KEY-----
{0}
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
not a real certificate
-----END CERTIFICATE-----
"""
Options = dict[str, Any]
SHOWN = ("the output", "ansible.log", "callback.jsonl", "results.json")


class Secrets:
    """Long random secrets, kept in a file of variables, which a playbook calls by name."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self._random: dict[str, str] = {}

    def new(self, name: str, shape: str = "{0}") -> str:
        """Makes a secret and returns what stands for it in a playbook."""
        self._random[name] = secrets.token_hex(24)
        self.variables[name] = shape.format(self._random[name])
        return "{{ " + name + " }}"

    def given(self, name: str, secret: Any, random: str = "") -> str:
        """Takes a secret that others have made, and the part of it that nothing else has."""
        self.variables[name], self._random[name] = secret, random or secret
        return "{{ " + name + " }}"

    def seen(self, name: str, secret: str) -> None:
        """Takes a secret that no playbook calls by name."""
        self._random[name] = secret

    def key(self, name: str) -> str:
        """A Fernet key."""
        self.variables[name] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self._random[name] = self.variables[name].rstrip("=")
        return "{{ " + name + " }}"

    def service_account(self, name: str) -> str:
        """A Google service account key."""
        account = {"type": "service_account", "client_email": "robot@project.example.com"}
        template = self.new(name, PEM)
        self.variables[name] = {**account, "private_key": self.variables[name]}
        return template

    def opened(self, options: Any) -> Any:
        """The same options with the secrets themselves."""
        if isinstance(options, dict):
            return {name: self.opened(value) for name, value in options.items()}
        if isinstance(options, list):
            return [self.opened(value) for value in options]
        is_named = isinstance(options, str) and options.startswith("{{")
        return self.variables[options.strip("{ }")] if is_named else options

    def found_in(self, content: bytes) -> list[str]:
        """The names of those that show, whole, cut off or encoded."""
        return [name for name, random in self._random.items() if any(form in content for form in _forms(random))]


def _forms(random: str) -> Iterator[bytes]:
    yield random[:16].encode()
    yield random[-16:].encode()
    yield random.encode().hex().encode()
    for before in range(3):
        # What stands around it changes the first and the last characters of its base64 form only.
        yield base64.b64encode(b"?" * before + random.encode())[4:-4]


MODULES = {
    path.stem
    for path in (Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py")
    if not path.stem.startswith("_")
}


class Scenario:
    """Tasks, and how each of them is to end."""

    def __init__(self) -> None:
        self.defaults: dict[str, str] = {}
        self.tasks: list[Options] = []
        self.endings: list[str] = []
        self.others: list[Options] = []
        """Tasks with modules of others, whose results are not written to a file."""

    @property
    def modules(self) -> set[str]:
        """Which modules of the collection it uses."""
        return {name.rpartition(".")[2] for task in self.tasks for name in task if name.startswith("mailroom.core.")}

    def add(self, ending: str, module: str, options: Options, check_mode: bool = False) -> None:
        """A task that is to be changed, unchanged or failed."""
        number = len(self.tasks)
        self.endings.append(ending)
        self.tasks.append(
            {
                "name": f"Task {number} is to end {ending}",
                f"mailroom.core.{module}": {**self.defaults, **options},
                "check_mode": check_mode,
                "ignore_errors": True,
                "register": f"result_{number}",
            }
        )

    def write_results(self, path: Path) -> Options:
        """The task that writes all results to a file, which newer ansible-core does without masking."""
        registered = ", ".join(task["register"] for task in self.tasks)
        copied = {"content": "{{ [" + registered + "] | to_json }}", "dest": str(path), "mode": "0600"}
        return {"name": "Write the results to a file", "ansible.builtin.copy": copied}


def play(
    stage: Stage, scenario: Scenario, known: Secrets, mark: str, pipelining: bool = False, **environment: str
) -> dict[str, bytes]:
    """Plays the tasks as loudly as users do, and returns all that can be seen of it, by where it was seen."""
    results, callback, process = (stage.folder / name for name in ("results.json", "callback.jsonl", "process.log"))
    interpreter = stage.folder / "python"
    path = shlex.quote(f"{RECORDERS / 'process'}:{BYTECODE}")
    interpreter.write_text(
        f'#!/bin/sh\nRECORDER_PROCESS={process} PYTHONPATH={path} exec {shlex.quote(TARGET_PYTHON)} "$@"\n',
        encoding="utf-8",
    )
    interpreter.chmod(0o700)
    stage.host(str(interpreter))
    shown = {"argv": [TARGET_PYTHON, "-c", "import time; time.sleep(.5)", mark]}
    show = {"name": "Show a process", "ansible.builtin.command": shown}
    tasks = [*scenario.tasks, *scenario.others, show, scenario.write_results(results)]
    variables = stage.write("secrets.json", known.variables)
    with _processes(stage) as seen:
        played = stage.play(
            [{"tasks": tasks, "vars_files": [str(variables)]}],
            "-vvv",
            "--diff",
            ANSIBLE_CALLBACK_PLUGINS=str(RECORDERS / "callback"),
            ANSIBLE_CALLBACKS_ENABLED="recorder",
            ANSIBLE_LOG_PATH=str(stage.folder / "ansible.log"),
            ANSIBLE_PIPELINING=str(pipelining),
            RECORDER_CALLBACK=str(callback),
            **environment,
        )
    assert played.returncode == 0, played.stdout
    variables.unlink()
    files = [path for path in stage.folder.rglob("*") if path.is_file()]
    return {
        "the output": played.stdout.encode(),
        "the arguments of processes": b"\n".join(seen),
        **{str(path.relative_to(stage.folder)): path.read_bytes() for path in files},
    }


@contextmanager
def _processes(stage: Stage) -> Iterator[set[bytes]]:
    """The command lines of all processes that the stage starts meanwhile."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        others: set[str] = set()
        while not over.wait(0.2):
            for process in stage.processes(others):
                with suppress(OSError):
                    seen.add((process / "cmdline").read_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def endings(results: bytes) -> list[str]:
    """How each task has ended."""
    ended = json.loads(results)
    return ["failed" if each.get("failed") else "changed" if each["changed"] else "unchanged" for each in ended]


def leaks(known: Secrets, seen: dict[str, bytes]) -> dict[str, list[str]]:
    """Which secrets show where."""
    found = {place: known.found_in(content) for place, content in seen.items()}
    return {place: names for place, names in found.items() if names}


def written(seen: dict[str, bytes]) -> set[str]:
    """The names of the files that modules wrote, besides those that Ansible unpacks a module from.

    A file is opened by its name, relative to a folder that is held open; one without a name gets it when it is whole.
    """
    unpacked = re.compile(
        r"/tmp/(ansible_[^/]+_payload_[^/]+/[^/]+\.zip|[a-z0-9_]{8})\Z|/cache/zip-bytecode/|\.pyc\.[0-9]+\Z"
    )
    paths = re.findall(r"^writes (.*)$", seen["process.log"].decode(), re.MULTILINE)
    names = {Path(path).name for path in paths if not unpacked.search(path)}
    # What is opened a second time, by its descriptor, is no further file.
    return {name for name in names if name and not name.isdigit()}


def connectors(known: Secrets, which: str, mark: str) -> list[Options]:
    """Connectors that together have a secret in each field that is one."""
    shape = SHAPES[which]
    proxy = {"proxy": "socks5://proxy.example.com:1080", "proxy_username": "dweller"}
    application = {"tenant_id": "example.com", "client_id": "mailroom"}

    def proxied(block: str) -> Options:
        return {**proxy, "proxy_password": known.new(f"{block}_proxy_password_{which}", shape)}

    def server(block: str) -> Options:
        password = known.new(f"{block}_password_{which}", shape)
        return {"host": f"{block}.example.com", "username": "user", "password": password, **proxied(block)}

    return [
        {"name": "by_password", "from_name": mark, "smtp": server("smtp"), "imap": server("imap")},
        {
            "name": "by_secret",
            "graph": proxied("graph"),
            "oauth2": {
                **application,
                **proxied("oauth2"),
                "client_secret": known.new(f"client_secret_{which}", shape),
                "username": "user@example.com",
                "password": known.new(f"oauth2_password_{which}", shape),
            },
        },
        {
            "name": "by_certificate",
            "graph": {"mailbox": "user@example.com"},
            "oauth2": {
                **application,
                "certificate": known.new(f"certificate_{which}", PEM),
                "certificate_passphrase": known.new(f"certificate_passphrase_{which}", shape),
            },
        },
        {
            "name": "by_account",
            "provider": "gmail",
            "smtp": {"auth": "oauth2"},
            "oauth2": {"username": "user@example.com", "service_account": known.service_account(f"account_{which}")},
        },
    ]


def declare(scenario: Scenario, known: Secrets, stage: Stage, mark: str) -> None:
    """The modules that declare, with a secret in every field that is one, in every way that a task can end."""
    scenario.defaults = {"registry": str(stage.folder / "registry.db"), "registry_key": known.key("right_key")}
    wrong_key = {"registry_key": known.key("wrong_key")}
    both_keys = {"registry_key": known.key("new_key") + ",{{ right_key }}"}
    first, second = connectors(known, "first", mark), connectors(known, "second", mark)
    whole = {"connectors": first, "default": "by_password", "purposes": {"alerts": "by_secret"}}
    everything = {**second[0], "graph": second[1]["graph"], "oauth2": {**second[1]["oauth2"], **second[2]["oauth2"]}}
    bad_type = {"name": "typed", "smtp": {"port": "none"}}
    bad_field = {"name": "misspelt", "smtp": {"hots": "smtp.example.com"}}

    add = scenario.add
    add("changed", "connectors", whole, check_mode=True)
    add("changed", "connectors", whole)
    add("failed", "connectors", {"connectors": second, **wrong_key})
    add("failed", "connectors", {"connectors": [*second, everything, bad_type, bad_field]})
    add("changed", "connector", second[0])
    add("unchanged", "connector", second[0])
    add("changed", "connectors", {"connectors": second[1:], "merge": True})
    add("failed", "connector", {**everything, "name": None, "colour": "blue"})
    add("failed", "connector", {**second[3], "registry": str(stage.folder / "ansible.cfg" / "registry.db")})
    add("changed", "connector", {**first[0], "state": "duplicated", "copy_from": "by_password", "name": "copied"})
    add("changed", "connector", {"name": "by_secret", **both_keys})
    add("changed", "connector_purpose", {"purpose": "notices", "connector": "by_password"})
    add("unchanged", "connector_info", {"history": True})


def paste(scenario: Scenario, known: Secrets, stage: Stage) -> None:
    """Secrets where none belongs and none is accepted."""
    scenario.defaults = {"registry": str(stage.folder / "registry.db")}
    server = {"host": "smtp.example.com"}
    signed_in = {**server, "username": "user", "password": known.new("beside_a_wrong_key")}

    def wrong(field: str) -> str:
        return known.new(f"in_{field}")

    entries = [
        {"smtp": {"uri": f"smtp://user:{wrong('uri')}@smtp.example.com:587"}},
        {"smtp": {**server, "proxy": f"socks5://user:{wrong('proxy')}@proxy.example.com:1080"}},
        {"smtp": {"host": f"user:{wrong('host')}@smtp.example.com"}},
        {"smtp": {**server, "security": wrong("security")}},
        {"smtp": {**server, "mechanisms": ["PLAIN", wrong("mechanisms")]}},
        {"smtp": server, "oauth2": {"token_url": f"https://user:{wrong('token_url')}@id.example.com/token"}},
        {"smtp": server, "oauth2": {"authority": f"https://user:{wrong('authority')}@login.example.com"}},
        {"smtp": server, "from_address": f"{wrong('address')} <user@example.com>"},
        {"smtp": server, "headers": {"X-Token": wrong("header") + "\r\n"}},
    ]
    named = [{"name": f"pasted_{number}", **entry} for number, entry in enumerate(entries)]
    add = scenario.add
    add("failed", "connectors", {"connectors": named})
    add("failed", "connector", {"name": "pasted", "smtp": {"port": wrong("port"), "validate_certs": wrong("flag")}})
    add("failed", "connector", {"name": "pasted", "smtp": wrong("block")})
    add("failed", "connector", {"name": wrong("name") + "-is-no-name"})
    add("failed", "connector", {"name": "pasted", "smtp": signed_in, "registry_key": wrong("key")})
    add("failed", "connector_purpose", {"purpose": wrong("purpose") + " ", "connector": "pasted"})
    add("failed", "connector_info", {"purpose": wrong("purpose_looked_up") + " "})


ALICE = USERS["alice"]
MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256")
# Like those above, without what no password can hold.
SPOKEN = "{0}\"\\/\u00e9 @:'$x<&"


def signing_in(password: str, security: str, ca_file: Path, port: int, **more: Any) -> Options:
    """How alice signs in at a port."""
    checked = {"security": security, "ca_file": str(ca_file)}
    return {"host": "127.0.0.1", "port": port, **checked, "username": ALICE.address, "password": password, **more}


def on_mail_server(known: Secrets, server: MailServer) -> list[Options]:
    """Connectors for each mechanism, with right and with wrong passwords."""
    right = known.given("right", ALICE.password)
    connectors = []
    for mechanism in MECHANISMS:
        name = mechanism.lower().replace("-", "_")
        for what, password in (("right", right), ("wrong", known.new(f"wrong_{name}", SPOKEN))):
            blocks = {
                block: signing_in(password, "tls", server.ca_file, server.ports[place], mechanisms=[mechanism])
                for block, place in (("smtp", "smtps"), ("imap", "imaps"))
            }
            connectors.append({"name": f"{what}_{name}", "from_address": ALICE.address, **blocks})
    return connectors


def echo(prefix: str) -> Action:
    """Refuses, and repeats all that the client has said, as it is, decoded and encoded again."""

    def act(talk: Talk) -> None:
        words = bytes(talk.received).split()
        with suppress(ValueError):
            words += [base64.b64decode(word, validate=True) for word in words[-2:]]
        said = b" ".join(words[-12:]).replace(b"\0", b" ")
        said = b" ".join([said, base64.b64encode(b"?" + words[-1]), words[-1].hex().encode()])
        talk.send(prefix.replace("{tag}", talk.tag or "*").encode() + b" You said " + said + b"\r\n")

    return act


@contextmanager
def echoing(zoo: CertificateZoo, mechanism: str) -> Iterator[dict[str, ScriptedServer]]:
    """Servers that repeat what they hear while someone signs in."""
    tls = zoo.good.server_context()
    smtp = SmtpScript({"auth_end": echo("535 5.7.8")}, tls=tls, mechanisms=(mechanism,))
    imap = ImapScript({"auth_end": echo("{tag} NO")}, tls=tls, mechanisms=(mechanism,))
    with smtp.server() as outgoing, imap.server() as incoming:
        yield {"smtp": outgoing, "imap": incoming}


def on_echoing_servers(known: Secrets, zoo: CertificateZoo, servers: dict[str, ScriptedServer], name: str) -> Options:
    """A connector whose servers repeat its password."""
    password = known.new(f"echoed_{name}", SPOKEN)
    blocks = {
        block: signing_in(password, "starttls", zoo.ca_file, server.port, mechanisms=[name.upper()])
        for block, server in servers.items()
    }
    return {"name": f"echoed_{name}", "from_address": ALICE.address, **blocks}


# Those that are tested without being stored, and tested so that the task fails; all others are tested with them once.
INLINE = ("right_plain", "echoed_assertion")
FAILING = ["echoed_login", "proxied", "wrong_secret", "echoed_oauthbearer"]


def trials(known: Secrets, stage: Stage, connectors: list[Options]) -> Scenario:
    """connector_test in every way that it can end, with connectors that are stored and that are not."""
    scenario = Scenario()
    scenario.defaults = {"registry": str(stage.folder / "registry.db"), "registry_key": known.key("right_key")}
    names = [each["name"] for each in connectors]
    right = [name for name in names if name.startswith("right")]
    sending = ["right_plain", "right_graph"]
    envelope = {"depth": "envelope", "to": USERS["bob"].address}
    add = scenario.add
    add("changed", "connectors", {"connectors": connectors})
    add("unchanged", "connector_test", {**envelope, "fail": False})
    add("failed", "connector_test", {**envelope, "connectors": FAILING})
    add("failed", "connector_test", {"connectors": [*names, "nobody"]}, check_mode=True)
    add("failed", "connector_test", {"registry_key": known.key("wrong_key")})
    for each in (each for each in connectors if each["name"] in INLINE):
        add("unchanged" if each["name"] in right else "failed", "connector_test", {**envelope, "declaration": each})
    elsewhere = {"registry": str(stage.folder / "elsewhere.db")}
    add("unchanged", "connector_test", {"connectors": sending, "depth": "deliver", "to": ALICE.address})
    add("changed", "init_mail", {"connectors": sending, "to": USERS["bob"].address})
    add("failed", "init_mail", {"connectors": FAILING})
    post(scenario, known, connectors, right)
    some = [each for each in connectors if each["name"] in (*INLINE, *FAILING, "right_graph")]
    add("failed", "connectors", {"connectors": some, "verify": "login", **elsewhere})
    for each in (connectors[0], connectors[-1]):
        ending = "changed" if each["name"] in right else "failed"
        add(ending, "connector", {**each, "verify": "send", **elsewhere}, check_mode=True)
    misspelt = {**connectors[0], "smtp": {**connectors[0]["smtp"], "hots": "smtp.example.com"}}
    add("failed", "connector_test", {"declaration": misspelt})
    add("failed", "connector_test", {"declaration": connectors[0], "timeout": "soon"})
    add("failed", "connector_test", {"declaration": connectors[0], "to": known.new("pasted") + " "})
    return scenario


def post(scenario: Scenario, known: Secrets, connectors: list[Options], right: list[str]) -> None:
    """mail in every way that it can end, and the lookup, which reveals secrets to tasks with no_log."""
    add, message = scenario.add, {"to": USERS["bob"].address, "subject": "Mail", "body": "Good morning"}
    for each in (each for each in connectors if each["name"] in INLINE):
        ending = "changed" if each["name"] in right else "failed"
        add(ending, "mail", {**message, "connector": each["name"]})
        add(ending, "mail", {**message, "declaration": each})
    add("changed", "mail", {**message, "connector": right[0]}, check_mode=True)
    add("failed", "mail", {**message, "connector": right[0], "registry_key": known.key("wrong_mail_key")})
    # Problems of the same kind are told together.
    for wrong_options in (("to", "reply_to", "attachments"), ("headers",), ("timeout",)):
        pasted = {option: known.new(f"pasted_in_{option}") + " " for option in wrong_options}
        add("failed", "mail", {**message, "connector": right[0], **pasted})
    lookup = "lookup('mailroom.core.connector', {0!r}, registry={1!r}, registry_key={2}{3})"
    registry = scenario.defaults["registry"]
    wrong = known.key("wrong_lookup_key").strip("{ }")
    revealed = lookup.format(right[0], registry, "right_key", ", secrets=true")
    told = lookup.format(right[0], registry, "right_key", "")
    refused = lookup.format(right[0], registry, wrong, ", secrets=true")
    scenario.others += [
        {"name": "Use a connector", "ansible.builtin.set_fact": {"used": f"{{{{ {revealed} }}}}"}, "no_log": True},
        {"name": "Hash it", "ansible.builtin.debug": {"msg": f"{{{{ {revealed} | to_json | hash('sha256') }}}}"}},
        {"name": "Show a connector", "ansible.builtin.debug": {"msg": f"{{{{ {told} }}}}"}},
        {"name": "Fail", "ansible.builtin.debug": {"msg": f"{{{{ {refused} }}}}"}, "ignore_errors": True},
    ]


def sent_mail(server: MailServer, results: bytes) -> bytes:
    """The mail that tasks have sent, and all that the server keeps of mail."""
    sent = [each["message_id"] for result in json.loads(results) for each in result.get("sent", ())]
    sent = [message_id for message_id in sent if message_id]
    assert sent
    mail = [server.wait_for("bob", "Message-ID", each).as_bytes() for each in sent]
    folders = (server.runtime / name for name in ("mail", "queue"))
    kept = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return b"\n".join([*mail, *(path.read_bytes() for path in kept)])


def refused_by_a_proxy(known: Secrets, connector: Options, port: int) -> Options:
    """The same connector behind a proxy that does not know its password."""
    proxied = {
        "proxy": f"http://127.0.0.1:{port}",
        "proxy_username": "dweller",
        "proxy_password": known.new("proxy_password", SPOKEN),
    }
    return {"name": "proxied", "smtp": {**connector["smtp"], **proxied}}


ROLES = ("IMAP.AccessAsApp", "SMTP.SendAsApp", "Mail.Send", "Mail.ReadBasic")


def inside(pem: str) -> str:
    """A line from the middle of a key."""
    return pem.split("-----")[2].split()[10]


class Applications:
    """The oauth2 blocks of all ways to sign in, whose secrets are known."""

    def __init__(self, known: Secrets, cloud: Cloud, folder: Path) -> None:
        self.known = known
        self.cloud = cloud
        self.folder = folder

    def at_entra(self, entra: Entra, name: str, what: str = "client_secret") -> Options:
        """An application that proves itself in some way."""
        app = entra.add_app(roles=ROLES)
        where = {"authority": entra.url, "tenant_id": entra.tenant_id, "client_id": app.client_id}
        return {**where, "ca_file": str(self.cloud.ca_file), **getattr(self, f"_{what}")(name, app)}

    def at_google(self, google: Google, name: str) -> Options:
        """A service account."""
        account = google.service_account(f"{name.replace('_', '-')}@example.iam.gserviceaccount.com")
        key = self.known.given(f"key_{name}", account.key, inside(account.key["private_key"]))
        return {"service_account": key, "username": ALICE.address, "ca_file": str(self.cloud.ca_file)}

    def elsewhere(self, service: TokenUrl, name: str) -> Options:
        """A client of another provider."""
        client = service.add_client()
        secret = self.known.given(f"secret_{name}", client.secret, client.secret[-24:])
        proof = {"client_id": client.client_id, "client_secret": secret}
        return {"token_url": service.endpoint, **proof, "ca_file": str(self.cloud.ca_file)}

    def _client_secret(self, name: str, app: App) -> Options:
        return {"client_secret": self.known.given(f"secret_{name}", app.secret)}

    def _wrong(self, name: str, app: App) -> Options:
        return {"client_secret": self.known.new(f"wrong_{name}", SPOKEN)}

    def _certificate(self, name: str, app: App) -> Options:
        return {"certificate": self.known.given(f"pem_{name}", app.certificate, inside(app.certificate))}

    def _certificate_file(self, name: str, app: App) -> Options:
        passphrase = secrets.token_hex(24)
        path = app.pfx_file(self.folder / f"{name}.pfx", passphrase)
        self.known.seen(f"pem_{name}", inside(app.certificate))
        return {
            "certificate_file": str(path),
            "certificate_passphrase": self.known.given(f"passphrase_{name}", passphrase),
        }

    def _assertion_file(self, name: str, app: App) -> Options:
        path = app.assertion_file(self.folder / name)
        self.known.seen(f"assertion_{name}", path.read_text(encoding="ascii").rpartition(".")[2])
        return {"assertion_file": str(path)}

    def _user(self, name: str, app: App) -> Options:
        user = {"username": ALICE.address, "password": self.known.given(f"user_{name}", ALICE.password)}
        return {**self._client_secret(name, app), **user}


def with_tokens(server: MailServer, oauth2: Options, name: str) -> Options:
    """A connector that signs in to the mail server with a token."""
    common = {"auth": "oauth2", "username": ALICE.address, "ca_file": str(server.ca_file), "host": "localhost"}
    blocks = {
        block: {**common, "port": server.ports[place], "security": "tls"}
        for block, place in (("smtp", "smtps"), ("imap", "imaps"))
    }
    return {"name": name, "from_address": ALICE.address, **blocks, "oauth2": oauth2}


def by_tokens(applications: Applications, server: MailServer) -> list[Options]:
    """Connectors for each way to get a token, with right and with wrong secrets."""
    cloud = applications.cloud
    proofs = ("client_secret", "certificate", "certificate_file", "assertion_file", "user")
    sources = {f"right_{proof}": applications.at_entra(cloud.entra, proof, proof) for proof in proofs}
    sources["right_google"] = applications.at_google(cloud.google, "google")
    sources["right_elsewhere"] = applications.elsewhere(cloud.token_url, "elsewhere")
    sources["right_machine"] = {"managed_identity": cloud.managed_identity.add_app(roles=ROLES).client_id}
    sources["wrong_secret"] = applications.at_entra(cloud.entra, "wrong_secret", "wrong")
    sources["wrong_audience"] = applications.at_entra(cloud.entra, "wrong_audience")
    cloud.entra.fail("wrong_audience", at="token", who=sources["wrong_audience"]["client_id"])
    connectors = [with_tokens(server, oauth2, name) for name, oauth2 in sources.items()]
    graph = {"url": cloud.graph.url, "mailbox": ALICE.address, "ca_file": str(cloud.ca_file)}
    return [*connectors, {"name": "right_graph", "graph": graph, "oauth2": applications.at_entra(cloud.entra, "graph")}]


@contextmanager
def by_echoes(applications: Applications, server: MailServer) -> Iterator[list[Options]]:
    """Connectors whose services repeat what they are told, with those services."""
    cloud, zoo = applications.cloud, server.zoo
    with ExitStack() as stack:
        entra = stack.enter_context(echoes.Entra(zoo, cloud.tokens))
        google = stack.enter_context(echoes.Google(zoo, cloud.tokens))
        other = stack.enter_context(echoes.TokenUrl(zoo, cloud.tokens))
        graph = stack.enter_context(echoes.Graph(zoo, cloud.tokens))
        sources = {
            "echoed_secret": applications.at_entra(entra, "echoed_secret"),
            "echoed_assertion": applications.at_entra(entra, "echoed_assertion", "assertion_file"),
            "echoed_user": applications.at_entra(entra, "echoed_user", "user"),
            "echoed_google": applications.at_google(google, "echoed_google"),
            "echoed_elsewhere": applications.elsewhere(other, "echoed_elsewhere"),
        }
        connectors = [with_tokens(server, oauth2, name) for name, oauth2 in sources.items()]
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            name = f"echoed_{mechanism.lower()}"
            connector = with_tokens(server, applications.at_entra(cloud.entra, name), name)
            for block, script in (("smtp", echoes.smtp(mechanism)), ("imap", echoes.imap(mechanism))):
                port = stack.enter_context(script.server()).port
                connector[block] |= {"host": "127.0.0.1", "port": port, "security": "none"}
            connectors.append(connector)
        block = {"url": graph.url, "mailbox": ALICE.address, "ca_file": str(zoo.ca_file)}
        oauth2 = applications.at_entra(cloud.entra, "echoed_graph")
        connectors.append({"name": "echoed_graph", "graph": block, "oauth2": oauth2})
        yield connectors
        for service in (entra, google, other):
            note_sent(applications.known, service)


def note_sent(known: Secrets, service: HttpsServer) -> None:
    """What else was shown to a service is a secret, too: assertions, and what is in headers."""
    for number, request in enumerate(service.requests):
        name = f"{type(service).__name__}_{id(service)}_{number}"
        for field in ("client_assertion", "assertion"):
            if field in request.form:
                known.seen(f"{field}_{name}", request.form[field].rpartition(".")[2])
        if "authorization" in request.headers:
            known.seen(f"authorization_{name}", request.headers["authorization"].rpartition(" ")[2][-60:])


def test_a_secret_that_signs_in_never_shows(
    stage: Stage, mail_server: MailServer, zoo: CertificateZoo, tmp_path: Path
) -> None:
    known = Secrets()
    proxy = HttpProxy(username="dweller", password="another")
    with (
        Cloud(mail_server) as cloud,
        echoing(zoo, "PLAIN") as plain,
        echoing(zoo, "LOGIN") as login,
        proxy.server() as refusing,
    ):
        applications = Applications(known, cloud, tmp_path)
        with by_echoes(applications, mail_server) as repeated:
            connectors = on_mail_server(known, mail_server)
            connectors.append(refused_by_a_proxy(known, connectors[0], refusing.port))
            connectors += [
                on_echoing_servers(known, zoo, plain, "plain"),
                on_echoing_servers(known, zoo, login, "login"),
            ]
            scenario = trials(known, stage, [*connectors, *by_tokens(applications, mail_server), *repeated])
            mail_server.empty("bob")
            seen = play(stage, scenario, known, "mark", pipelining=True, **cloud.managed_identity.environment("imds"))
            seen["mail"] = sent_mail(mail_server, seen["results.json"])
        for service in cloud.services:
            note_sent(known, service)
        issued = list(cloud.tokens._issued)
        attempts = [each.mechanism for servers in (plain, login) for each in servers["smtp"].logins]
    for number, token in enumerate(issued):
        known.seen(f"token_{number}", token.rpartition(".")[2])
    assert len(issued) > 20
    assert set(attempts) == {"PLAIN", "LOGIN"}
    assert endings(seen["results.json"]) == scenario.endings
    words = b"auth_rejected proxy_failed token_secret token_endpoint mailbox_missing".split()
    for place in SHOWN:
        for each in (*words, b"You said", b"You sent", b"exp 20"):
            assert each in seen[place], (place, each)
    assert written(seen) == {"registry.db"}
    assert not leaks(known, seen)
    assert (
        scenario.modules | {"connector_api", "connector_config", "connector_info", "connector_purpose", "registry"}
        == MODULES
    )


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_secret_that_the_callback_opens_never_shows(
    stage: Stage, mail_server: MailServer, zoo: CertificateZoo, is_refused: bool
) -> None:
    known = Secrets()
    with echoing(zoo, "PLAIN") as plain:
        connector = on_mail_server(known, mail_server)[0]
        if is_refused:
            connector = on_echoing_servers(known, zoo, plain, "plain")
        registry, key = str(stage.folder / "registry.db"), known.key("key_of_callback")
        declared = {"connectors": [connector], "default": connector["name"], "registry": registry, "registry_key": key}
        assert run("connectors", known.opened(declared))["changed"]
        fail = {"name": "Fail", "ansible.builtin.command": "false"}
        mail_server.empty("bob")
        played = stage.play(
            [{"tasks": [fail]}],
            ANSIBLE_CALLBACKS_ENABLED="mailroom.core.mail_failures",
            ANSIBLE_LOG_PATH=str(stage.folder / "ansible.log"),
            MAILROOM_FAILURES_MESSAGES="true",
            MAILROOM_FAILURES_TO=USERS["bob"].address,
            MAILROOM_REGISTRY=registry,
            MAILROOM_REGISTRY_KEY=known.variables["key_of_callback"],
        )
    seen = {
        str(path.relative_to(stage.folder)): path.read_bytes() for path in stage.folder.rglob("*") if path.is_file()
    }
    seen["the output"] = played.stdout.encode()
    if is_refused:
        assert b"was not sent: auth_rejected" in b" ".join(seen["the output"].split())
    else:
        mail = mail_server.wait_for("bob", "Subject", "playbook.json failed on testhost")
        assert "Fail" in mail.as_string()
        seen["the mail"] = mail.as_bytes()
    assert not leaks(known, seen)


ALERTMANAGER = """\
global:
  smtp_auth_password: {0}
  slack_api_url: https://hooks.example.com/{1}
route: {{receiver: nobody}}
receivers: [{{name: nobody}}]
"""


def configure(scenario: Scenario, known: Secrets, stage: Stage, folder: Path) -> None:
    """connector_config in every way that it can end, for all applications."""
    others = [secrets.token_hex(24) for _which in range(2)]
    for number, secret in enumerate(others):
        known.seen(f"of_others_{number}", secret)
    paths = {"msmtp": folder / "msmtprc", "postfix": folder / "main.cf", "alertmanager": folder / "alertmanager.yml"}
    paths["msmtp"].write_text(f"account old\npassword {others[0]}\n", encoding="utf-8")
    paths["postfix"].write_text("relayhost =\n", encoding="utf-8")
    paths["alertmanager"].write_text(ALERTMANAGER.format(*others), encoding="utf-8")
    invalid = folder / "invalid.yml"
    invalid.write_text(f"route:\n\tkey: {others[1]}\n", encoding="utf-8")

    def telling(which: str, shape: str) -> Options:
        server = {"host": "smtp.example.com", "username": "user", "password": known.new(which, shape)}
        return {"name": "told", "from_address": "user@example.com", "smtp": server}

    scenario.defaults = {"registry": str(stage.folder / "config.db"), "registry_key": known.key("config_key")}
    add, wrong_key = scenario.add, {"registry_key": known.key("wrong_config_key")}
    tasks = [
        {"connector": "told", "app": app, "path": str(path), "backup": True, "options": {"leave_out": ["from_address"]}}
        for app, path in paths.items()
    ]
    tasks[-1]["options"] = {"password_file": str(folder / "of_alertmanager")}
    template = "user=${smtp.username|json} password=${smtp.password|shell}\n"
    for app, options in (("nullmailer", {}), ("gitea", {}), ("vaultwarden", {}), ("template", {"template": template})):
        given = {"leave_out": ["from_address"], **options} if app == "nullmailer" else options
        path = str(folder / f"of_{app}")
        tasks.insert(1, {"connector": "told", "app": app, "path": path, "backup": True, "options": given})
    add("changed", "connector", telling("told_first", SHAPES["first"].replace("\n", "").strip()))
    # What a secret looks like there is up to the application; what a task says of it is said for all by the same code.
    add("changed", "connector_config", tasks[0], check_mode=True)
    for task in tasks:
        add("changed", "connector_config", task)
    add("changed", "connector", telling("told_second", SHAPES["second"].replace("\n", "").strip()))
    add("changed", "connector_config", tasks[0])
    add("failed", "connector_config", {**tasks[0], **wrong_key})
    add("unchanged", "connector_config", tasks[0])
    add("failed", "connector_config", {**tasks[-1], "path": str(invalid)})
    add("failed", "connector_config", {**tasks[0], "mode": "nonsense"})
    add("changed", "connector", telling("told_in_lines", "{0}\nline"))
    add("failed", "connector_config", {"applications": tasks})
    add("changed", "connector_config", {**tasks[0], "state": "absent"})
    add("failed", "connector_config", {**tasks[0], "connector": known.new("in_connector") + " "})
    by_api = {
        "connector": "told",
        "app": "privacyidea",
        "url": "http://127.0.0.1:1",
        "login": {"username": "admin", "password": known.new("api_password")},
        "options": {"leave_out": ["smtp.validate_certs"]},
    }
    add("failed", "connector_api", by_api)
    add("failed", "connector_api", {**by_api, "login": {"token": known.new("api_token"), "username": "admin"}})
    add("failed", "connector_api", {**by_api, "url": f"https://user:{known.new('in_url')}@example.com"})
    add("unchanged", "connector_api", {**by_api, "state": "forgotten"})
    copying = {
        "registry": str(stage.folder / "copy.db"),
        "registry_key": known.key("copy_key"),
        "copy_from": scenario.defaults["registry"],
        "copy_from_key": scenario.defaults["registry_key"],
    }
    add("failed", "registry", {**copying, "copy_from_key": known.key("wrong_copy_key")})
    add("changed", "registry", copying)
    add("unchanged", "registry", copying)


def test_a_declared_secret_never_shows(stage: Stage, tmp_path: Path) -> None:
    known, mark = Secrets(), "mark-" + secrets.token_hex(24)
    scenario = Scenario()
    declare(scenario, known, stage, mark)
    paste(scenario, known, stage)
    configure(scenario, known, stage, tmp_path)
    seen = play(stage, scenario, known, mark)
    assert endings(seen["results.json"]) == scenario.endings
    without_mark = [place for place, content in seen.items() if mark.encode() not in content]
    assert not {*SHOWN, "the arguments of processes", "process.log", "registry.db"}.intersection(without_mark)
    assert written(seen) == {"registry.db", "config.db", "copy.db"}
    assert any(known.found_in(path.read_bytes()) for path in tmp_path.iterdir())
    assert not leaks(known, seen)
    assert scenario.modules | {"connector_test", "init_mail", "mail"} == MODULES


@pytest.mark.parametrize("shape", ["{0}", PEM, *SHAPES.values()])
def test_the_search_finds_what_is_there(shape: str) -> None:
    known = Secrets()
    known.new("one", shape)
    known.new("other", shape)
    secret = known.variables["one"]
    before, after = (len(part) for part in shape.split("{0}"))
    shown = [
        secret.encode(),
        json.dumps(secret).encode(),
        base64.b64encode(secret.encode()),
        base64.b64encode(b"user\0user\0" + secret.encode()),
        shlex.quote(secret).encode(),
        secret[: before + 20].encode(),
        secret[-after - 20 :].encode(),
        secret.encode().hex().encode(),
    ]
    assert [known.found_in(b"before " + each + b" after") for each in shown] == [["one"]] * len(shown)
