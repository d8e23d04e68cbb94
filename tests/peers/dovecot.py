# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Dovecot is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from peers import net
from peers.ca import Certificate, CertificateZoo
from peers.tokens import MAIL
from peers.users import USERS, User

OWNER = "mail"  # the system's user who owns the mail
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
TOKEN_MECHANISMS = ("XOAUTH2", "OAUTHBEARER")


@dataclasses.dataclass(frozen=True)
class Variant:
    """Other settings of TLS; Dovecot tells them by the address that it is reached at."""

    name: str
    certificate: str = "good"
    settings: str = ""


SPECIAL = (
    Variant("starttls_required"),  # not from the server's own address, so no sign-in before STARTTLS
    Variant("no_starttls", settings="ssl = no\n  disable_plaintext_auth = no"),
)
VARIANTS = (*SPECIAL, *(Variant(name, name) for name in CertificateZoo.SERVERS if name != "good"))
# The ports through which variants are reached, and the listener behind each.
ENTRANCES = {
    **{f"imap_{variant.name}": (variant, "imap") for variant in VARIANTS},
    **{f"imaps_{variant.name}": (variant, "imaps") for variant in VARIANTS if variant not in SPECIAL},
}


def address_of(variant: Variant) -> str:
    """The loopback address where Dovecot behaves in this way."""
    return f"127.0.1.{VARIANTS.index(variant) + 1}"


def configuration(folder: Path, runtime: Path, ports: Mapping[str, int], zoo: CertificateZoo) -> str:
    """The configuration file; writes those that it mentions."""
    _write_users(runtime)
    mechanisms = " ".join((*MECHANISMS, *TOKEN_MECHANISMS))
    addresses = ["127.0.0.1", *["::1"] * net.has_ipv6(), *map(address_of, VARIANTS)]
    files = {"folder": folder, "runtime": runtime}
    return "".join(
        [
            _MAIN % {**files, "listen": ", ".join(addresses), "owner": OWNER, "mechanisms": mechanisms},
            *(_tokens(service, runtime, ports["introspection"]) for service in MAIL),
            _SERVICES % ports,
            _PLUGINS,
            _certificate(zoo.good),
            *(_local(variant, zoo) for variant in VARIANTS),
        ]
    )


def _write_users(folder: Path) -> None:
    (folder / "denied.acl").write_text("INBOX owner l\n", encoding="utf-8")
    users, scram = (
        [user for user in USERS.values() if not user.scram_only],
        [user for user in USERS.values() if user.scram_only],
    )
    for name, some in {"users": users, "scram-users": scram}.items():
        (folder / name).write_text("".join(map(_passdb, some)), encoding="utf-8")
    rows = (_userdb(user, folder) for user in USERS.values())
    (folder / "homes").write_text("".join(rows), encoding="utf-8")
    program = folder / "fail-temporarily"  # Dovecot runs it to check a password
    program.write_text("#!/bin/sh\nexit 111\n", encoding="utf-8")
    program.chmod(0o755)
    for name in ("users", "scram-users", "homes", "denied.acl"):
        (folder / name).chmod(0o644)


def _passdb(user: User) -> str:
    return f"{user.address}:{{PLAIN}}{user.password}::::::{user.passdb}\n"


def _userdb(user: User, folder: Path) -> str:
    more = user.userdb.removeprefix("userdb_").format(denied_acl=folder / "denied.acl")
    home = ""
    if more.startswith("home="):
        home, more = more.removeprefix("home="), ""
    return f"{user.address}:::::{home}::{'userdb_' if more else ''}{more}\n"


def _tokens(service: str, runtime: Path, port: int) -> str:
    """Who may sign in with a token; Dovecot does not say whom it asks about, so each user has an address of its own."""
    blocks = []
    for user in USERS.values():
        path = runtime / f"tokens-{service}-{user.name}"
        path.write_text(_OAUTH2 % {"port": port, "service": service, "address": user.address}, encoding="utf-8")
        path.chmod(0o644)
        blocks.append(_TOKEN_PASSDB % {"address": user.address, "path": path})
    return f"protocol {service} {{\n{''.join(blocks)}}}\n"


def _local(variant: Variant, zoo: CertificateZoo) -> str:
    inner = f"{_certificate(zoo[variant.certificate])}{variant.settings}"
    return f"local {address_of(variant)} {{\n  {inner}\n}}\n"


def _certificate(certificate: Certificate) -> str:
    return f"ssl_cert = <{certificate.certificate_file}\n  ssl_key = <{certificate.key_file}\n  "


_MAIN = """\
protocols = imap lmtp
listen = %(listen)s
base_dir = %(runtime)s/dovecot
state_dir = %(runtime)s/state
instance_name = %(runtime)s
log_path = %(folder)s/dovecot.log
auth_verbose = yes
default_process_limit = 1000
default_client_limit = 4000
first_valid_uid = 1
first_valid_gid = 1
mail_uid = %(owner)s
mail_gid = %(owner)s
mail_home = %(runtime)s/mail/%%n
mail_location = maildir:~/Maildir
mail_max_userip_connections = 1000
mail_plugins = quota acl
mail_fsync = never
postmaster_address = postmaster@example.com
hostname = localhost
login_greeting = Ready.
ssl = yes
ssl_min_protocol = TLSv1.2
ssl_cipher_list = DEFAULT:@SECLEVEL=0
disable_plaintext_auth = yes
auth_mechanisms = %(mechanisms)s
auth_failure_delay = 0
auth_username_format = %%Lu
passdb {
  driver = checkpassword
  username_filter = broken@example.com
  args = %(runtime)s/fail-temporarily
  result_internalfail = return-fail
}
passdb {
  driver = passwd-file
  args = username_format=%%u %(runtime)s/users
}
passdb {
  driver = passwd-file
  mechanisms = scram-sha-1 scram-sha-256
  args = username_format=%%u %(runtime)s/scram-users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %(runtime)s/homes
}
"""

_TOKEN_PASSDB = """\
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  username_filter = %(address)s
  args = %(path)s
}
"""

_OAUTH2 = """\
introspection_mode = post
introspection_url = http://127.0.0.1:%(port)d/introspect/%(service)s/%(address)s
force_introspection = yes
username_attribute = email
active_attribute = active
active_value = true
scope = mail
timeout_msecs = 3000
max_parallel_connections = 20
openid_configuration_url = https://login.example.com/.well-known/openid-configuration
"""

_SERVICES = """\
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  inet_listener imap {
    port = %(imap)d
  }
  inet_listener imaps {
    port = %(imaps)d
    ssl = yes
  }
}
service auth {
  inet_listener {
    address = 127.0.0.1
    port = %(auth)d
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %(lmtp)d
  }
}
service quota-status {
  executable = quota-status -p postfix
  client_limit = 1
  inet_listener {
    address = 127.0.0.1
    port = %(quota)d
  }
}
"""

_PLUGINS = """\
plugin {
  acl = vfile
  quota = maildir:User quota
  quota_rule = *:storage=10M
  quota_grace = 0
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = "552 5.2.2 Mailbox is full"
}
protocol imap {
  mail_plugins = $mail_plugins imap_quota imap_acl
}
"""
