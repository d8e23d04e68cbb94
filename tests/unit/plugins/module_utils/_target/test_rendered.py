# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written for applications that cannot run here, as the parser of their file's format reads it."""

from __future__ import annotations

import configparser
import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.mailroom.core.plugins.module_utils._target.formats import ini
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import Account
from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

from .given import account, refused

PASSWORD = "a\"b'c#d;e\\f$g`h%U: j<é>\t!"
IMAP = {"host": "imap.example.com", "username": "reader@example.com", "password": PASSWORD}
OAUTH2 = {"tenant_id": "example.com", "client_id": "mailroom", "client_secret": PASSWORD}
GRAPH = {"graph": {"mailbox": "a@example.com"}, "oauth2": OAUTH2}
TLS = {"port": 465, "password": PASSWORD}
OPTIONAL = {"security": "starttls_optional", "password": PASSWORD}
FROM = {"from_address": "alerts@example.com"}


def made(app: str, smtp: dict[str, Any], options: Mapping[str, Any] | None = None, **fields: Any) -> Account:
    """What a connector gives to an application, which takes it as it is."""
    file = (options or {}).get("password_file", "")
    target = FILE_TARGETS[app].variant(options or {})
    return account(target, smtp, password_file=file, options=options, **fields)


def rendered(app: str, smtp: dict[str, Any], options: Mapping[str, Any] | None = None, **fields: Any) -> str:
    target = FILE_TARGETS[app].variant(options or {})
    given = made(app, smtp, options, **fields)
    assert list(target.unsupported(given)) == []
    text = target.render("", given)
    assert PASSWORD not in str(target.difference("", text))
    # Hidden as a whole: what is shown holds no piece of it either.
    assert "#d;e" not in str(target.difference(text, text))
    assert target.clear(text) == ""
    return text


def go_ini(text: str) -> dict[str, dict[str, str]]:
    return ini.parse_go("\n".join(line for line in text.splitlines() if line and not line.startswith("#")))


def environment(text: str) -> dict[str, str]:
    script = f"set -a\n{text}\nexec env -0"
    shown = subprocess.run(["env", "-i", "/bin/sh"], input=script.encode(), capture_output=True, check=True).stdout
    return dict(line.split("=", 1) for line in shown.decode().split("\0") if line.startswith(("GF_", "SMTP", "M")))


