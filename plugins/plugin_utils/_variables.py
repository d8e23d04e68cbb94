# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Validates the variables of the roles and playbooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple

from ansible_collections.mailroom.core.plugins.module_utils._connector.checks import is_address
from ansible_collections.mailroom.core.plugins.module_utils._connector.layers import merge_layers
from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import did_you_mean, printable_word
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

PREFIX = "mailroom_"
USER_PREFIX = "mailroom_x_"
DEPTHS = ("none", "connect", "login", "envelope", "send", "deliver")
APPLICATIONS = tuple(
    (
        "accuknox alertmanager django dma env evoluteiq fetchmail getmail gitea gitlab grafana json kianda "
        "mailman3 mbsync monit msmtp nextcloud nullmailer postfix privilege_manager redmine template vaultwarden yaml"
    ).split()
)
APIS = ("airflow", "keepnet", "privacyidea", "zabbix")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_COUNT_OR_PERCENTAGE = re.compile(r"[1-9][0-9]{0,8}%?")


class Kind(NamedTuple):
    """The allowed values of a variable: a message and a check."""

    allowed: str
    is_valid: Callable[[Any], bool]
    may_be_null: bool = True


def _is_text(value: Any) -> bool:
    """Whether a value is text or a number. Text from a vault is not a str in every version of Ansible."""
    return not isinstance(value, (Mapping, list, tuple, bool, type(None)))


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or str(value) in ("true", "false", "True", "False")


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and all(map(_is_text, value)))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: _is_text(value) and bool(pattern.fullmatch(str(value)))


