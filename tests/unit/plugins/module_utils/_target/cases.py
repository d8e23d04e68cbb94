# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connector and options for each application, and for each of the forms in which it is written."""

from __future__ import annotations

from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

Declared = dict[str, Any]

SMTP = {"host": "smtp.example.com", "username": "robot@example.com", "password": "swordfish"}
IMAP = {"host": "imap.example.com", "username": "reader@example.com", "password": "another"}
GRAPH = {
    "name": "alerts",
    "graph": {"mailbox": "robot@example.com"},
    "oauth2": {"tenant_id": "t.example.com", "client_id": "app", "client_secret": "swordfish"},
}
BOTH = {"name": "alerts", "smtp": SMTP, "imap": IMAP}
FROM = {**BOTH, "from_address": "robot@example.com"}
TEMPLATE = "${smtp.host} ${smtp.password|json} ${from_name|json} ${imap|json} ${name|raw}"

CASES: dict[str, tuple[str, Declared, dict[str, Any]]] = {
    **{app: (app, BOTH, {}) for app in FILE_TARGETS},
    **{app: (app, FROM, {}) for app in ("alertmanager", "evoluteiq", "gitea", "grafana", "monit")},
    "dma": ("dma", {**BOTH, "smtp": {**SMTP, "validate_certs": False}}, {}),
    "nextcloud": ("nextcloud", {**FROM, "smtp": {**SMTP, "port": 465}}, {}),
    "vaultwarden": ("vaultwarden", FROM, {}),
    "accuknox chart": ("accuknox", BOTH, {"chart": "rinc"}),
    "accuknox sheet": ("accuknox", BOTH, {"format": "sheet"}),
    "evoluteiq graph": (
        "evoluteiq",
        {**GRAPH, "oauth2": {**GRAPH["oauth2"], "username": "robot@example.com", "password": "another"}},  # type: ignore[dict-item]
        {},
    ),
    "fetchmail": ("fetchmail", BOTH, {"local_user": "robot"}),
    "getmail": ("getmail", {**BOTH, "imap": {**IMAP, "ca_file": "/ca.pem"}}, {"maildir": "/srv/mail"}),
    "gitea both": ("gitea", FROM, {"incoming_address": "git+%{token}@example.com"}),
    "gitlab": ("gitlab", {**BOTH, "smtp": {**SMTP, "port": 465}}, {}),
    "gitlab both": (
        "gitlab",
        {**BOTH, "smtp": {**SMTP, "port": 465}},
        {"incoming_address": "git+%{key}@example.com"},
    ),
    "gitlab graph": ("gitlab", GRAPH, {}),
    "grafana environment": ("grafana", FROM, {"format": "env"}),
    "json graph": ("json", GRAPH, {}),
    "kianda": ("kianda", {**BOTH, "smtp": {**SMTP, "port": 465}}, {}),
    "mbsync": ("mbsync", BOTH, {"maildir": "/srv/mail"}),
    "privilege_manager": (
        "privilege_manager",
        {**BOTH, "smtp": {"host": "smtp.example.com"}},
        {"leave_out": ["smtp.security"]},
    ),
    "template": ("template", BOTH, {"template": TEMPLATE}),
    "template graph": ("template", GRAPH, {"template": "${graph.url|raw}"}),
}
