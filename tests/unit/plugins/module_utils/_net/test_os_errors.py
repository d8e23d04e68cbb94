# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import socket
import ssl

from ansible_collections.mailroom.core.plugins.module_utils._net.os_errors import observation_from_error


def _ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something (_ssl.c:1006)")
    error.reason = reason
    return error


def _unverified(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.reason, error.verify_code, error.verify_message = "CERTIFICATE_VERIFY_FAILED", code, message
    return error


def _of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


KINDS: tuple[tuple[OSError, str], ...] = (
    (_of(errno.ECONNREFUSED), "refused"),
    (_of(errno.ECONNRESET), "reset"),
    (_of(errno.ECONNABORTED), "reset"),
    (_of(errno.EPIPE), "reset"),
    (_of(errno.ETIMEDOUT), "timeout"),
    (_of(errno.ENETUNREACH), "unreachable"),
    (_of(errno.EHOSTUNREACH), "unreachable"),
    (_of(errno.EADDRNOTAVAIL), "unreachable"),
    (_of(errno.EACCES), "unreachable"),
    (_of(errno.EIO), "reset"),
    (OSError("without a number"), "reset"),
    (TimeoutError("timed out"), "timeout"),
    (socket.timeout("timed out"), "timeout"),
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "not_found"),
    (socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"), "not_found"),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "name_temporary"),
    (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"), "name_temporary"),
    (_ssl_error("WRONG_VERSION_NUMBER"), "speaks_plain"),
    (_ssl_error("HTTP_REQUEST"), "speaks_plain"),
    (_ssl_error("RECORD_LAYER_FAILURE"), "speaks_plain"),
    (_ssl_error("PACKET_LENGTH_TOO_LONG"), "speaks_plain"),
    (_ssl_error("TLSV1_ALERT_PROTOCOL_VERSION"), "tls"),
    (_ssl_error("UNSUPPORTED_PROTOCOL"), "tls"),
    (_ssl_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), "tls"),
    (_ssl_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls"),
    (ssl.SSLError("without a reason"), "tls"),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "closed"),
    (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), "closed"),
    (_unverified(10, "certificate has expired"), "certificate"),
    (_unverified(62, "Hostname mismatch"), "certificate"),
)


def test_error_of_the_system_or_of_tls_has_its_kind() -> None:
    assert tuple((error, observation_from_error(error).kind) for error, _kind in KINDS) == KINDS


def test_what_openssl_says_of_a_certificate_is_kept() -> None:
    observation = observation_from_error(_unverified(18, "self-signed certificate"))
    assert (observation.code, observation.text) == (18, "self-signed certificate")
