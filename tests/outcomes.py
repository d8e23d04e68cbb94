# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts say about their connectors, made up, as the reports take it; with some of everything that goes wrong."""

from __future__ import annotations

import hashlib
import random
from datetime import datetime, timedelta, timezone
from typing import Any

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=timezone.utc)
HOSTILE = (
    "</td></table><script>alert(1)</script><img src=x onerror=alert(2)> \u202e ]]> | `# @all [x](javascript:alert(3))"
    " \x1b[31m\x00\r\n"
)
REFUSED = "Give the password that the server accepts: the server refused the sign-in, and said: authentication failed."
OTHER_NAME = "Set host to a name that the certificate is issued for: mail.example.net."
SILENT = "Nothing answers at this port; a firewall may drop packets from this host. Port 465 with tls answers instead."
FORBIDDEN = f"The server relays no mail for this sender, and said: {HOSTILE}"
FAILURES: dict[str, tuple[str, str | None, int | None, str, str]] = {
    "auth_rejected": ("auth", "smtp.password", 535, "5.7.8", REFUSED),
    "tls_name_mismatch": ("tls", "smtp.host", None, "", OTHER_NAME),
    "connect_timeout": ("tcp", "smtp.port", None, "", SILENT),
    "relay_denied": ("recipient", "smtp.relay", 554, "5.7.1", FORBIDDEN),
}
NONE: tuple[str, str | None, int | None, str, str] = ("", None, None, "", "")
PHASES = ("config", "dns", "tcp", "greeting", "ehlo", "starttls", "tls", "ehlo", "auth", "sender", "recipient")


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def outcomes(hosts: int, connectors: int, *, seed: int = 1) -> dict[str, dict[str, Any]]:
    """Each host has its share of so many connectors."""
    chance = random.Random(seed)
    made: dict[str, dict[str, Any]] = {}
    for number in range(hosts):
        names = [f"connector_{each:04}" for each in range(number, connectors, hosts)]
        pairs = [_outcome(name, chance) for name in names]
        made[f"mail{number + 1:02}.example.com"] = {
            "environments": [("production", "staging", "test")[number % 3]],
            "results": [result for result, _about in pairs],
            "connectors": [about for _result, about in pairs],
        }
    return made


def _outcome(name: str, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    verdict = chance.choice(list(FAILURES)) if chance.random() < 0.03 else "ok"
    server = chance.randint(1, 12)
    days = 9 if server == 12 else 20 + 13 * server
    smtp = _endpoint("smtp", server, days, chance, verdict)
    endpoints = [smtp]
    if chance.random() < 0.3:
        endpoints.append(_endpoint("imap", server, days, chance, "ok"))
    text = f"the certificate of {smtp['host']} ends in {days} days"
    warnings = [{"code": "certificate_expires", "text": text}] if days < 14 and smtp["tls"] and verdict == "ok" else []
    status = "fail" if verdict != "ok" else "warn" if warnings else "ok"
    _phase, field, _code, _enhanced, remedy = FAILURES.get(verdict, NONE)
    elapsed = round(sum(phase["ms"] for endpoint in endpoints for phase in endpoint["phases"]))
    result = {
        "connector": name,
        "status": status,
        "verdict": verdict,
        "field": field,
        "certainty": "certain" if verdict != "connect_timeout" else "likely",
        "remedy": remedy,
        "warnings": warnings,
        "alternatives": [{"protocol": "smtp", "port": 465, "security": "tls"}] if verdict == "connect_timeout" else [],
        "depth": "envelope",
        "elapsed_ms": elapsed,
        "endpoints": endpoints,
    }
    return result, _stored(name, status, verdict, elapsed, chance, has_imap=len(endpoints) > 1)


def _endpoint(protocol: str, server: int, days: int, chance: random.Random, verdict: str) -> dict[str, Any]:
    host, port = f"{protocol}{server}.example.com", 587 if protocol == "smtp" else 993
    failing, _field, code, enhanced, remedy = FAILURES.get(verdict, NONE)
    names = (
        PHASES if protocol == "smtp" else ("config", "dns", "tcp", "tls", "greeting", "capability", "auth", "select")
    )
    phases: list[dict[str, Any]] = []
    for name in names:
        if phases and phases[-1]["status"] in ("fail", "skipped"):
            phases.append({"phase": name, "status": "skipped", "ms": 0.0})
        elif name == failing:
            reply = {"code": code, "enhanced": enhanced, "text": remedy} if code else {}
            phases.append({"phase": name, "status": "fail", "ms": round(chance.uniform(5, 60), 1), **reply})
        else:
            ms = 0.0 if name == "config" else round(chance.expovariate(1 / 18) + 0.4, 1)
            phases.append({"phase": name, "status": "ok", "ms": ms})
    reached = [phase["phase"] for phase in phases if phase["status"] == "ok"]
    end = NOW + timedelta(days=days, hours=5)
    tls = {
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "subject": f"CN={host}",
        "issuer": "CN=R11,O=Let's Encrypt,C=US",
        "names": [host, host.replace("smtp", "mail")],
        "not_after": iso(end),
        "days_left": days,
        "fingerprint_sha256": hashlib.sha256(host.encode()).hexdigest(),
    }
    offers = ["PIPELINING", "SIZE 52428800", "ETRN", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"]
    return {
        "protocol": protocol,
        "host": host,
        "port": port,
        "address": f"192.0.2.{chance.randint(1, 250)}",
        "phases": phases,
        "tls": tls if "tls" in reached else None,
        "capabilities": {"before_tls": [*offers, "STARTTLS"], "after_tls": [*offers, "AUTH PLAIN LOGIN XOAUTH2"]},
        "message": None,
    }


def _stored(name: str, status: str, verdict: str, ms: int, chance: random.Random, *, has_imap: bool) -> dict[str, Any]:
    failures = chance.choice((1, 2, 5)) if status == "fail" else 0
    runs = []
    for nights in range(30):
        failed = nights < failures or (failures == 0 and chance.random() < 0.01)
        runs.append(
            {
                "at": iso(NOW - timedelta(days=nights)),
                "host": "mail",
                "status": "fail" if failed else status if not nights else "ok",
                "verdict": verdict if failed else "ok",
                "ms": ms if not nights else round(ms * chance.uniform(0.7, 1.4)),
            }
        )
    since = NOW - timedelta(days=failures - 1 if failures else chance.randint(5, 200))
    application = {
        "app": "postfix",
        "place": "/etc/postfix/main.cf",
        "host": "mx1",
        "purpose": "alerts",
        "tenant": None,
    }
    uses = chance.random() < 0.4
    return {
        "name": name,
        "display_name": f"Connector {name[-4:].lstrip('0') or '0'}",
        "purposes": ["alerts"] if name.endswith("00") else [],
        "is_default": name.endswith("0000"),
        "smtp": {"host": "smtp.example.com"},
        "imap": {"host": "imap.example.com"} if has_imap else None,
        "oauth2": {"client_secret_expires": iso(NOW + timedelta(days=40))[:10]} if name.endswith("07") else None,
        "applications": [{**application, "written_at": iso(NOW - timedelta(days=9)), "current": chance.random() > 0.02}]
        * uses,
        "health": {
            "status": "fail" if status == "fail" else "ok",
            "verdict": verdict,
            "since": iso(since),
            "checked_at": iso(NOW),
            "last_ok_at": iso(NOW - timedelta(days=failures)),
            "failures_in_a_row": failures,
            "expires": None,
            "host": "mail",
            "runs": runs,
        },
    }
