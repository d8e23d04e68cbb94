# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Parses a module's options one by one, so that all problems are reported at once, without values.

Ansible copies what it parses, and looks up each option in it several times, which takes long for 1000 connectors. So
what is declared as it should be is not handed to Ansible.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._argspec import ArgumentSpec, Options, reduce_option
from .._connector.fields import BLOCKS, BY_NAME, did_you_mean_field
from .._connector.suggest import did_you_mean
from .._errors import Problem, printable

MAX_NAME_LENGTH = 100

_ALLOWED_BY_TYPE = {
    "str": "must be text",
    "path": "must be a path",
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "dict": "must be a dictionary",
    "list": "must be a list",
}
_KEPT_BY_ANSIBLE: dict[str, type] = {"str": str, "bool": bool, "int": int, "dict": dict}
"""The types whose values Ansible leaves as they are."""


class ParsedOptions(NamedTuple):
    """The parsed options, and the problems with the written ones."""

    params: dict[str, Any]
    problems: list[Problem]
    malformed: list[Problem]
    """Problems of options that contain declarations. Parsing their `params` finds more detailed ones."""


def parse_options(spec: ArgumentSpec, written: Mapping[str, Any]) -> ParsedOptions:
    """Parse the written options; null counts as left out."""
    found = ParsedOptions({}, [], [])
    for name, option in spec.options.items():
        value, is_declaration = written.get(name), name in spec.declares
        is_valid, parsed = (_parse_declared if is_declaration else _parse_option)(option, value)
        if is_valid:
            found.params[name] = parsed
        elif is_declaration:
            found.params[name] = _parse_valid_parts(option, _with_empty_lists(option, value))
            found.malformed.extend(_problems(name, option, value))
        else:
            found.params[name] = None
            found.problems.extend(_problems(name, option, value))
    found.problems.extend(_unknown_options("", spec.options, written))
    given = {name for each in (found.params, written) for name, value in each.items() if value is not None}
    found.problems.extend(_unmet_conditions(spec.conditions, found.params, given))
    return found


def find_secrets(options: Options, written: Mapping[str, Any]) -> Iterator[str]:
    """The secrets in these options, also in nested and malformed ones."""
    for name, value in written.items():
        option = options.get(name)
        if not option:
            continue
        if option.get("no_log"):
            yield from _strings(value)
        if "options" in option:
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, Mapping):
                    yield from find_secrets(option["options"], entry)


def _parse_declared(option: Mapping[str, Any], value: Any) -> tuple[bool, Any]:
    """Whether a declaration can be read, and its value.

    In what Ansible parses all options are filled with nulls; a declaration with them declares the same.
    """
    if "options" in option and option["type"] == "list" and isinstance(value, list):
        entry = {**option, "type": "dict"}
        # Those that Ansible has to convert are handed to it together: each call of it takes long.
        fits = [_has_declared_type(entry, each) for each in value]
        unfit = [each for each, is_kept in zip(value, fits) if not is_kept]
        is_valid, others = _parse_option(option, _with_empty_lists(option, unfit))
        parsed = iter(others if is_valid else ())
        return is_valid, [each if is_kept else next(parsed, None) for each, is_kept in zip(value, fits)]
    if value is not None and _has_declared_type(option, value):
        return True, value
    return _parse_option(option, _with_empty_lists(option, value))