def gitlab(text: str) -> dict[str, Any]:
    program = f"require 'json'\ngitlab_rails = {{}}\n{text}\nputs JSON.generate(gitlab_rails)\n"
    done = subprocess.run(["ruby", "-Ku"], input=program.encode(), capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def nextcloud(text: str) -> dict[str, Any]:
    done = subprocess.run(["php"], input=f"{text}echo json_encode($CONFIG);".encode(), capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def test_grafana_ini() -> None:
    found = go_ini(rendered("grafana", TLS, from_name="Älerts, all", **FROM))["smtp"]
    assert found == {
        "enabled": "true",
        "host": "smtp.example.com:465",
        "user": "robot@example.com",
        "password": PASSWORD,
        "skip_verify": "false",
        "startTLS_policy": "NoStartTLS",
        "from_address": "alerts@example.com",
        "from_name": "Älerts, all",
    }


def test_grafana_reads_its_password_from_a_file() -> None:
    text = rendered("grafana", TLS, {"password_file": "/etc/grafana/password"}, **FROM)
    assert go_ini(text)["smtp"]["password"] == "$__file{/etc/grafana/password}"
    assert FILE_TARGETS["grafana"].password_file_in(text) == "/etc/grafana/password"


def test_grafana_environment() -> None:
    found = environment(rendered("grafana", TLS, {"format": "env"}, **FROM))
    assert (found["GF_SMTP_HOST"], found["GF_SMTP_PASSWORD"]) == ("smtp.example.com:465", PASSWORD)
    options = {"format": "env", "password_file": "/etc/grafana/password"}
    found = environment(rendered("grafana", TLS, options, **FROM))
    assert found["GF_SMTP_PASSWORD__FILE"] == "/etc/grafana/password"
    assert "GF_SMTP_PASSWORD" not in found


def test_gitlab_smtp_and_imap() -> None:
    options = {"incoming_address": "git+%{key}@example.com"}
    found = gitlab(rendered("gitlab", OPTIONAL, options, imap=IMAP, reply_to="answers@example.com", **FROM))
    expected = {
        "smtp_enable": True,
        "smtp_address": "smtp.example.com",
        "smtp_port": 587,
        "smtp_user_name": "robot@example.com",
        "smtp_password": PASSWORD,
        "smtp_authentication": "plain",
        "smtp_enable_starttls_auto": True,
        "smtp_tls": False,
        "smtp_openssl_verify_mode": "peer",
        "gitlab_email_from": "alerts@example.com",
        "gitlab_email_reply_to": "answers@example.com",
        "incoming_email_address": "git+%{key}@example.com",
        "incoming_email_password": PASSWORD,
        "incoming_email_host": "imap.example.com",
        "incoming_email_port": 993,
        "incoming_email_ssl": True,
        "incoming_email_start_tls": False,
    }
    assert expected.items() <= found.items()


def test_gitlab_graph_both_ways() -> None:
    found = gitlab(rendered("gitlab", {}, {"incoming_address": "git+%{key}@example.com"}, **GRAPH))
    assert found["microsoft_graph_mailer_client_secret"] == PASSWORD
    assert found["microsoft_graph_mailer_azure_ad_endpoint"] == "https://login.microsoftonline.com"
    assert found["microsoft_graph_mailer_graph_endpoint"] == "https://graph.microsoft.com"
    assert found["incoming_email_inbox_method"] == "microsoft_graph"
    assert found["incoming_email_inbox_options"]["client_secret"] == PASSWORD
    assert not any(name.startswith("smtp") for name in found)


def test_gitea_mailer_and_incoming() -> None:
    options = {"incoming_address": "git+%{token}@example.com", "delete": True}
    found = go_ini(rendered("gitea", TLS, options, imap=IMAP, errors_to="bounces@example.com", **FROM))
    mailer = {"PROTOCOL": "smtps", "SMTP_PORT": "465", "PASSWD": PASSWORD, "ENVELOPE_FROM": "bounces@example.com"}
    incoming = {"HOST": "imap.example.com", "USE_TLS": "true", "PASSWORD": PASSWORD, "DELETE_HANDLED_MESSAGE": "true"}
    assert mailer.items() <= found["mailer"].items()
    assert incoming.items() <= found["email.incoming"].items()


def test_nextcloud_php() -> None:
    found = nextcloud(rendered("nextcloud", {**TLS, "ca_file": "/ca.pem"}, **FROM))
    assert found == {
        "mail_smtpmode": "smtp",
        "mail_smtphost": "smtp.example.com",
        "mail_smtpport": 465,
        "mail_smtpsecure": "ssl",
        "mail_smtpauth": True,
        "mail_smtpname": "robot@example.com",
        "mail_smtppassword": PASSWORD,
        "mail_from_address": "alerts",
        "mail_domain": "example.com",
        "mail_smtpstreamoptions": {"ssl": {"cafile": "/ca.pem"}},
    }


def test_vaultwarden_environment() -> None:
    password = PASSWORD.replace("`", "")
    smtp = {**TLS, "password": password, "mechanisms": ["PLAIN", "LOGIN"]}
    found = environment(rendered("vaultwarden", smtp, **FROM))
    expected = {"SMTP_SECURITY": "force_tls", "SMTP_PASSWORD": password, "SMTP_AUTH_MECHANISM": "Plain,Login"}
    assert {**expected, "SMTP_ACCEPT_INVALID_CERTS": "false"}.items() <= found.items()


def test_redmine_yaml() -> None:
    """Redmine reads it with ERB first."""
    text = rendered("redmine", {"password": PASSWORD, "ca_file": "/ca.pem"}, {"section": "production"})
    program = "require 'yaml'\nrequire 'erb'\nrequire 'json'\nread = YAML.unsafe_load(ERB.new(STDIN.read).result)\n"
    program += "method = read['production']['email_delivery']['delivery_method']\n"
    program += "print JSON.generate(read.merge('is_symbol' => method.is_a?(Symbol)))"
    done = subprocess.run(["ruby", "-Ku", "-e", program], input=text.encode(), capture_output=True, check=True)
    read = json.loads(done.stdout)
    assert read["is_symbol"]
    assert read["production"]["email_delivery"]["smtp_settings"]["password"] == PASSWORD
    found = yaml.safe_load(text)["production"]["email_delivery"]
    assert (found["delivery_method"], found["smtp_settings"]["authentication"]) == (":smtp", ":plain")
    assert found["smtp_settings"]["password"] == PASSWORD
    assert found["smtp_settings"]["enable_starttls"] is True


@pytest.mark.parametrize(
    ("version", "port", "expected"),
    [("0.31", 4650, {"smtp_force_implicit_tls": True}), ("0.28", 465, {"smtp_require_tls": False})],
)
def test_alertmanager_by_version(version: str, port: int, expected: dict[str, Any]) -> None:
    given = made("alertmanager", {"port": port, "security": "tls"}, {"version": version}, **FROM)
    target = FILE_TARGETS["alertmanager"]
    assert list(target.unsupported(given)) == []
    assert expected.items() <= yaml.safe_load(target.render("", given))["global"].items()


def test_accuknox_values() -> None:
    assert yaml.safe_load(rendered("accuknox", {"password": PASSWORD}, **FROM)) == {
        "global": {
            "email": {
                "from": "alerts@example.com",
                "user": "robot@example.com",
                "password": PASSWORD,
                "host": "smtp.example.com",
            }
        }
    }
    rinc = yaml.safe_load(rendered("accuknox", {"password": PASSWORD, "port": 2525}, {"chart": "rinc"}))
    assert rinc["email"]["smtp"]["port"] == 2525


SHEETS = {
    "accuknox": (
        ({"display_name": "Secure `Email` Backend", **FROM}, {"format": "sheet"}),
        [
            "- **Name**: ``Secure `Email` Backend``",
            "- **Host**: `smtp.example.com`",
            "- **Port**: `465`",
            "- **Encryption**: `SSL`",
            "- **Username**: `robot@example.com`",
            "- **From Email**: `alerts@example.com`",
            "- **Secret**: the secret `smtp.password` of connector `alerts`",
        ],
    ),
    "kianda": (
        ({"imap": IMAP, "test_address": "help@example.com"}, {}),
        [
            "- **Display name**: `alerts`",
            "- **IMAP server**: `imap.example.com`",
            "- **Port**: `993`",
            "- **Use SSL**: yes",
            "- **Username/email**: `reader@example.com`",
            "- **Password**: the secret `imap.password` of connector `alerts`",
            "- **Enable mail send from**: yes",
            "- **SMTP server**: `smtp.example.com`",
            "- **SMTP port**: `465`",
            "- **SMTP use SSL**: yes",
            "- **Test email address**: `help@example.com`",
            "- **Use same credentials as above**: no",
            "- **SMTP username**: `robot@example.com`",
            "- **SMTP password**: the secret `smtp.password` of connector `alerts`",
        ],
    ),
    "evoluteiq": (
        ({**GRAPH, "oauth2": {**OAUTH2, "username": "a@example.com", "password": "x"}, "signature": "One\nTwo"}, {}),
        [
            "- **Name**: `alerts`",
            "- **Type**: `MS Graph API`",
            "- **Is default**: no",
            "- **From address**: `a@example.com`",
            "- **Signature**:",
            "",
            "  ```",
            "  One",
            "  Two",
            "  ```",
            "",
            "- **Description**: (empty)",
            "- **User name**: `a@example.com`",
            "- **Password**: the secret `oauth2.password` of connector `alerts`",
            "- **Tenant ID**: `example.com`",
            "- **Client ID**: `mailroom`",
            "- **Client secret**: the secret `oauth2.client_secret` of connector `alerts`",
        ],
    ),
}


@pytest.mark.parametrize("app", SHEETS)
def test_settings_sheet_has_the_products_fields_in_their_order(app: str) -> None:
    (fields, options), expected = SHEETS[app]
    text = rendered(app, TLS, options, **fields)
    assert text.splitlines()[5:] == expected
    assert PASSWORD not in text


def test_privilege_manager_has_a_name_and_a_uri() -> None:
    smtp = {"uri": "smtp://smtp.example.com:25", "security": "none", "auth": "none", "host": None}
    text = rendered("privilege_manager", {**smtp, "username": None, "password": None}, display_name="SMTP server")
    assert text.splitlines()[5:] == ["- **Name**: `SMTP server`", "- **Base URI**: `smtp://smtp.example.com:25`"]


@pytest.mark.parametrize(
    ("app", "smtp", "fields", "options", "field"),
    [
        ("accuknox", {"port": 2525}, FROM, {}, "smtp.port"),
        ("accuknox", {"username": None, "password": None}, FROM, {}, "smtp.auth"),
        ("alertmanager", {"ca_file": "/ca.pem"}, FROM, {"version": "0.27"}, "smtp.ca_file"),
        ("alertmanager", {}, FROM, {"version": "0.24"}, "options.version"),
        ("django", {"password": "é"}, {}, {}, "smtp.password"),
        ("django", {"validate_certs": False}, {}, {}, "smtp.validate_certs"),
        ("dma", {}, {}, {}, "smtp.validate_certs"),
        ("dma", {"username": "a|b", "validate_certs": False}, {}, {}, "smtp.username"),
        ("env", {"password": "a\nb"}, {}, {}, "smtp.password"),
        ("env", {}, {}, {"prefix": "a b"}, "options.prefix"),
        ("evoluteiq", {"username": "robot"}, FROM, {}, "smtp.username"),
        ("fetchmail", {}, {"imap": IMAP}, {}, "options.local_user"),
        ("getmail", {}, {"imap": IMAP}, {"maildir": "/m"}, "imap.ca_file"),
        ("gitea", {"password": "%(USER)s"}, FROM, {}, "smtp.password"),
        ("gitea", {}, {**FROM, "imap": IMAP}, {"incoming_address": "a@b.example"}, "options.incoming_address"),
        ("gitlab", {}, FROM, {}, "smtp.security"),
        ("gitlab", {}, {"graph": GRAPH["graph"], "oauth2": {**OAUTH2, "scope": "x"}}, {}, "oauth2.scope"),
        ("grafana", {"port": 2465, "security": "tls"}, FROM, {}, "smtp.port"),
        ("grafana", {"password": "${HOME}"}, FROM, {}, "smtp.password"),
        ("grafana", {}, FROM, {"format": "sheet"}, "options.format"),
        ("kianda", {"port": 465}, {}, {}, "imap"),
        ("kianda", {"port": 465}, {**FROM, "imap": IMAP}, {}, "from_address"),
        ("mailman3", {"password": " a"}, {}, {}, "smtp.password"),
        ("mbsync", {}, {"imap": {**IMAP, "mailbox": "%"}}, {"maildir": "/m"}, "imap.mailbox"),
        ("monit", {"password": "\"'"}, {}, {}, "smtp.password"),
        ("grafana", {}, FROM, {"password_file": "/etc/a}b"}, "options.password_file"),
        ("monit", {"port": 2525}, {}, {}, "smtp.port"),
        ("monit", {}, {"reply_to": "a}b@example.com"}, {}, "reply_to"),
        ("nextcloud", {}, FROM, {}, "smtp.security"),
        ("nullmailer", {"mechanisms": ["CRAM-MD5"]}, {}, {}, "smtp.mechanisms"),
        ("privilege_manager", {"security": "none"}, {}, {}, "smtp.username"),
        ("redmine", {"password": "<%= x %>"}, {}, {}, "smtp.password"),
        ("vaultwarden", {}, {}, {}, "from_address"),
        ("vaultwarden", {"password": PASSWORD}, FROM, {}, "smtp.password"),
        ("vaultwarden", {"username": "o'`neill"}, FROM, {}, "smtp.username"),
        ("vaultwarden", {}, {**FROM, "from_name": "It's `us`"}, {}, "from_name"),
        ("vaultwarden", {}, {"from_address": "o'`neill@example.com"}, {}, "from_address"),
        ("vaultwarden", {}, FROM, {"password_file": "/it's/`x`"}, "options.password_file"),
    ],
)
def test_what_it_cannot_express_is_refused(
    app: str, smtp: dict[str, Any], fields: dict[str, Any], options: dict[str, Any], field: str
) -> None:
    target = FILE_TARGETS[app].variant(options)
    assert field in refused(target, made(app, smtp, options, **fields))


def test_generic_files_hold_every_field() -> None:
    smtp = {"password": PASSWORD, "mechanisms": ["PLAIN"], "ehlo_name": "here.example.com"}
    fields = {**FROM, "cc": ["one@example.com"], "headers": {"X-Team": "mail"}, "imap": IMAP}
    as_json = json.loads(rendered("json", smtp, **fields))
    as_yaml = yaml.safe_load(rendered("yaml", smtp, **fields))
    assert as_json.pop("written_by")
    assert as_json == as_yaml
    assert (as_json["smtp"]["password"], as_json["imap"]["mailbox"], as_json["graph"]) == (PASSWORD, "INBOX", None)
    assert {"from_name", "reply_to", "smtp", "oauth2"} <= as_json.keys()
    found = environment(rendered("env", smtp, {"prefix": "MAIL_"}, **fields))
    assert found["MAIL_SMTP_PASSWORD"] == PASSWORD
    assert (found["MAIL_CC"], found["MAIL_SMTP_VALIDATE_CERTS"], found["MAIL_REPLY_TO"]) == (
        "one@example.com",
        "true",
        "",
    )


def test_template_with_nul_is_refused() -> None:
    target = FILE_TARGETS["template"]
    given = account(target, options={"template": "host=${smtp.host}\0\n"})
    assert list(target.unsupported(given)) == [("options.template", "cannot hold control characters")]


def test_template_opens_only_what_it_names() -> None:
    target = FILE_TARGETS["template"]
    options = {"template": "host=${smtp.host}\npassword=${smtp.password|json}\n"}
    given = made("template", {"password": PASSWORD}, options, imap=IMAP)
    assert target.secret_paths(given.connector, options) == ("smtp.password",)
    assert target.render("", given) == f"host=smtp.example.com\npassword={json.dumps(PASSWORD, ensure_ascii=False)}\n"
    assert PASSWORD not in str(target.difference("", target.render("", given)))


def test_a_changed_field_changes_only_its_line() -> None:
    for app in ("nullmailer", "monit", "vaultwarden", "env", "json", "yaml"):
        port = "1587" if app == "monit" else "2525"
        fields = {} if app in ("nullmailer",) else FROM
        smtp = {"security": "tls", "port": 465}
        before, after = (rendered(app, {**smtp, "port": each}, **fields).split("\n") for each in (465, int(port)))
        assert len(before) == len(after)
        assert [new for old, new in zip(before, after, strict=True) if old != new] == [
            line for line in after if port in line
        ]


def test_mailman_section_is_read_by_configparser() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(FILE_TARGETS["mailman3"].render("[mta]\nsmtp_host: old\n", made("mailman3", TLS)))
    assert parser["mta"]["smtp_host"] == "smtp.example.com"
    assert parser["mta"]["smtp_pass"] == PASSWORD
