# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What answers instead, where no encrypted connection came about: the other usual ports of the host, tried without
credentials.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from .._connector.domain import canonical
from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint, Protocol, Security
from .._net.clock import Clock
from .._net.record import Record
from .._protocol.session import MailSession
from .._verdict.diagnosis import diagnose
from .._verdict.observation import Observation, PhaseName, ProbeError


class Pair(NamedTuple):
    """A port, and the encryption that is usual there."""

    port: int
    security: Security


USUAL_PAIRS: Mapping[Protocol, tuple[Pair, ...]] = {
    "smtp": (Pair(465, "tls"), Pair(587, "starttls"), Pair(25, "starttls")),
    "imap": (Pair(993, "tls"), Pair(143, "starttls")),
}

_UP_TO_ENCRYPTION: frozenset[PhaseName | Literal[""]] = frozenset(
    ("tcp", "greeting", "ehlo", "capability", "starttls", "tls")
)
_NO_CONNECTION = frozenset(("connect_refused", "connect_timeout", "connect_unreachable"))
_NO_ENCRYPTION = frozenset(
    ("connection_reset", "greeting_timeout", "protocol_error", "starttls_refused", "tls_timeout", "response_timeout")
)
_ANYWHERE = frozenset(("security_mismatch", "starttls_missing"))


def is_worth_trying(observation: Observation) -> bool:
    """Whether another port may work where this one failed."""
    verdict = diagnose(observation).verdict
    if observation.phase not in _UP_TO_ENCRYPTION:
        return verdict in _ANYWHERE
    return observation.kind == "proxy_target" or verdict in _ANYWHERE | _NO_CONNECTION | _NO_ENCRYPTION


class TriedPairs(NamedTuple):
    """The pairs that were tried, and those of them that answered."""

    pairs: tuple[Pair, ...] = ()
    answered: tuple[Pair, ...] = ()


class Alternatives:
    """The probes of other usual ports in a task: each host is probed once, and all its ports share one timeout."""

    def __init__(self, timeout: float, usual: Mapping[Protocol, Sequence[Pair]] | None = None) -> None:
        self._timeout = timeout
        self._usual = USUAL_PAIRS if usual is None else usual
        self._lock = threading.Lock()
        self._hosts: dict[tuple[Any, ...], _Host] = {}

    def probe(
        self, endpoint: Endpoint, observation: Observation, session_type: type[MailSession], seconds: float
    ) -> TriedPairs:
        """Find the other usual ports of a failed endpoint that answer within this time."""
        has_connection = diagnose(observation).verdict not in _NO_CONNECTION and observation.kind != "proxy_target"
        wanted = [
            pair
            for pair in self._usual.get(endpoint.protocol, ())
            if (pair != (endpoint.port, endpoint.security) if has_connection else pair.port != endpoint.port)
        ]
        if not wanted or seconds <= 0:
            return TriedPairs()
        trust = replace(endpoint.trust, client_cert="", client_key="")
        key = (endpoint.protocol, canonical(endpoint.host).rstrip("."), endpoint.proxy, trust)
        with self._lock:
            host = self._hosts.get(key)
            is_first = host is None
            if host is None:
                host = self._hosts[key] = _Host()
        if is_first:
            anonymous = replace(endpoint, trust=trust, auth="none", username="", password=None, mechanisms=())
            host.probe(anonymous, wanted, session_type, min(self._timeout, seconds))
        with suppress(ProbeError):
            Clock(seconds, self._timeout).wait_for(lambda: host.is_done)
        tried, answered = (tuple(pair for pair in found if pair in wanted) for found in (host.tried, host.answered))
        return TriedPairs(tried, answered)


class _Host:
    """The probes of one host."""

    def __init__(self) -> None:
        self.is_done = False
        self.tried: tuple[Pair, ...] = ()
        self.answered: tuple[Pair, ...] = ()

    def probe(self, endpoint: Endpoint, pairs: Sequence[Pair], session_type: type[MailSession], seconds: float) -> None:
        """Try all pairs side by side, in daemon threads, so that the task never waits for one that hangs."""
        answers: dict[Pair, bool] = {}

        def try_pair(pair: Pair) -> None:
            answers[pair] = _answers(replace(endpoint, **pair._asdict()), session_type, seconds)

        clock = Clock(seconds, seconds)
        tried = []
        try:
            for pair in pairs:
                threading.Thread(target=try_pair, args=(pair,), daemon=True, name=f"port {pair.port}").start()
                tried.append(pair)
            clock.wait_for(lambda: len(answers) == len(tried))
        except (RuntimeError, ProbeError):
            pass  # no more threads, or no more time: what is known by now counts
        finally:
            self.tried, self.answered = tuple(tried), tuple(pair for pair in tried if answers.get(pair))
            self.is_done = True


def _answers(endpoint: Endpoint, session_type: type[MailSession], seconds: float) -> bool:
    """Whether an encrypted conversation can be opened there."""
    session = session_type(endpoint, Clock(seconds, seconds), Record(endpoint.protocol), Redaction())
    try:
        session.negotiate()
        session.quit()
    except Exception:  # noqa: BLE001  any failure means that this pair is no alternative
        return False
    finally:
        session.close()
    return session.is_encrypted


def advice(host: str, tried: TriedPairs) -> str:
    """The sentence about other ports at the end of a remedy."""
    if tried.answered:
        which = ", ".join(f"port {pair.port} with security {pair.security}" for pair in tried.answered)
        return f"What answers on {host} instead: {which}."
    if tried.pairs:
        ports = ", ".join(str(pair.port) for pair in tried.pairs)
        return f"The other usual ports of {host} were tried and do not answer either: {ports}."
    return ""
