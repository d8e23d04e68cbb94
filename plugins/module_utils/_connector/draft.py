# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Applies one declaration to a stored connector, and validates the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Callable, NamedTuple, Union

from .._errors import FieldMessage
from .declaration import Declaration, declared_client_credential, merge_declaration
from .effective import Preset, resolve_preset
from .fields import MAX_DISPLAY_NAME_LENGTH, Settings, split_path
from .plan import Request
from .secret import Secret, changed_secrets
from .secret_destinations import fields_with_new_destination, is_used
from .state import SENDING_FIELDS, UNUSED_FIELDS, Connector, Stamp
from .validity import validate, warnings

SameSecret = Callable[[str, Secret], bool]
"""Whether the stored secret of a token has the given value."""
IsForeign = Callable[[str], bool]
"""Whether the secret of a token was sealed for something else, and so counts as not stored."""
Secrets = dict[str, Union[str, Secret]]


_COPY_SUFFIX = " (copy)"

_CREDENTIAL_OF_SECRET = {
    "oauth2.client_secret": "client_secret",
    "oauth2.certificate": "certificate",
    "oauth2.service_account": "service_account",
}


class Draft(NamedTuple):
    """The result of a declaration: a connector, or the problems by field; and warnings by field."""

    connector: Connector | None
    """The next revision, or the stored connector itself where nothing differs."""
    problems: tuple[FieldMessage, ...] = ()
    warnings: tuple[FieldMessage, ...] = ()


class Drafter(NamedTuple):
    """Creates the drafts for one request."""

    request: Request
    stamp: Stamp
    same_secret: SameSecret
    is_foreign: IsForeign

    def draft(self, declaration: Declaration, stored: Connector | None, source: Connector | None) -> Draft:
        """Apply a declaration to the stored connector, or else to the source of a duplicate."""
        name = self.request.new_name or declaration.name
        base = stored or (
            replace(source, settings=_settings_for_duplicate(source.settings)) if source else Connector(name, {})
        )
        settings = merge_declaration(base.settings if self.request.merge else {}, declaration)
        preset = resolve_preset(settings, base.settings, base.preset)
        secrets = {**_drop_cleared_secrets(base.secrets, declaration, merge=self.request.merge), **declaration.secrets}
        first = stored or Connector(name, {}, {}, {}, 1, 1, self.stamp, self.stamp)
        wanted = _replace_content(first, name, settings, preset, secrets)
        resolved = wanted.effective_settings
        # A stored secret without a use is dropped, which may end the use of another. A given one is kept and refused.
        while unused := {
            path for path in secrets if path not in declaration.secrets and not is_used(path, resolved, secrets)
        }:
            secrets = {path: secret for path, secret in secrets.items() if path not in unused}
            wanted = _replace_content(first, name, settings, preset, secrets)
            resolved = wanted.effective_settings

        missing: list[FieldMessage] = []
        if stored:
            secrets, missing = self._match_secrets(secrets, stored, wanted, declaration)
        elif source:
            message = "must be given: secrets are not copied to a duplicate"
            missing = [(path, message) for path in secrets if path not in declaration.secrets]
        problems = (*validate(settings, resolved, secrets, declaration.cleared), *missing)
        if problems:
            return Draft(None, problems=problems)

        found_warnings = tuple(warnings(resolved, declaration, secrets))
        if stored is None:
            return Draft(wanted, warnings=found_warnings)
        if wanted is stored and not changed_secrets(stored.secrets, secrets):
            return Draft(stored, warnings=found_warnings)
        revision = stored.revision + 1
        sending_revision = revision if _changes_sending(stored, secrets, resolved) else stored.sending_revision
        next_one = replace(
            wanted, secrets=secrets, revision=revision, sending_revision=sending_revision, updated=self.stamp
        )
        return Draft(next_one, warnings=found_warnings)

    def _match_secrets(
        self, secrets: Secrets, stored: Connector, wanted: Connector, declaration: Declaration
    ) -> tuple[Secrets, list[FieldMessage]]:
        """Replace given secrets by their tokens where they are stored already.

        A secret that is not given is refused where it is foreign, or would be offered to a new destination.
        """
        on_create = self.request.update_password == "on_create"
        matched, foreign, offered = dict(secrets), [], []
        for path in [path for path in secrets if path in stored.secrets]:
            token, given = str(stored.secrets[path]), declaration.secrets.get(path)
            before, after = stored.effective_settings, wanted.effective_settings
            moved = [] if wanted is stored else fields_with_new_destination(path, before, after)
            if given is None and self.is_foreign(token):
                reason = "since the stored secret was sealed for another destination or changed from outside"
                foreign.append((path, f"must be given again, {reason}"))
            elif given is None and moved:
                reason = f"since {', '.join(moved)} changes: a stored secret is never sent to a new destination"
                offered.append((path, f"must be given again, {reason}"))
            elif given and ((on_create and not moved and not self.is_foreign(token)) or self.same_secret(token, given)):
                matched[path] = token
        return matched, [*foreign, *offered]


def _replace_content(
    connector: Connector, name: str, settings: Settings, preset: Preset, secrets: Secrets
) -> Connector:
    """The connector with this content; the same object, with its cache, where only values of secrets differ."""
    if (
        connector.name == name
        and connector.secrets.keys() == secrets.keys()
        and connector.settings == settings
        and connector.preset == preset
    ):
        return connector
    return replace(connector, name=name, settings=settings, preset=preset, secrets=secrets)


def _changes_sending(stored: Connector, secrets: Secrets, resolved: Mapping[str, Any]) -> bool:
    if any(
        _sending_value(name, stored.effective_settings) != _sending_value(name, resolved) for name in SENDING_FIELDS
    ):
        return True
    shares_imap = resolved.get("smtp", {}).get("same_credentials", False)
    changed = changed_secrets(stored.secrets, secrets)
    return any(not path.startswith("imap.") or (shares_imap and path == "imap.password") for path in changed)


def _sending_value(name: str, resolved: Mapping[str, Any]) -> Any:
    """The part of a field that sending depends on."""
    value, unused = resolved.get(name), UNUSED_FIELDS.get(name, ())
    return {key: inner for key, inner in value.items() if key not in unused} if unused and value else value


def _settings_for_duplicate(settings: Settings) -> Settings:
    """The settings that a duplicate takes over from its source, with another display name."""
    display_name = settings.get("display_name")
    if display_name is None:
        return settings
    return {
        **settings,
        "display_name": display_name[: MAX_DISPLAY_NAME_LENGTH - len(_COPY_SUFFIX)].rstrip() + _COPY_SUFFIX,
    }


def _drop_cleared_secrets(secrets: Mapping[str, str | Secret], declaration: Declaration, *, merge: bool) -> Secrets:
    credential = declared_client_credential(declaration)
    cleared = declaration.cleared if merge else frozenset()
    return {
        path: secret
        for path, secret in secrets.items()
        if path not in cleared
        and split_path(path)[0] not in cleared
        and not (credential and _CREDENTIAL_OF_SECRET.get(path, credential) != credential)
    }
