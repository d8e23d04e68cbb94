# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""One connector as its declaration wants it: what is stored, changed by what is declared, and what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable, Union

from .._errors import FieldMessage
from .declaration import Declaration, Settings, given_way, merged
from .effective import Preset, resolve_preset
from .fields import LONGEST_DISPLAY_NAME, split_path
from .plan import Request
from .secret import Secret, changed_secrets
from .secret_destinations import has_use, newly_offered
from .state import SENDING_FIELDS, UNUSED_FIELDS, Connector, Stamp
from .validity import validate, warnings

SameSecret = Callable[[str, Secret], bool]
"""Whether a stored secret, named by its token, is the one that is given."""
IsForeign = Callable[[str], bool]
"""Whether what is stored was sealed for something else, and so counts as not stored."""
Secrets = dict[str, Union[str, Secret]]


_COPY = " (copy)"

_WAY_OF = {
    "oauth2.client_secret": "client_secret",
    "oauth2.certificate": "certificate",
    "oauth2.service_account": "service_account",
}


@dataclass(frozen=True)
class Draft:
    """What comes of a declaration: a connector, or what forbids it. Problems and warnings are told by field."""

    connector: Connector | None
    """With its next revision, or the stored one itself where nothing differs."""
    problems: tuple[FieldMessage, ...] = ()
    warnings: tuple[FieldMessage, ...] = ()


@dataclass(frozen=True)
class Drafter:
    """Makes the connectors of one request."""

    request: Request
    stamp: Stamp
    same_secret: SameSecret
    is_foreign: IsForeign

    def draft(self, declaration: Declaration, stored: Connector | None, source: Connector | None) -> Draft:
        """Lay a declaration over the stored connector, or else over a source that is copied."""
        name = self.request.new_name or declaration.name
        base = stored or (replace(source, settings=_as_copied(source.settings)) if source else Connector(name, {}))
        settings = merged(base.settings if self.request.merge else {}, declaration)
        preset = resolve_preset(settings, base.settings, base.preset)
        secrets = {**_not_cleared(base.secrets, declaration, merge=self.request.merge), **declaration.secrets}
        first = stored or Connector(name, {}, {}, {}, 1, 1, self.stamp, self.stamp)
        wanted = _with_content(first, name, settings, preset, secrets)
        resolved = wanted.resolved_settings
        # A kept secret that nothing uses goes, and so may the use of another with it. A given one stays, to be refused.
        while unused := {
            path for path in secrets if path not in declaration.secrets and not has_use(path, resolved, secrets)
        }:
            secrets = {path: secret for path, secret in secrets.items() if path not in unused}
            wanted = _with_content(first, name, settings, preset, secrets)
            resolved = wanted.resolved_settings

        refused: list[FieldMessage] = []
        if stored:
            secrets, refused = self._match_secrets(secrets, stored, wanted, declaration)
        elif source:
            anew = "must be given anew: a duplicate takes no secret along"
            refused = [(path, anew) for path in secrets if path not in declaration.secrets]
        problems = (*validate(settings, resolved, secrets), *refused)
        if problems:
            return Draft(None, problems=problems)

        remarks = tuple(warnings(resolved, declaration, secrets))
        if stored is None:
            return Draft(wanted, warnings=remarks)
        if wanted is stored and not changed_secrets(stored.secrets, secrets):
            return Draft(stored, warnings=remarks)
        revision = stored.revision + 1
        sending_revision = revision if _sends_differently(stored, secrets, resolved) else stored.sending_revision
        next_one = replace(
            wanted, secrets=secrets, revision=revision, sending_revision=sending_revision, updated=self.stamp
        )
        return Draft(next_one, warnings=remarks)

    def _match_secrets(
        self, secrets: Secrets, stored: Connector, wanted: Connector, declaration: Declaration
    ) -> tuple[Secrets, list[FieldMessage]]:
        """The secrets, each as it is stored where nothing else is given.

        Refused are those that are not given, but not this connector's own or about to be offered to a new place.
        """
        on_create = self.request.update_password == "on_create"
        matched, foreign, offered = dict(secrets), [], []
        for path in [path for path in secrets if path in stored.secrets]:
            token, given = str(stored.secrets[path]), declaration.secrets.get(path)
            before, after = stored.resolved_settings, wanted.resolved_settings
            moved = [] if wanted is stored else newly_offered(path, before, after)
            if given is None and self.is_foreign(token):
                reason = "since what is stored was sealed for another place or changed from outside"
                foreign.append((path, f"must be given again, {reason}"))
            elif given is None and moved:
                reason = f"since {', '.join(moved)} changes: a stored secret never goes to a new place"
                offered.append((path, f"must be given again, {reason}"))
            elif given and ((on_create and not moved and not self.is_foreign(token)) or self.same_secret(token, given)):
                matched[path] = token
        return matched, [*foreign, *offered]


def _with_content(connector: Connector, name: str, settings: Settings, preset: Preset, secrets: Secrets) -> Connector:
    """The connector with this content; itself, resolved already, where nothing but the value of a secret differs."""
    if (
        connector.name == name
        and connector.secrets.keys() == secrets.keys()
        and connector.settings == settings
        and connector.preset == preset
    ):
        return connector
    return replace(connector, name=name, settings=settings, preset=preset, secrets=secrets)


def _sends_differently(stored: Connector, secrets: Secrets, resolved: Mapping[str, Any]) -> bool:
    if any(_used(name, stored.resolved_settings) != _used(name, resolved) for name in SENDING_FIELDS):
        return True
    shares_imap = resolved.get("smtp", {}).get("same_credentials", False)
    changed = changed_secrets(stored.secrets, secrets)
    return any(not path.startswith("imap.") or (shares_imap and path == "imap.password") for path in changed)


def _used(name: str, resolved: Mapping[str, Any]) -> Any:
    """A field as sending depends on it."""
    value, unused = resolved.get(name), UNUSED_FIELDS.get(name, ())
    return {key: inner for key, inner in value.items() if key not in unused} if unused and value else value


def _as_copied(settings: Settings) -> Settings:
    """The settings of a source as its duplicate takes them over; it is not shown under the same name."""
    display_name = settings.get("display_name")
    if display_name is None:
        return settings
    return {**settings, "display_name": display_name[: LONGEST_DISPLAY_NAME - len(_COPY)].rstrip() + _COPY}


def _not_cleared(secrets: Mapping[str, str | Secret], declaration: Declaration, *, merge: bool) -> Secrets:
    way = given_way(declaration)
    cleared = declaration.cleared if merge else frozenset()
    return {
        path: secret
        for path, secret in secrets.items()
        if path not in cleared and split_path(path)[0] not in cleared and not (way and _WAY_OF.get(path, way) != way)
    }