def _with_empty_lists(option: Mapping[str, Any], value: Any) -> Any:
    """A declaration with an empty list for each list of texts that is written as "", of which Ansible makes [""]."""
    inner: Options | None = option.get("options")
    if inner is None:
        return [] if value == "" and option["type"] == "list" else value
    if isinstance(value, list):
        return [_with_empty_lists(option, entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: _with_empty_lists(inner[name], each) if name in inner else each for name, each in value.items()}
    return value


def _has_declared_type(option: Mapping[str, Any], value: Any) -> bool:
    """Whether Ansible would leave a value as it is, and whatever is in it."""
    kind = option["type"]
    if kind == "dict" and "options" in option and isinstance(value, dict):
        inner: Options = option["options"]
        are_known = all(
            name in inner and (each is None or _has_declared_type(inner[name], each)) for name, each in value.items()
        )
        return are_known and all(value.get(name) is not None for name, each in inner.items() if each.get("required"))
    if kind == "list" and isinstance(value, list):
        element = {**option, "type": option["elements"]}
        return all(_has_declared_type(element, each) for each in value)
    if kind == "path" and isinstance(value, str):
        return not value.startswith("~") and "$" not in value
    is_kept = kind in _KEPT_BY_ANSIBLE and isinstance(value, _KEPT_BY_ANSIBLE[kind])
    return is_kept and not (kind == "int" and isinstance(value, bool))


def _parse_option(option: Mapping[str, Any], value: Any) -> tuple[bool, Any]:
    """Whether one option can be read, and its value, as Ansible parses it."""
    if (value is None and option.get("required")) or _is_not_text(option, value):
        return False, None
    reduced = reduce_option(option, [value])
    try:
        parsed = ArgumentSpecValidator({"option": reduced}).validate({} if value is None else {"option": value})
    except (TypeError, ValueError, AttributeError):
        # Ansible raises where an option should be a dictionary and is not.
        return False, None
    return not parsed.error_messages, parsed.validated_parameters.get("option")


def _parse_valid_parts(option: Mapping[str, Any], value: Any) -> Any:
    """Parse a malformed declaration: each valid value is converted, the others are kept as written."""
    inner: Options | None = option.get("options")
    if inner is not None and isinstance(value, list) and option["type"] == "list":
        return [_parse_valid_parts({**option, "type": "dict"}, entry) for entry in value]
    if inner is not None and isinstance(value, Mapping):
        return {name: _parse_valid_parts(inner[name], each) if name in inner else each for name, each in value.items()}
    is_valid, parsed = _parse_option(option, value)
    return parsed if is_valid and inner is None else value


def _is_not_text(option: Mapping[str, Any], value: Any) -> bool:
    """Whether a list or dictionary is given for text, anywhere within an option; Ansible makes text of it: "['a']"."""
    if option.get("type") in ("str", "path"):
        return isinstance(value, (list, dict))
    if isinstance(value, list):
        element = {**option, "type": option.get("elements")}
        return any(_is_not_text(element, each) for each in value)
    inner: Options = option.get("options") or {}
    return isinstance(value, Mapping) and any(
        name in inner and _is_not_text(inner[name], each) for name, each in value.items()
    )


def _problems(path: str, option: Mapping[str, Any], value: Any) -> list[Problem]:
    """The problems within an option, else what is allowed for it."""
    inner: Options = option.get("options") or {}
    if value is None:
        return [Problem("", path, "is required")]
    if inner and isinstance(value, Mapping):
        problems = _unknown_options(f"{path}.", inner, value)
        for name, each in inner.items():
            if not _parse_option(each, value.get(name))[0]:
                problems += _problems(f"{path}.{name}", each, value.get(name))
        if problems:
            return problems
    choices = option.get("choices") or ()
    allowed = _ALLOWED_BY_TYPE.get(option.get("type", "str"), "has a value that is not allowed")
    if option.get("type") == "list":
        elements = "dictionaries" if option.get("elements") == "dict" else "texts"
        allowed += f" of any of {', '.join(choices)}" if choices else f" of {elements}"
    elif choices:
        allowed = f"must be one of {', '.join(choices)}"
    return [Problem("", path, allowed + (did_you_mean(value, choices) if isinstance(value, str) else ""))]


def _unknown_options(prefix: str, options: Options, written: Mapping[str, Any]) -> list[Problem]:
    block = prefix.rstrip(".")
    are_fields = block in BLOCKS or (not block and options.keys() >= BY_NAME.keys())
    problems = []
    for name in sorted(str(name) for name in written if name not in options):
        suggestion = did_you_mean_field(name, block, options) if are_fields else did_you_mean(name, options)
        path = f"{prefix}{printable(name[:MAX_NAME_LENGTH])}"
        problems.append(Problem("", path, f"there is no such option{suggestion}"))
    return problems


def _unmet_conditions(conditions: Mapping[str, Any], params: Mapping[str, Any], given: Container[str]) -> list[Problem]:
    """The problems with options that exclude or require each other. Ansible's sentences would not name the option."""
    problems = []
    for condition, groups in conditions.items():
        if condition == "mutually_exclusive":
            for group in groups:
                first, *others = [name for name in group if name in given] or [""]
                problems += [Problem("", name, f"cannot be given with {first}") for name in others]
        elif condition == "required_by":
            for name, required in groups.items():
                missing = [each for each in required if name in given and each not in given]
                problems += [Problem("", each, f"is required with {name}") for each in missing]
        elif condition == "required_if":
            for name, value, required, *is_one_enough in groups:
                missing = [each for each in required if params.get(name) == value and each not in given]
                if not any(is_one_enough):
                    problems += [Problem("", each, f"is required with {name} {value}") for each in missing]
                elif len(missing) == len(required):
                    what = f"is required with {name} {value}, unless {' or '.join(missing[1:])} is given"
                    problems.append(Problem("", missing[0], what))
        else:
            raise NotImplementedError(condition)
    return problems


def _strings(value: Any) -> Iterator[str]:
    """The texts in a secret, without the type of a service account key, which is not secret."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name != "type":
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield str(value)
