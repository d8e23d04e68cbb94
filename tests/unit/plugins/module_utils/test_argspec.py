# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument specs, derived from the field table and complete by the contract."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.basic import PASSWORD_MATCH
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mailroom.core.plugins.module_utils._argspec import (
    ArgumentSpec,
    connector_fields,
    connector_list,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BY_PATH, SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._module import (
    connector,
    connector_info,
    connector_purpose,
    connector_test,
    connectors,
    init_mail,
    mail,
)

PROXY = "proxy proxy_username proxy_password"
SERVER = "host port security auth mechanisms username password validate_certs ca_file client_cert client_key " + PROXY
FIELDS: dict[str, str] = {
    "display_name": "str",
    "description": "str",
    "enabled": "bool",
    "provider": "str",
    "from_address": "str",
    "from_name": "str",
    "signature": "str",
    "reply_to": "str",
    "errors_to": "str",
    "cc": "list",
    "bcc": "list",
    "headers": "dict",
    "test_address": "str",
    "available_to": "list",
    "smtp": "dict",
    "imap": "dict",
    "graph": "dict",
    "oauth2": "dict",
}
BLOCKS: dict[str, str] = {
    "smtp": f"{SERVER} uri same_credentials relay ehlo_name",
    "imap": f"{SERVER} mailbox",
    "graph": f"mailbox url save_to_sent ca_file {PROXY}",
    "oauth2": "tenant_id client_id client_secret client_secret_expires certificate certificate_file"
    " certificate_passphrase assertion_file managed_identity username password cloud authority scope ca_file"
    f" service_account token_url {PROXY}",
}
TYPES: dict[str, str] = {
    "port": "int",
    "mechanisms": "list",
    "validate_certs": "bool",
    "same_credentials": "bool",
    "relay": "bool",
    "save_to_sent": "bool",
    "ca_file": "path",
    "client_cert": "path",
    "client_key": "path",
    "certificate_file": "path",
    "assertion_file": "path",
    "service_account": "json",
}
SECRET_PATHS = """
    smtp.password imap.password smtp.proxy_password imap.proxy_password graph.proxy_password oauth2.proxy_password
    oauth2.client_secret oauth2.certificate oauth2.certificate_passphrase oauth2.password oauth2.service_account
""".split()

MESSAGE = "to cc bcc subject body html reply_to headers attachments".split()
LIMITS = {"timeout", "deadline", "concurrency", "min_days_valid"}
REGISTRY = {"registry", "registry_key", "registry_key_file", "registry_password", "actor"}
MODULES: dict[str, tuple[ArgumentSpec, set[str]]] = {
    "connector": (
        connector.argument_spec(),
        {
            *("name", "state", "default", "new_name", "copy_from", "new_default", "clear"),
            *("update_password", "verify", "record", "host", *FIELDS),
        },
    ),
    "connectors": (
        connectors.argument_spec(),
        {"connectors", "default", "purposes", "purge", "merge", "update_password", "verify", "record", "host"},
    ),
    "connector_info": (connector_info.argument_spec(), {"name", "purpose", "tenant", "history"}),
    "connector_purpose": (connector_purpose.argument_spec(), {"purpose", "connector", "tenant", "state"}),
    "connector_test": (
        connector_test.argument_spec(),
        {"connectors", "declaration", "depth", "to", "include_copies", "deliver_via", *LIMITS, "fail", "alternatives"}
        | {"record", "host"},
    ),
    "init_mail": (init_mail.argument_spec(), {"connectors", "to", "tenant", "force", "include_copies"}),
    "mail": (
        mail.argument_spec(),
        {
            *("connector", "purpose", "tenant", "declaration", "messages", "include_copies", "timeout", "deadline"),
            *MESSAGE,
        },
    ),
}
ENTRY = connector_list().options["connectors"]["options"]


def every_option(options: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, option in options.items():
        found[prefix + name] = option
        found.update(every_option(option.get("options", {}), f"{prefix}{name}."))
    return found


BOTH = {"one connector": connector_fields().options, "an entry of the list": ENTRY}


@pytest.mark.parametrize("options", BOTH.values(), ids=BOTH)
class TestTheFieldsOfAConnector:
    def test_are_those_of_the_contract_with_their_types(self, options: dict[str, Any]) -> None:
        assert {name: option["type"] for name, option in options.items() if name != "name"} == FIELDS

    @pytest.mark.parametrize("block", BLOCKS)
    def test_have_blocks_with_the_fields_of_the_contract(self, options: dict[str, Any], block: str) -> None:
        expected = {name: TYPES.get(name, "str") for name in BLOCKS[block].split()}
        assert {name: option["type"] for name, option in options[block]["options"].items()} == expected

    def test_have_no_default_anywhere(self, options: dict[str, Any]) -> None:
        assert [path for path, option in every_option(options).items() if "default" in option] == []

    def test_are_none_of_them_required_but_the_name(self, options: dict[str, Any]) -> None:
        assert [path for path, option in every_option(options).items() if option.get("required")] in ([], ["name"])

    def test_hide_every_secret_from_the_log_and_nothing_else(self, options: dict[str, Any]) -> None:
        hidden = {path for path, option in every_option(options).items() if option.get("no_log")}
        assert hidden == set(SECRET_PATHS)

    def test_hold_texts_in_every_list(self, options: dict[str, Any]) -> None:
        lists = [option for option in every_option(options).values() if option["type"] == "list"]
        assert len(lists) == 5
        assert all(option["elements"] == "str" for option in lists)

    def test_are_null_where_they_were_left_out(self, options: dict[str, Any]) -> None:
        result = ArgumentSpecValidator(options).validate({"name": "alpha", "smtp": {}} if "name" in options else {})
        assert result.error_messages == []
        given = {name: value for name, value in result.validated_parameters.items() if name not in ("name", "smtp")}
        assert set(given.values()) == {None}


def test_the_secrets_of_the_field_table_are_those_of_the_contract() -> None:
    assert set(SECRET_PATHS) == SECRETS


def test_the_options_follow_the_field_table() -> None:
    options = every_option(connector_fields().options)
    assert options.keys() == BY_PATH.keys()
    assert {path: option["type"] for path, option in options.items()} == {
        path: field.type for path, field in BY_PATH.items()
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_the_options_of_the_contract(module: str) -> None:
    spec, expected = MODULES[module]
    assert spec.options.keys() == expected | REGISTRY


@pytest.mark.parametrize("module", MODULES)
def test_no_option_sounds_secret_to_ansible_without_saying_whether_it_is(module: str) -> None:
    options = every_option(MODULES[module][0].options)
    named = {path: path.rpartition(".")[2] for path in options}
    doubtful = [
        path
        for path, name in named.items()
        if (PASSWORD_MATCH.search(name) or any(word in name for word in ("key", "secret", "token", "password")))
        and "no_log" not in options[path]
    ]
    assert doubtful == []


@pytest.mark.parametrize("module", MODULES)
def test_the_key_of_the_registry_is_hidden_and_its_file_is_not(module: str) -> None:
    options = MODULES[module][0].options
    assert options["registry_key"]["no_log"] is True
    assert not options["registry_key_file"].get("no_log")


ENVIRONMENT = {
    "registry": "MAILROOM_REGISTRY",
    "registry_key": "MAILROOM_REGISTRY_KEY",
    "registry_key_file": "MAILROOM_REGISTRY_KEY_FILE",
    "actor": "MAILROOM_ACTOR",
}


@pytest.mark.parametrize("module", MODULES)
def test_the_registry_may_come_from_the_environment(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = MODULES[module][0].options
    for name, variable in ENVIRONMENT.items():
        read, (asked,) = options[name]["fallback"]
        assert asked == variable
        monkeypatch.setenv(variable, "/somewhere")
        assert read(asked) == "/somewhere"
    assert options["registry"]["default"] == "/var/lib/mailroom/registry.db"


DEFAULTS: dict[str, dict[str, Any]] = {
    "connector": {"state": "present", "update_password": "always", "verify": "none", "record": False},
    "connectors": {"purge": False, "merge": False, "update_password": "always", "verify": "none", "record": False},
    "connector_info": {"history": False},
    "connector_purpose": {"state": "present"},
    "connector_test": {
        "depth": "login",
        "include_copies": False,
        "timeout": 10,
        "deadline": 60,
        "concurrency": 32,
        "min_days_valid": 14,
        "fail": True,
        "alternatives": True,
        "record": False,
    },
    "init_mail": {"force": False, "include_copies": False},
    "mail": {"include_copies": True, "timeout": 10, "deadline": 300},
}
VERIFY = ["none", "connect", "login", "send"]
CHOICES: dict[str, dict[str, list[str]]] = {
    "connector": {
        "state": ["present", "absent", "default", "duplicated"],
        "update_password": ["always", "on_create"],
        "verify": VERIFY,
    },
    "connectors": {"update_password": ["always", "on_create"], "verify": VERIFY},
    "connector_info": {},
    "connector_purpose": {"state": ["present", "absent"]},
    "connector_test": {"depth": ["connect", "login", "envelope", "send", "deliver"]},
    "init_mail": {},
    "mail": {},
}


@pytest.mark.parametrize("module", MODULES)
def test_defaults_and_choices_are_those_of_the_contract(module: str) -> None:
    options = {name: option for name, option in MODULES[module][0].options.items() if name not in REGISTRY}
    assert {name: option["default"] for name, option in options.items() if "default" in option} == DEFAULTS[module]
    assert {name: option["choices"] for name, option in options.items() if "choices" in option} == CHOICES[module]


def test_merging_keeps_what_all_accept_and_lets_the_last_one_win() -> None:
    one = ArgumentSpec({"a": {"type": "str"}, "b": {"type": "str"}}, mutually_exclusive=[("a", "b")])
    two = ArgumentSpec({"b": {"type": "int"}}, mutually_exclusive=[("b", "c")], required_if=[("a", "x", ("b",))])
    three = ArgumentSpec({"c": {"type": "bool"}})
    merged = one.merge(two, three)
    assert merged.options == {"a": {"type": "str"}, "b": {"type": "int"}, "c": {"type": "bool"}}
    assert merged.conditions == {
        "mutually_exclusive": [("a", "b"), ("b", "c")],
        "required_if": [("a", "x", ("b",))],
    }


def test_merging_leaves_what_is_merged_as_it_was() -> None:
    one = ArgumentSpec({"a": {"type": "str"}}, mutually_exclusive=[("a", "b")])
    two = ArgumentSpec({"b": {"type": "int"}}, mutually_exclusive=[("b", "c")])
    one.merge(two)
    assert one.to_kwargs() == {"argument_spec": {"a": {"type": "str"}}, "mutually_exclusive": [("a", "b")]}
    assert two.to_kwargs() == {"argument_spec": {"b": {"type": "int"}}, "mutually_exclusive": [("b", "c")]}


def test_conditions_that_are_dictionaries_are_merged_too() -> None:
    one = ArgumentSpec({}, required_by={"a": ("b",)})
    merged = one.merge(ArgumentSpec({"c": {"type": "str"}}))
    assert merged.to_kwargs()["required_by"] == {"a": ("b",)}
    assert one.merge(ArgumentSpec({}, required_by={"c": ("d",)})).conditions["required_by"] == {
        "a": ("b",),
        "c": ("d",),
    }


def test_to_kwargs_is_what_ansible_module_takes() -> None:
    spec = ArgumentSpec({"a": {"type": "str"}}, required_together=[("a", "b")])
    assert spec.to_kwargs() == {"argument_spec": {"a": {"type": "str"}}, "required_together": [("a", "b")]}