def _each(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: all(map(is_valid, value)) if isinstance(value, (list, tuple)) else is_valid(value)


def _one_of(*choices: str) -> Kind:
    return Kind(f"must be one of: {', '.join(choices)}", lambda value: str(value) in choices, may_be_null=False)


# Ansible 2.18 itself refuses null where an argument spec requires text, with hundreds of lines.
TEXT = Kind("must be text", _is_text, may_be_null=False)
# Programs get it as an argument, where a hyphen would begin an option.
ADDRESS = Kind(
    "must be one mail address",
    lambda value: _is_text(value) and is_address(str(value)) and not str(value).startswith("-"),
    may_be_null=False,
)
PATH = Kind(
    "must be an absolute path, or one that begins with ~/",
    lambda value: _is_text(value) and str(value).startswith(("/", "~/")),
    may_be_null=False,
)
BOOLEAN = Kind("must be true or false", _is_boolean, may_be_null=False)
TEXT_OR_TRUE = Kind("must be text or true", lambda value: value is True or _is_text(value), may_be_null=False)
NUMBER = Kind("must be a whole number above 0", _matches(_NUMBER))
NAMES = Kind("must be a list of names, or names separated by commas", _is_list_of_text)
CONNECTORS = Kind("must be a dictionary of connectors by their names", _is_mapping)
PURPOSES = Kind(
    "must be a dictionary of purposes, each with the name of its connector",
    lambda value: isinstance(value, Mapping) and all(map(_is_text, value.values())),
)
DICTIONARY = Kind("must be a dictionary", _is_mapping)
ENTRY = Kind("must be a dictionary with the options of an application", _is_mapping)
LIST = Kind("must be a list of applications, each a dictionary", lambda value: isinstance(value, (list, tuple)))
PATTERN = Kind("must be hosts or groups, as a list or separated by commas", _is_list_of_text)
SERIAL = Kind(
    "must be a whole number above 0, a percentage such as 25%, or a list of these",
    _each(_matches(_COUNT_OR_PERCENTAGE)),
)

VARIABLES: dict[str, Kind] = {
    "mailroom_hosts": PATTERN,
    "mailroom_serial": SERIAL,
    "mailroom_registry": TEXT,
    "mailroom_registry_key": TEXT,
    "mailroom_registry_password": TEXT,
    "mailroom_registry_create": BOOLEAN,
    "mailroom_registry_grant_read": NAMES,
    "mailroom_registry_grant_write": NAMES,
    "mailroom_actor": TEXT,
    "mailroom_delegate_to": TEXT,
    "mailroom_test_from": _one_of("one", "each"),
    "mailroom_secure_logging": BOOLEAN,
    "mailroom_allow_empty": BOOLEAN,
    "mailroom_packages": NAMES,
    "mailroom_connectors": CONNECTORS,
    "mailroom_connectors_environment": CONNECTORS,
    "mailroom_connectors_secrets": CONNECTORS,
    "mailroom_default": TEXT,
    "mailroom_purposes": PURPOSES,
    "mailroom_purge": BOOLEAN,
    "mailroom_update_password": _one_of("always", "on_create"),
    "mailroom_verify": _one_of(*DEPTHS),
    "mailroom_only": NAMES,
    "mailroom_deliver_via": TEXT,
    "mailroom_batch": NUMBER,
    "mailroom_junit": TEXT,
    "mailroom_report": TEXT,
    "mailroom_metrics": PATH,
    "mailroom_record": BOOLEAN,
    "mailroom_init_mail": BOOLEAN,
    "mailroom_apps": LIST,
    "mailroom_alertmanager": ENTRY,
    "mailroom_alertmanager_packages": NAMES,
    "mailroom_alertmanager_prove_to": ADDRESS,
    "mailroom_alertmanager_url": TEXT,
    "mailroom_grafana": ENTRY,
    "mailroom_grafana_packages": NAMES,
    "mailroom_msmtp": ENTRY,
    "mailroom_msmtp_packages": NAMES,
    "mailroom_msmtp_prove_to": ADDRESS,
    "mailroom_postfix_relay": ENTRY,
    "mailroom_postfix_relay_packages": NAMES,
    "mailroom_postfix_relay_prove_to": ADDRESS,
    "mailroom_prove_always": BOOLEAN,
    "mailroom_apis": LIST,
}

# The keys of an entry of mailroom_apps, and, without app, of what the roles for one application take. A boolean may be
# written in any way that the module accepts.
APPLICATION: dict[str, Kind] = {
    "app": _one_of(*APPLICATIONS),
    "path": TEXT,
    "connector": TEXT,
    "purpose": TEXT,
    "tenant": TEXT,
    "owner": TEXT,
    "group": TEXT,
    "mode": TEXT,
    "backup": Kind("must be true or false", lambda value: not isinstance(value, (Mapping, list, tuple))),
    "follow": Kind("must be true or false", lambda value: not isinstance(value, (Mapping, list, tuple))),
    "validate": TEXT,
    "options": DICTIONARY,
    "host": TEXT,
    "state": _one_of("present", "absent", "forgotten"),
    "service": TEXT_OR_TRUE,
    "reload": TEXT,
}
_REQUIRED = ("app", "path")
_OF_ONE_APPLICATION = {name: kind for name, kind in APPLICATION.items() if name != "app"}

# The keys of an entry of mailroom_apis.
API: dict[str, Kind] = {
    "app": _one_of(*APIS),
    "url": TEXT,
    "login": DICTIONARY,
    "connector": TEXT,
    "purpose": TEXT,
    "tenant": TEXT,
    "target": DICTIONARY,
    "options": DICTIONARY,
    "update_secret": _one_of("on_change", "always", "never"),
    "test": Kind("must be true or false", lambda value: not isinstance(value, (Mapping, list, tuple))),
    "to": TEXT,
    "validate_certs": Kind("must be true or false", lambda value: not isinstance(value, (Mapping, list, tuple))),
    "ca_file": TEXT,
    "proxy": TEXT,
    "timeout": NUMBER,
    "state": _one_of("present", "absent", "forgotten"),
}
_REQUIRED_OF_API = ("app", "url")
_LAYERS = ("mailroom_connectors", "mailroom_connectors_environment", "mailroom_connectors_secrets")


def validate_variables(variables: Mapping[str, Any]) -> list[str]:
    """The problems of variables that begin with mailroom_, a sentence for each, without values."""
    unknown = sorted(name for name in variables if name not in VARIABLES and not name.startswith(USER_PREFIX))
    problems = [_unknown_variable_message(name) for name in unknown]
    for name, kind in VARIABLES.items():
        value = variables.get(name, "")
        if _is_blank(value) and (value is not None or kind.may_be_null):
            continue
        if not kind.is_valid(value):
            problems.append(f"{name}: {kind.allowed}.")
        elif name == "mailroom_apps":
            problems += [f"{name}[{at}]{problem}" for at, problem in _validate_entries(value, APPLICATION, _REQUIRED)]
        elif name == "mailroom_apis":
            problems += [f"{name}[{at}]{problem}" for at, problem in _validate_entries(value, API, _REQUIRED_OF_API)]
        elif kind is ENTRY:
            problems += [f"{name}{problem}" for problem in _validate_entry(value, _OF_ONE_APPLICATION, ())]
    problems += _validate_layers({name: variables[name] for name in _LAYERS if _is_mapping(variables.get(name))})
    if unknown:
        problems.append(f"Names of your own variables must not begin with {PREFIX}, except with {USER_PREFIX}.")
    return problems


def _validate_layers(layers: Mapping[str, Any]) -> list[str]:
    """The problems within the layers, whether a role or playbook uses them or not."""
    try:
        merge_layers(layers, partial=True)
    except DeclarationError as error:
        return [f"{problem}." for problem in error.problems]
    return []


def without_blanks(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without its blank values, and without those of the dictionaries in it.

    A blank prefix, of the names of variables, stays: there may be none.
    """
    return {
        name: without_blanks(value) if isinstance(value, Mapping) else value
        for name, value in entry.items()
        if not _is_blank(value) or (name == "prefix" and value is not None)
    }


def _is_blank(value: Any) -> bool:
    """Whether a value is null or an empty string, as a survey returns for a blank answer."""
    return value is None or (isinstance(value, str) and value == "")


def _unknown_variable_message(name: str) -> str:
    rest = [known.removeprefix(PREFIX) for known in VARIABLES]
    suggestion = did_you_mean(name.removeprefix(PREFIX), rest).replace("did you mean ", f"did you mean {PREFIX}")
    return f"{printable_word(name)}: there is no such variable{suggestion or '.'}"


def _validate_entries(entries: Any, kinds: Mapping[str, Kind], required: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for position, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            yield position, ": must be a dictionary."
            continue
        for problem in _validate_entry(entry, kinds, required):
            yield position, problem


def _validate_entry(entry: Mapping[str, Any], kinds: Mapping[str, Kind], required: Iterable[str]) -> Iterator[str]:
    for name in entry:
        if name not in kinds:
            suggestion = did_you_mean(str(name), kinds)
            yield f": {printable_word(str(name))}: there is no such option{suggestion or '.'}"
    for name in required:
        if _is_blank(entry.get(name)):
            yield f": {name}: is required."
    for name, kind in kinds.items():
        if not _is_blank(entry.get(name)) and not kind.is_valid(entry[name]):
            yield f": {name}: {kind.allowed}."
