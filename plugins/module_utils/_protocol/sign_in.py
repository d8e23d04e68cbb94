# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""One attempt to sign in to an SMTP or IMAP server, with the safest mechanism that it offers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from .._auth.mechanism import Mechanism
from .._auth.passwords import BY_PREFERENCE, SENDS_PASSWORD, choose_password_mechanism
from .._auth.refusal import refused_sign_in
from .._auth.tokens import Token
from .._connector.redaction import Redaction
from .._connector.resolved import Endpoint
from .._connector.secret import Secret
from .._net.dial import ascii_host
from .._net.os_errors import observation_from_error
from .._verdict.observation import ProbeError, probe_error


class SignIn:
    """One sign-in: the endpoint, the offered mechanisms, and whether the connection is encrypted."""

    def __init__(self, endpoint: Endpoint, offered: Collection[str], redact: Redaction, *, is_encrypted: bool) -> None:
        self._endpoint = endpoint
        self._offered = offered
        self._redact = redact
        self._is_encrypted = is_encrypted

    def mechanism(self, token: Token | None) -> Mechanism:
        """The safest mechanism that is offered; fails if the connection must be encrypted and is not."""
        endpoint = self._endpoint
        if not self._is_encrypted and endpoint.security != "none":
            raise probe_error("unencrypted", "the connection is not encrypted, so the connector did not sign in")
        if token:
            self._redact.hide(token.secret.reveal())
            from .._auth.oauth import choose_token_mechanism

            with_token = choose_token_mechanism(self._offered, endpoint.mechanisms)
            host = ascii_host(endpoint.host)
            return with_token(endpoint.username, token.secret, host, endpoint.port, redact=self._redact)
        return choose_password_mechanism(self._offered, endpoint.mechanisms)(
            endpoint.username, self.password(), redact=self._redact
        )

    def password(self) -> Secret:
        if self._endpoint.password is None:
            raise probe_error("config", "the sign-in needs a password", field="{sign_in}.password")
        return self._endpoint.password

    @contextmanager
    def attempt(self, mechanism: Mechanism | None) -> Iterator[None]:
        """Sign in with a mechanism, or the LOGIN command if None; errors say whether the credential was refused."""
        try:
            yield
            if mechanism:
                mechanism.verify_server()
        except (ProbeError, OSError) as error:
            observation = error.observation if isinstance(error, ProbeError) else observation_from_error(error)
            was_sent = mechanism is None or mechanism.has_used_secret
            refused = refused_sign_in(observation, is_encrypted=self._is_encrypted, was_sent=was_sent)
            observation = mechanism.add_error_details(observation) if mechanism else observation
            raise ProbeError(observation.with_context(refused=refused, facts=self._facts(mechanism))) from error

    def _facts(self, used: Mechanism | None) -> dict[str, Any]:
        """The mechanism, and the others that are offered, without those that send the password unencrypted."""
        if used is None:
            return {"mechanism": "the LOGIN command"}
        others = [
            each.name
            for each in BY_PREFERENCE
            if each.name in self._offered
            and each.name != used.name
            and (self._is_encrypted or each.name not in SENDS_PASSWORD)
            and self._endpoint.auth != "oauth2"
        ]
        return {"mechanism": used.name, "other_mechanisms": others}
