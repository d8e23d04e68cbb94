# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the applications start from: connectors, and the texts that files must carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._connector.checks import run_check, user_name
from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import resolve_connector
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import Account, FileTarget, account_of

# Each example starts a program.
bounded = settings(max_examples=settings().max_examples * 30 // 100, deadline=None, derandomize=True, database=None)

SMTP = {"host": "smtp.example.com", "username": "robot@example.com", "password": "Rumpelstilzchen-7f3a9c51e2"}

_SPECIAL = st.sampled_from("#;\"'\\:%$`{}[]()<>&|*?!~=,@ \t\x0b\r\x7fé→😀\u00a0\u2028")
passwords = st.text(_SPECIAL | st.characters(codec="utf-8", exclude_characters="\0\n"), min_size=1, max_size=40)
"""What no file format makes impossible: everything but a line break."""

usernames = st.text(
    st.sampled_from("#;\"'\\%$`{}[]()<>&|*?!~=,@ é→😀") | st.characters(codec="utf-8", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=40,
).filter(lambda name: name.strip() and not run_check(user_name, name, "", ""))

lines = st.sampled_from(
    ["", " ", "# a comment", "  # another", "other = $value", "other =", "  and more", "relayhost=x"]
)
texts = st.lists(lines).map("\n".join)


def connector(smtp: dict[str, Any] | None = None, **fields: Any) -> Connector:
    """A connector that sends as the robot, unless `smtp` says otherwise; what is given as None is left out."""
    block = {key: value for key, value in {**SMTP, **(smtp or {})}.items() if value is not None}
    sends = {} if "graph" in fields else {"smtp": block}
    declaration, problems = parse_declaration({"name": "alerts", **sends, **fields})
    if problems:
        raise ValueError([str(problem) for problem in problems])
    return Connector(declaration.name, declaration.settings, {}, declaration.secrets)


def account(
    target: FileTarget,
    smtp: dict[str, Any] | None = None,
    *,
    password_file: str = "",
    options: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Account:
    """What an application gets of it."""
    made = connector(smtp, **fields)
    resolved = resolve_connector(made, made.secrets)  # type: ignore[arg-type]
    return account_of(resolved, target, options or {}, password_file)


def refused(application: FileTarget, account: Account) -> list[str]:
    """The fields that an application refuses."""
    return [field for field, _what in application.unsupported(account)]
