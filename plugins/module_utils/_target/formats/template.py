# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Templates: text with ${field|quoting} placeholders. Nothing in them is code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..._errors import FieldMessage
from . import env, ini, literals, yaml

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^{}\n]*)\}|(\$\{)")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


class NotQuotable(ValueError):
    """A value that a format cannot hold; says why, never the value."""


def _xml(value: str) -> str:
    return "".join(_MARKUP.get(char, char) for char in value)


def _python_ini(value: str) -> str:
    problem = ini.python_problem(value)
    if problem:
        raise NotQuotable(problem)
    return value


def _go_ini(value: str) -> str:
    problem = ini.go_problem(value)
    if problem:
        raise NotQuotable(problem)
    return ini.quote_go(value)


_QUOTINGS: Mapping[str, Callable[[str], str]] = {
    "shell": env.quote,
    "ini": _python_ini,
    "go_ini": _go_ini,
    "xml": _xml,
    "url": lambda value: quote(value, safe=""),
    "php": literals.quote_single,
    "ruby": literals.quote_single,
    "raw": str,
}
_OF_ANY_VALUE: Mapping[str, Callable[[Any], str]] = {
    "json": lambda value: json.dumps(value, ensure_ascii=False),
    "yaml": yaml.scalar,
}
QUOTINGS = (*_OF_ANY_VALUE, *_QUOTINGS)


def placeholders(template: str) -> Iterator[str]:
    """The field of each placeholder."""
    for found in _PLACEHOLDER.finditer(template):
        if found[1] is not None:
            yield found[1].partition("|")[0].strip()


def problems(template: str, fields: Mapping[str, Any], control: re.Pattern[str]) -> Iterator[FieldMessage]:
    """Each placeholder that cannot be filled, by its line, and why; never what it would hold."""
    for found in _PLACEHOLDER.finditer(template):
        line = f"line {template.count(chr(10), 0, found.start()) + 1}"
        if found[2]:
            yield "options.template", f"{line}: ${{ begins no placeholder; write $${{ for the characters"
        elif found[1] is not None:
            field, _bar, quoting = (part.strip() for part in found[1].partition("|"))
            shown = f"{line}: ${{{field}}}" if field in fields else line
            problem = _problem(field, quoting, fields, control)
            if problem:
                yield "options.template", f"{shown}: {problem}"


def _problem(field: str, quoting: str, fields: Mapping[str, Any], control: re.Pattern[str]) -> str:
    value = fields.get(field)
    problem = ""
    if field not in fields:
        problem = f"there is no such field; the fields are {', '.join(fields)}"
    elif not quoting and not (isinstance(value, (bool, int)) or field.endswith((".host", ".port"))):
        problem = f"name how it is quoted, as in ${{{field}|json}}: {', '.join(QUOTINGS)}"
    elif quoting and quoting not in QUOTINGS:
        problem = f"the quoting must be one of {', '.join(QUOTINGS)}"
    elif quoting not in _OF_ANY_VALUE:
        problem = _unquotable(value, quoting, control)
    return problem


def _unquotable(value: Any, quoting: str, control: re.Pattern[str]) -> str:
    if isinstance(value, (Mapping, tuple, list)):
        return "holds more than one value: only json and yaml can write it"
    if control.search(_text(value)):
        return "holds a line break or another control character: only json and yaml can write it"
    try:
        _QUOTINGS[quoting or "raw"](_text(value))
    except NotQuotable as error:
        return f"{error} in {quoting}"
    return ""


def fill_template(template: str, fields: Mapping[str, Any]) -> str:
    """The template with each placeholder filled; one that has a problem is an error before."""

    def fill(found: re.Match[str]) -> str:
        if found[1] is None:
            return "${"
        field, _bar, quoting = (part.strip() for part in found[1].partition("|"))
        value = fields[field]
        if quoting in _OF_ANY_VALUE:
            return _OF_ANY_VALUE[quoting](value)
        return _QUOTINGS[quoting or "raw"](_text(value))

    return _PLACEHOLDER.sub(fill, template)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
