# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads a module's options one by one, so that all that are wrong can be named at once, without their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._argspec import ArgumentSpec, Options, narrowed
from .._errors import Problem

LONGEST_NAME = 100

_ALLOWED = {
    "str": "must be text",
    "path": "must be a path",
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "dict": "must be a dictionary",
    "list": "must be a list",
}
_NOT_IN_TEXT = (list, dict)


@dataclass
class ReadOptions:
    """The options as the spec has them, and what is wrong with those that were written."""

    params: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    malformed: list[Problem] = field(default_factory=list)
    """Of options that hold declarations. They are in `params` as they were written: who reads them can tell more."""


def read_options(spec: ArgumentSpec, written: Mapping[str, Any]) -> ReadOptions:
    """Read what was written; null counts as left out."""
    found = ReadOptions()
    for name, option in narrowed(spec.options, written).items():
        value, problems = _read(name, name, option, written)
        if not problems and name not in spec.declares and _is_no_text(option, written.get(name)):
            problems = [Problem("", name, _allowed(option))]
        if problems and name in spec.declares:
            found.malformed += problems
            found.params[name] = written.get(name)
        else:
            found.problems += problems
            found.params[name] = None if problems else value
    found.problems += _unknown("", spec.options, written)
    given = {name: value for name, value in found.params.items() if value is not None}
    loose = {name: {"type": "raw"} for name in spec.options}
    told = ArgumentSpecValidator(loose, **spec.conditions).validate(given).error_messages
    found.problems += [Problem("", "", message) for message in told]
    return found


def secrets_in(options: Options, written: Mapping[str, Any]) -> Iterator[str]:
    """The secrets among these options, however deep and whatever is wrong with them."""
    for name, option in options.items():
        value = written.get(name)
        if option.get("no_log"):
            yield from _texts(value)
        for entry in value if isinstance(value, list) else [value]:
            if "options" in option and isinstance(entry, Mapping):
                yield from secrets_in(option["options"], entry)


def _read(name: str, path: str, option: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """The value of one option, or what is allowed."""
    value = written.get(name)
    if value is None and option.get("required"):
        return None, [Problem("", path, "is required")]
    try:
        read = ArgumentSpecValidator({name: option}).validate({} if value is None else {name: value})
    except (TypeError, ValueError, AttributeError):
        # Ansible stumbles over an option that should be a dictionary and is none.
        return None, _problems(path, option, value)
    if read.error_messages:
        return None, _problems(path, option, value)
    return read.validated_parameters.get(name), []


def _is_no_text(option: Mapping[str, Any], value: Any) -> bool:
    """Ansible makes a text of anything, such as "['a']"."""
    if option.get("elements") == "str" and isinstance(value, list):
        return any(isinstance(each, _NOT_IN_TEXT) for each in value)
    return option.get("type") in ("str", "path") and isinstance(value, _NOT_IN_TEXT)


def _problems(path: str, option: Mapping[str, Any], value: Any) -> list[Problem]:
    """What is wrong within an option, else what is allowed for it."""
    inner: Options = option.get("options") or {}
    if inner and isinstance(value, Mapping):
        problems = [
            problem for name, each in inner.items() for problem in _read(name, f"{path}.{name}", each, value)[1]
        ]
        problems += _unknown(f"{path}.", inner, value)
        if problems:
            return problems
    return [Problem("", path, _allowed(option))]


def _allowed(option: Mapping[str, Any]) -> str:
    what = _ALLOWED.get(option.get("type", "str"), "has a value that is not allowed")
    choices = ", ".join(option.get("choices") or ())
    if option.get("type") == "list":
        elements = "dictionaries" if option.get("elements") == "dict" else "texts"
        return f"{what} of any of {choices}" if choices else f"{what} of {elements}"
    return f"must be one of {choices}" if choices else what


def _unknown(prefix: str, options: Options, written: Mapping[str, Any]) -> list[Problem]:
    unknown = sorted(str(name) for name in written if name not in options)
    return [Problem("", f"{prefix}{_printable(name)}", "there is no such option") for name in unknown]


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:LONGEST_NAME])


def _texts(value: Any) -> Iterator[str]:
    """The texts in a secret. What type a key is, is written in each of them, and is none."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name != "type":
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield str(value)
