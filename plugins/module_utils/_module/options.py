# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads a module's options one by one, so that all that are wrong can be named at once, without their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._argspec import ArgumentSpec, Options, narrowed
from .._connector.fields import BLOCKS, BY_NAME, did_you_mean_field
from .._connector.suggest import did_you_mean
from .._errors import Problem, printable

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
_REQUIRED_IF = re.compile(r"(\w+) is (\w+) but all of the following are missing: (\w+)\Z")
_NOT_IN_TEXT = (list, dict)


@dataclass
class ReadOptions:
    """The options as the spec has them, and what is wrong with those that were written."""

    params: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    malformed: list[Problem] = field(default_factory=list)
    """Of options that hold declarations. Whoever reads what is in `params` of those can tell more."""


def read_options(spec: ArgumentSpec, written: Mapping[str, Any]) -> ReadOptions:
    """Read what was written; null counts as left out."""
    found = ReadOptions()
    for name, narrow in narrowed(spec.options, written).items():
        option, value = spec.options[name], written.get(name)
        is_declaration = name in spec.declares
        is_read, read = _read(narrow, value)
        if is_read and (is_declaration or not _is_no_text(option, value)):
            found.params[name] = read
        elif is_declaration:
            found.params[name] = _read_as_far_as_possible(option, value)
            found.malformed += _problems(name, option, value)
        else:
            found.params[name] = None
            found.problems += _problems(name, option, value)
    found.problems += _unknown("", spec.options, written)
    # Ansible copies all that it is given; of a list or dictionary only matters that it is there.
    given = {
        name: True if isinstance(value, (list, dict)) else value
        for name, value in found.params.items()
        if value is not None
    }
    loose = {name: {"type": "raw"} for name in spec.options}
    for message in ArgumentSpecValidator(loose, **spec.conditions).validate(given).error_messages:
        # An option that is required because of another one is named as any other field is.
        required = _REQUIRED_IF.match(message)
        if required:
            found.problems.append(Problem("", required[3], f"is required with {required[1]} {required[2]}"))
        else:
            found.problems.append(Problem("", "", message))
    return found


def secrets_in(options: Options, written: Mapping[str, Any]) -> Iterator[str]:
    """The secrets among these options, however deep and whatever is wrong with them."""
    for name, value in written.items():
        option = options.get(name)
        if not option:
            continue
        if option.get("no_log"):
            yield from _texts(value)
        if "options" in option:
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, Mapping):
                    yield from secrets_in(option["options"], entry)


def _read(option: Mapping[str, Any], value: Any) -> tuple[bool, Any]:
    """Whether one option can be read, and its value."""
    if value is None and option.get("required"):
        return False, None
    try:
        read = ArgumentSpecValidator({"option": option}).validate({} if value is None else {"option": value})
    except (TypeError, ValueError, AttributeError):
        # Ansible stumbles over an option that should be a dictionary and is none.
        return False, None
    return not read.error_messages, read.validated_parameters.get("option")


def _read_as_far_as_possible(option: Mapping[str, Any], value: Any) -> Any:
    """A declaration in which each value is what Ansible makes of it, or as it was written where it is malformed."""
    inner: Options | None = option.get("options")
    if inner is not None and isinstance(value, list) and option["type"] == "list":
        return [_read_as_far_as_possible({**option, "type": "dict"}, entry) for entry in value]
    if inner is not None and isinstance(value, Mapping):
        return {
            name: _read_as_far_as_possible(inner[name], each) if name in inner else each for name, each in value.items()
        }
    is_read, read = _read(option, value)
    return read if is_read and inner is None else value


def _is_no_text(option: Mapping[str, Any], value: Any) -> bool:
    """Ansible makes a text of anything, such as "['a']"."""
    if option.get("elements") == "str" and isinstance(value, list):
        return any(isinstance(each, _NOT_IN_TEXT) for each in value)
    return option.get("type") in ("str", "path") and isinstance(value, _NOT_IN_TEXT)


def _problems(path: str, option: Mapping[str, Any], value: Any) -> list[Problem]:
    """What is wrong within an option, else what is allowed for it."""
    inner: Options = option.get("options") or {}
    if value is None:
        return [Problem("", path, "is required")]
    if inner and isinstance(value, Mapping):
        problems = _unknown(f"{path}.", inner, value)
        for name, each in inner.items():
            if not _read(each, value.get(name))[0]:
                problems += _problems(f"{path}.{name}", each, value.get(name))
        if problems:
            return problems
    choices = option.get("choices") or ()
    allowed = _ALLOWED.get(option.get("type", "str"), "has a value that is not allowed")
    if option.get("type") == "list":
        elements = "dictionaries" if option.get("elements") == "dict" else "texts"
        allowed += f" of any of {', '.join(choices)}" if choices else f" of {elements}"
    elif choices:
        allowed = f"must be one of {', '.join(choices)}"
    return [Problem("", path, allowed + (did_you_mean(value, choices) if isinstance(value, str) else ""))]


def _unknown(prefix: str, options: Options, written: Mapping[str, Any]) -> list[Problem]:
    block = prefix.rstrip(".")
    are_fields = block in BLOCKS or (not block and options.keys() >= BY_NAME.keys())
    problems = []
    for name in sorted(str(name) for name in written if name not in options):
        suggestion = did_you_mean_field(name, block, options) if are_fields else did_you_mean(name, options)
        path = f"{prefix}{printable(name[:LONGEST_NAME])}"
        problems.append(Problem("", path, f"there is no such option{suggestion}"))
    return problems


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
