# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Settings sheets: Markdown for products without an API, with their own fields in the order of their page."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Union

from ..._connector.resolved import ResolvedConnector
from ..interface import NOTICE, Account, FileTarget, own_file

_BACKTICKS = re.compile("`+")


class SecretReference(str):
    """The path of a secret that is to be entered, in place of its value."""

    __slots__ = ()


SheetValue = Union[str, int, bool, SecretReference]


class Sheet(FileTarget):
    """A product whose settings somebody enters by hand. It shows no secret."""

    title: ClassVar[str]
    mark = f"<!-- {NOTICE} -->\n"
    other_fields: ClassVar[tuple[str, ...]] = ("name", "display_name")
    certificate_checks: ClassVar[tuple[bool, ...]] = (True,)

    def secret_paths(self, _connector: ResolvedConnector, _options: Mapping[str, Any]) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def fields(self, account: Account) -> Iterator[tuple[str, SheetValue]]:
        """The product's fields in the order of its page, each with what to enter."""

    def render(self, _text: str, account: Account) -> str:
        lines = [f"# {self.title}", "", f"Connector {_code(account.name)}.", ""]
        for name, value in self.fields(account):
            if isinstance(value, SecretReference):
                lines.append(f"- **{name}**: the secret {_code(value)} of connector {_code(account.name)}")
            elif isinstance(value, bool):
                lines.append(f"- **{name}**: {'yes' if value else 'no'}")
            elif "\n" in str(value):
                fence = "`" * (max((len(run) for run in _BACKTICKS.findall(str(value))), default=2) + 1)
                lines += [f"- **{name}**:", "", *(f"  {line}" for line in (fence, *str(value).split("\n"), fence)), ""]
            else:
                lines.append(f"- **{name}**: {_code(str(value)) if value != '' else '(empty)'}")
        return own_file(self.mark, lines)


def _code(value: str) -> str:
    """A code span, whose fence is longer than any run of backticks in the value."""
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(value)), default=0) + 1)
    # One blank on each side is taken off again where there is one on both.
    needs_blanks = value[:1] in ("`", " ") or value[-1:] in ("`", " ")
    return f"{fence} {value} {fence}" if needs_blanks else f"{fence}{value}{fence}"
