# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Generic targets: a connector as a file that any program can read, under names that do not change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..._connector.fields import BY_PATH, SECRETS
from ..._connector.resolved import Protocol, ResolvedConnector
from ..._errors import FieldMessage
from ..formats import env, template, yaml
from ..interface import MARK, NOTICE, Account, FileTarget, Option, own_file
from ..tree import BLOCKS, SECRET_NAMES, flatten, secret_paths, tree_of

_SECRETS = "|".join(SECRET_NAMES)
_LINE_BREAK = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


class Generic(FileTarget):
    """A target that can express every field."""

    protocols: tuple[Protocol, ...] = ("smtp", "imap", "graph")  # type: ignore[misc]
    securities = ("none", "starttls_optional", "starttls", "tls")
    supported_features = frozenset(
        [
            *("from_address", "from_name", "reply_to", "errors_to", "cc", "bcc", "headers", "imap.mailbox"),
            *("smtp.ehlo_name", "graph.proxy", "graph.ca_file"),
            *(f"{block}.{name}" for block in ("smtp", "imap") for name in ("mechanisms", "ca_file", "client_cert")),
            *("smtp.proxy", "imap.proxy"),
        ]
    )
    other_fields: ClassVar[tuple[str, ...]] = ("name", "display_name", "signature")
    forbidden = re.compile("\0")

    def read_paths(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(sorted({*super().read_paths(connector, options), *SECRETS}))

    def secret_paths(self, connector: ResolvedConnector, _options: Mapping[str, Any]) -> tuple[str, ...]:
        return secret_paths(connector)


class Json(Generic):
    """JSON, an object whose members are the connector's fields."""

    name = "json"
    mark = f'{{\n  "written_by": "{NOTICE}",\n'
    secret = re.compile(rf'^( +"(?:{_SECRETS})": )(?!null).*$', re.MULTILINE)

    def render(self, _text: str, account: Account) -> str:
        return json.dumps({"written_by": NOTICE, **tree_of(account.connector)}, indent=2, ensure_ascii=False) + "\n"


class Yaml(Generic):
    """YAML, a mapping whose keys are the connector's fields."""

    name = "yaml"
    secret = re.compile(rf"^( +(?:{_SECRETS}): )(?!null).*$", re.MULTILINE)

    def render(self, _text: str, account: Account) -> str:
        return own_file(MARK, yaml.document(tree_of(account.connector)))


class Env(Generic):
    """Assignments for a shell or systemd, named as the fields are: MAILROOM_SMTP_HOST."""

    name = "env"
    other_fields = ("name", "display_name")
    options = (Option("prefix"),)
    secret = re.compile(rf"^(\w*(?:{_SECRETS.upper()})=)(?!'').*$", re.MULTILINE)

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", _prefix(account)):
            yield "options.prefix", "must be letters, digits and underscores, and not begin with a digit"
        for path, value in flatten(tree_of(account.connector)):
            if path != "signature" and _LINE_BREAK.search(_env_text(value)):
                yield path, "cannot hold a line break or another control character in env"

    def render(self, _text: str, account: Account) -> str:
        values = {
            _prefix(account) + path.replace(".", "_").upper(): _env_text(value)
            for path, value in flatten(tree_of(account.connector))
            if path != "signature"
        }
        return own_file(MARK, env.lines(values))


def _prefix(account: Account) -> str:
    given = account.options.get("prefix")
    return "MAILROOM_" if given is None else str(given)


def _env_text(value: Any) -> str:
    """A list is separated by commas, a dictionary is JSON, nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return ",".join(value) if isinstance(value, list) else str(value)


class Template(Generic):
    """The text of options.template, with ${smtp.host} and other fields filled in."""

    name = "template"
    mark = ""
    options = (Option("template", is_required=True),)

    def secret_paths(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[str, ...]:
        named = set(template.placeholders(options.get("template") or ""))
        if connector.smtp and connector.smtp.same_credentials and "smtp.password" in named:
            named.add("imap.password")
        # A block that is written as a whole has all of its secrets.
        return tuple(path for path in secret_paths(connector) if path in named or path.partition(".")[0] in named)

    def read_paths(self, connector: ResolvedConnector, options: Mapping[str, Any]) -> tuple[str, ...]:
        named = set(template.placeholders(options.get("template") or ""))
        paths = {path for path in ("name", *BY_PATH) if path in named or path.partition(".")[0] in named} - {*BLOCKS}
        if "smtp.password" in paths:
            paths.add("smtp.same_credentials")
        if "graph.url" in paths:
            paths.add("oauth2.cloud")
        return tuple(sorted({*paths, *self.secret_paths(connector, options)}))

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from template.problems(account.options.get("template") or "", _fields(account), _LINE_BREAK)

    def render(self, _text: str, account: Account) -> str:
        return template.fill_template(account.options["template"], _fields(account))

    def difference(self, before: str, after: str) -> tuple[str, str]:
        # Where its secrets are only the template's author knows.
        return "(not shown)\n" if before else "", "(changed)\n" if before != after else "(not shown)\n"


def _fields(account: Account) -> dict[str, Any]:
    """Every field by its path, and each block that there is as a whole."""
    tree = tree_of(account.connector)
    return {**dict(flatten(tree)), **{block: tree[block] for block in BLOCKS if tree[block] is not None}}
