# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from peers import net
from peers.ca import CertificateZoo
from peers.dovecot import MECHANISMS, TOKEN_MECHANISMS
from peers.users import DOMAIN, USERS

QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"),
    *("maildrop", "public", "pid"),
)
SMALL = 10240  # bytes that the port named small accepts


@dataclasses.dataclass(frozen=True)
class Port:
    """A port of Postfix, and the settings by which it differs from the others."""

    name: str
    about: str
    settings: Mapping[str, str]
    certificate: str = "good"


STARTTLS = {"smtpd_tls_security_level": "encrypt"}
OPTIONAL = {"smtpd_tls_security_level": "may", "smtpd_tls_auth_only": "no"}
TLS = {"smtpd_tls_wrappermode": "yes", "smtpd_tls_security_level": "encrypt"}
PLAIN = {"smtpd_tls_security_level": "none", "smtpd_tls_auth_only": "no"}
CLIENT_CERTIFICATE = {"smtpd_tls_req_ccert": "yes", "smtpd_tls_CAfile": "{client_ca}"}
SIGNED_IN = {"smtpd_relay_restrictions": "permit_sasl_authenticated,reject"}
NO_AUTH = {"smtpd_sasl_auth_enable": "no"}

PORTS = (
    Port("submission", "STARTTLS needed, 554 to RCPT before signing in", {**STARTTLS, **SIGNED_IN}),
    Port("smtps", "TLS from the first byte, 554 to RCPT before signing in", {**TLS, **SIGNED_IN}),
    Port("starttls_optional", "STARTTLS offered, signing in possible without it", OPTIONAL),
    Port("auth_after_starttls", "STARTTLS offered, AUTH only after it", {"smtpd_tls_security_level": "may"}),
    Port("no_starttls", "no STARTTLS, AUTH in the clear", PLAIN),
    Port(
        "relay",
        "takes everything from this machine, no AUTH, as on port 25; STARTTLS offered",
        {**OPTIONAL, **NO_AUTH, "smtpd_relay_restrictions": "permit_mynetworks,reject"},
    ),
    Port("no_auth", "own recipients only, no AUTH, no STARTTLS", {**PLAIN, **NO_AUTH}),
    Port(
        "auth_before_mail",
        "530 5.7.0 to MAIL before signing in",
        {
            **STARTTLS,
            "smtpd_delay_reject": "no",
            "smtpd_sender_restrictions": "permit_sasl_authenticated,"
            "check_sender_access static:{{530 5.7.0 Authentication required}}",
        },
    ),
    Port(
        "own_sender",
        "553 5.7.1 to a sender that is not the one who signed in",
        {**STARTTLS, "smtpd_sender_restrictions": "reject_sender_login_mismatch"},
    ),
    Port("small", f"messages up to {SMALL} bytes", {**STARTTLS, "message_size_limit": str(SMALL)}),
    Port("client_cert", "STARTTLS with a client certificate", {**STARTTLS, **CLIENT_CERTIFICATE}),
    Port("client_cert_tls", "TLS with a client certificate", {**TLS, **CLIENT_CERTIFICATE}),
    *(
        Port(
            f"only_{name.lower().replace('-', '_')}", f"AUTH {name} only", {**TLS, "smtpd_sasl_mechanism_filter": name}
        )
        for name in (*MECHANISMS, *TOKEN_MECHANISMS)
    ),
    Port("tls12", "TLS 1.2 only", {**TLS, "smtpd_tls_mandatory_protocols": ">=TLSv1.2,<=TLSv1.2"}),
    Port(
        "tls10",
        "TLS 1.0 only",
        {**TLS, "smtpd_tls_mandatory_protocols": ">=TLSv1,<=TLSv1", "tls_high_cipherlist": "ALL:@SECLEVEL=0"},
    ),
    *(
        Port(f"submission_{name}", f"STARTTLS, certificate {name}", STARTTLS, name)
        for name in CertificateZoo.SERVERS[1:]
    ),
    *(Port(f"smtps_{name}", f"TLS, certificate {name}", TLS, name) for name in CertificateZoo.SERVERS[1:]),
)


def main_cf(folder: Path, runtime: Path, ports: Mapping[str, int], zoo: CertificateZoo) -> str:
    """The settings that all ports share."""
    mailboxes = ", ".join(f"{{{user.address} = {user.name}}}" for user in USERS.values())
    logins = ", ".join(f"{{{user.address} = {user.address}}}" for user in USERS.values())
    values = {"folder": folder, "runtime": runtime, "mailboxes": mailboxes, "logins": logins, "domain": DOMAIN}
    protocols = "all" if net.has_ipv6() else "ipv4"
    return _MAIN % {**values, **ports, "chain": zoo.good.chain_file, "protocols": protocols}


def master_cf(ports: Mapping[str, int], zoo: CertificateZoo) -> str:
    """The services; the ports come last, so that when the last one answers all do."""
    return SERVICES + "".join(_service(port, ports[port.name], zoo) for port in PORTS)


def _service(port: Port, number: int, zoo: CertificateZoo) -> str:
    values = {key: value.format(client_ca=zoo.client_ca_file) for key, value in port.settings.items()}
    values["smtpd_tls_chain_files"] = str(zoo[port.certificate].chain_file)
    values["syslog_name"] = f"postfix/{port.name}"
    options = "".join(f"\n  -o {{ {key} = {value} }}" for key, value in values.items())
    return f"{number} inet n - n - - smtpd{options}\n"


_MAIN = """\
compatibility_level = 3.6
config_directory = %(folder)s
queue_directory = %(runtime)s/queue
data_directory = %(runtime)s/data
maillog_file = %(folder)s/postfix.log
maillog_file_prefixes = /
myhostname = mail.example.com
mydestination =
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = loopback-only
inet_protocols = %(protocols)s
disable_dns_lookups = yes
smtp_host_lookup = native
default_transport = discard:
relay_transport = discard:
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
biff = no
default_process_limit = 400
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_tls_loglevel = 1
smtpd_tls_chain_files = %(chain)s
smtpd_tls_auth_only = yes
tls_high_cipherlist = DEFAULT:@SECLEVEL=0
smtpd_tls_mandatory_ciphers = high
smtpd_tls_ciphers = high
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:%(auth)d
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated,reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:%(quota)d
smtpd_sender_login_maps = inline:{ %(logins)s }
virtual_mailbox_domains = %(domain)s
virtual_mailbox_maps = inline:{ %(mailboxes)s }
virtual_transport = lmtp:inet:127.0.0.1:%(lmtp)d
"""

SERVICES = """\
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""
