# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Parse the claims of a token, for error messages only: nothing is decided by them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .._connector.redaction import Redaction

SHOWN_CLAIMS = ("aud", "roles", "scp", "idtyp", "appid", "azp", "oid", "tid", "upn", "exp")

_LONGEST_TOKEN = 64 * 1024
_LONGEST_CLAIM = 200
_MOST_VALUES = 30


def parse_claims(token: str, redact: Redaction) -> dict[str, Any]:
    """Parse the claims that may be shown. The signature is not checked: only the server can do that."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST_TOKEN:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    if not isinstance(claims, dict):
        return {}
    kept = {name: _redact_claim(claims[name], redact) for name in SHOWN_CLAIMS if name in claims}
    return {name: value for name, value in kept.items() if value is not None}


def format_claims(claims: Mapping[str, Any]) -> str:
    """Format the claims on one line."""
    parts = [f"{name} {_format_claim(name, claims[name])}" for name in SHOWN_CLAIMS if name in claims]
    return "; ".join(parts)


def _redact_claim(value: Any, redact: Redaction) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return redact.value(value) if abs(value) < 10**15 else None
    if isinstance(value, str):
        return redact(value)[:_LONGEST_CLAIM]
    if isinstance(value, list):
        texts = [each for each in value[:_MOST_VALUES] if isinstance(each, str)]
        return [each[:_LONGEST_CLAIM] for each in redact.lines(texts)]
    return None


def _format_claim(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if name == "exp" and isinstance(value, int):
        try:
            return datetime.fromtimestamp(value, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return str(value)
    return str(value)
