# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Map errors of the operating system and of the TLS library to observations."""

from __future__ import annotations

import errno
import socket
import ssl

from .._verdict.observation import Kind, Observation

_PLAIN_TEXT_REASONS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)
_ERRNO_KINDS: dict[int, Kind] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.EACCES: "unreachable",
    errno.EPERM: "unreachable",
    errno.EAFNOSUPPORT: "unreachable",
    errno.EINVAL: "unreachable",
    errno.EMFILE: "exhausted",
    errno.ENFILE: "exhausted",
    errno.ENOBUFS: "exhausted",
    errno.ENOMEM: "exhausted",
}
_NOT_FOUND = tuple(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


def observation_from_error(error: OSError) -> Observation:
    """Map an error to an observation."""
    text = str(error.strerror or error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Observation("certificate", code=error.verify_code, text=str(error.verify_message))
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Observation("closed", text="the server closed the connection")
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or ""
        return Observation("speaks_plain" if reason in _PLAIN_TEXT_REASONS else "tls", text=str(reason or text))
    if isinstance(error, socket.gaierror):
        return Observation("not_found" if error.errno in _NOT_FOUND else "name_temporary", text=text)
    if isinstance(error, (TimeoutError, socket.timeout)):
        return Observation("timeout", text="no answer in time")
    return Observation(_ERRNO_KINDS.get(error.errno or 0, "reset"), text=text)
