# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of tests, as connector_test returns them."""

from __future__ import annotations

from typing import Any

SERVER = {"protocol": "smtp", "host": "smtp.example.com", "port": 465}


def result(name: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    phase = {"phase": "tls", "status": "fail" if status == "fail" else "ok", "ms": 1.0}
    return {
        "connector": name,
        "status": status,
        "verdict": "tls_name_mismatch" if status == "fail" else "ok",
        "certainty": "certain",
        "remedy": "Set host to mail.example.com." if status == "fail" else "",
        "warnings": [{"code": "certificate_ends", "text": "It ends in 3 days."}] if status == "warn" else [],
        "elapsed_ms": 212.4,
        "endpoints": [{**SERVER, "phases": [phase]}],
        **more,
    }
