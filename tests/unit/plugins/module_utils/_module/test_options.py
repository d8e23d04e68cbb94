# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a wrong type: each is named in a sentence, all at once, and nothing that was written is repeated."""

from __future__ import annotations

import importlib
from itertools import islice, product
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._argspec import (
    ArgumentSpec,
    connector_declaration,
    connector_fields,
    connector_list,
)
from ansible_collections.mailroom.core.plugins.module_utils._module import options as options_module
from ansible_collections.mailroom.core.plugins.module_utils._module.options import ParsedOptions, parse_options
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import MAY_BE_LEFT_OUT

from .conftest import Play

BODIES = "ansible_collections.mailroom.core.plugins.module_utils._module"
MODULES = ("connector", "connectors", "connector_info", "connector_purpose", "connector_test", "init_mail")
HOST = {"host": "mail.example.com"}
SECRET = "Rumpelstilzchen-7f3a9c51e2"
MISSING = "connector: is required with state present, unless purpose is given"
STRANGE = {"text": SECRET, "list": [SECRET], "dictionary": {"key": SECRET}, "number": 5, "true": True}
REQUIRED: dict[str, dict[str, Any]] = {
    "connector": {"name": "a", "smtp": HOST},
    "connectors": {"connectors": []},
    "connector_purpose": {"purpose": "alerts", "connector": "a"},
    "connector_config": {"app": "msmtp", "path": "/nowhere/msmtprc", "connector": "a"},
}


def spec_of(module: str) -> ArgumentSpec:
    spec = importlib.import_module(f"{BODIES}.{module}").argument_spec()
    assert isinstance(spec, ArgumentSpec)
    return spec


@pytest.mark.parametrize("module", [*MODULES, "connector_config"])
def test_strange_value_is_accepted_or_told_by_name_and_never_repeated(play: Play, module: str, stride: int) -> None:
    unclear, repeated = {}, {}
    for option, strange in islice(product(spec_of(module).options, STRANGE), 0, None, stride):
        result = play(module, check=True, verbosity=3, **{**REQUIRED.get(module, {}), option: STRANGE[strange]})
        text = str(result)
        words = ("<class", "Traceback", "bug in", "argument_spec", "'type'")
        if result.get("failed") and ("exception" in result or any(word in text for word in words)):
            unclear[option, strange] = text
        is_place = option in ("registry", "path", "registry_key_file") and strange == "text"
        names_something = option in ("connectors", "clear", "purpose", "tenant", "owner", "group")
        is_name = names_something and strange in ("text", "list")
        if result.get("failed") and not (is_place or is_name) and SECRET in text:
            repeated[option, strange] = text
    assert (unclear, repeated) == ({}, {})


WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("connector_test", {"connectors": {"a": 1}}, ["connectors: must be a list of texts"]),
    ("connector_test", {"connectors": [["a"]]}, ["connectors: must be a list of texts"]),
    ("connector_test", {"timeout": SECRET}, ["timeout: must be a number"]),
    ("connector_test", {"concurrency": 1.5}, ["concurrency: must be a whole number"]),
    ("connector_test", {"fail": "perhaps"}, ["fail: must be true or false"]),
    ("connector_test", {"depth": SECRET}, ["depth: must be one of connect, login, envelope, send, deliver"]),
    ("connector_test", {"declaration": [HOST]}, ["declaration: must be a dictionary"]),
    ("connector_test", {"declaration": 5}, ["declaration: must be a dictionary"]),
    (
        "connector_test",
        {"declaration": {"smtp": [SECRET], "imap": {"port": "x"}}},
        [
            "connector declaration: smtp: must be a dictionary",
            "connector declaration: imap.port: must be a whole number from 1 to 65535",
        ],
    ),
    (
        "connector_test",
        {"declaration": {"from_name": ["A"], "cc": [["a"]], "smtp": {"username": {"a": 1}, "password": [SECRET]}}},
        [
            "connector declaration: from_name: must be text",
            "connector declaration: cc: item 1 must be text",
            "connector declaration: smtp.username: must be text",
            "connector declaration: smtp.password: must be text",
        ],
    ),
    (
        "connectors",
        {"connectors": [{"name": "a", "smtp": {**HOST, "password": [SECRET]}}]},
        ["connector a: smtp.password: must be text"],
    ),
    ("connector", {"name": "a", "description": []}, ["description: must be text"]),
    ("connectors", {}, ["connectors: is required"]),
    ("connectors", {"connectors": None}, ["connectors: is required"]),
    ("connectors", {"connectors": SECRET}, ["connectors: must be a list of connectors, each with a name"]),
    ("connectors", {"connectors": {"a": {}}}, ["connectors: must be a list of connectors, each with a name"]),
    ("connectors", {"connectors": [], "purposes": ["a"]}, ["purposes: must be a dictionary"]),
    (
        "connectors",
        {"connectors": [{"name": "a", "smtp": SECRET}], "purge": "x", "prune": True},
        ["connector a: smtp: must be a dictionary", "purge: must be true or false", "prune: there is no such option"],
    ),
    ("connector", {"name": "a", "smtp": HOST, "registry": [SECRET]}, ["registry: must be a path"]),
    ("connector", {"name": "a", "smtp": HOST, "clear": {"imap": 1}}, ["clear: must be a list of texts"]),
    (
        "connector",
        {"name": "a", "state": "gone", "sntp": HOST},
        [
            "state: must be one of present, absent, default, duplicated",
            "sntp: there is no such option; did you mean smtp?",
        ],
    ),
    (
        "connector_purpose",
        {},
        ["purpose: is required", "connector: is required with state present"],
    ),
    ("connector_purpose", {"purpose": None, "connector": "a"}, ["purpose: is required"]),
    (
        "connector_config",
        {**REQUIRED["connector_config"], "options": {"leave_out": "bcc", "password_flie": SECRET}},
        ["options.password_flie: there is no such option; did you mean password_file?"],
    ),
    ("connector_config", {**REQUIRED["connector_config"], "options": [1]}, ["options: must be a dictionary"]),
    (
        "connector_config",
        {**REQUIRED["connector_config"], "options": {"colour": SECRET}},
        ["options.colour: there is no such option"],
    ),
    (
        "connector_config",
        {**REQUIRED["connector_config"], "options": {"colour": SECRET, "leave_out": SECRET}},
        [
            "options.colour: there is no such option",
            f"options.leave_out: must be a list of any of {', '.join(MAY_BE_LEFT_OUT)}",
        ],
    ),
    ("connector_config", {"app": "msmtp"}, ["path: is required", MISSING]),
    (
        "mail",
        {"messages": [], "subject": "x", "body": "x"},
        ["subject: cannot be given with messages", "body: cannot be given with messages"],
    ),
    ("mail", {"tenant": "a", "purpose": ["x"]}, ["purpose: must be text"]),
]


@pytest.mark.parametrize(("module", "options", "told"), WRONG)
def test_every_wrong_option_is_told_at_once(play: Play, module: str, options: dict[str, Any], told: list[str]) -> None:
    result = play(module, **options)
    assert result["failed"] is True
    lines = result["msg"].splitlines()
    found = [line[2:] for line in lines[1:]] if len(lines) > 1 else lines
    assert found == told
    assert SECRET not in str(result)


@pytest.mark.parametrize("module", [*MODULES, "connector_config"])
def test_null_counts_as_left_out(play: Play, module: str) -> None:
    play("connector", name="a", smtp=HOST, enabled=False)
    given = {**REQUIRED.get(module, {}), "registry_key": "none"}
    others = dict.fromkeys(spec_of(module).options.keys() - given.keys() - {"registry"})
    assert play(module, check=True, **given, **others) == play(module, check=True, **given)
    nulls = dict.fromkeys(spec_of(module).options.keys() - {"registry"})
    assert play(module, check=True, **nulls) == play(module, check=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def arguments(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A module, with any JSON for some of its options, and in a connector's fields."""
    module = draw(st.sampled_from(MODULES))
    options = spec_of(module).options
    connector = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("name", "cc", "headers", "oauth2", "graph", "provider", "enabled"), JSON),
            "smtp": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("host", "port", "uri", "password"), JSON)),
            "imap": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("host", "username", "mechanisms"), JSON)),
        },
    )
    values: dict[str, st.SearchStrategy[Any]] = dict.fromkeys((name for name in options if name != "registry"), JSON)
    if "connectors" in options:
        values["connectors"] = JSON | st.lists(connector | JSON, max_size=3)
    if "declaration" in options:
        values["declaration"] = JSON | connector
    if module == "connector":
        values |= {name: JSON | connector.map(lambda one, name=name: one.get(name)) for name in ("smtp", "imap")}
    return module, draw(st.fixed_dictionaries({}, optional=values))


@given(arguments())
@settings(
    max_examples=settings().max_examples * 60 // 100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_json_is_accepted_or_refused_in_sentences(play: Play, call: tuple[str, dict[str, Any]]) -> None:
    module, options = call
    depth = {"depth": "connect", "connectors": []} if module == "connector_test" else {}
    result = play(module, check=True, verbosity=3, **{**options, **depth})
    assert "bug in" not in str(result.get("msg")), result["traceback"]


TEXTS = st.sampled_from(["a", "", "true", "587", "~/key", "$HOME/key", "a,b", "name=a", '{"name": "a"}', " {} "])
VALUES = TEXTS | st.none() | st.booleans() | st.integers(0, 600) | st.just(1.5) | st.lists(TEXTS, max_size=2)
TYPED = {
    "str": TEXTS,
    "path": TEXTS,
    "int": st.integers(0, 600),
    "bool": st.booleans(),
    "list": st.lists(TEXTS, max_size=2),
    "json": TEXTS | st.dictionaries(TEXTS, TEXTS, max_size=2),
}


# One field of each type, since all fields of a type are parsed alike.
CHOSEN = (
    "name",
    "display_name",
    "cc",
    "headers",
    "smtp",
    "oauth2",
    "host",
    "port",
    "relay",
    "ca_file",
    "service_account",
)


def is_text_where_needed(option: dict[str, Any], value: Any) -> bool:
    """Whether a value is not one that Ansible would make text of, as we do not."""
    texts = value if option.get("elements") == "str" and isinstance(value, list) else [value]
    return option["type"] not in ("str", "path", "list") or not any(isinstance(each, (list, dict)) for each in texts)


def written_as(option: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly what this option is for, else null, what Ansible converts, or what is malformed."""
    if "options" not in option:
        fitting = TYPED.get(option["type"], st.dictionaries(TEXTS, TEXTS, max_size=2))
        others = st.none() | VALUES.filter(lambda value: is_text_where_needed(option, value))
    else:
        inner = {name: written_as(each) for name, each in option["options"].items() if name in CHOSEN}
        entry = st.fixed_dictionaries({}, optional=inner)
        named = st.tuples(entry, TEXTS | st.none()).map(lambda both: {**both[0], "name": both[1]})
        fitting = st.lists(named, max_size=3) if option["type"] == "list" else entry
        others = st.none() | VALUES | st.just({"no such field": 1}) | st.lists(entry | VALUES, max_size=2)
    return st.integers(0, 7).flatmap(lambda number: fitting if number else others)


@st.composite
def declarations(draw: st.DrawFn) -> tuple[ArgumentSpec, dict[str, Any]]:
    """Options that declare connectors, and values for them."""
    spec = draw(st.sampled_from([connector_list(), connector_declaration(), connector_fields()]))
    names = draw(st.lists(st.sampled_from(sorted(spec.options)), min_size=1, max_size=3, unique=True))
    return spec, {name: draw(written_as(spec.options[name])) for name in names}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


@given(declarations())
@example((connector_list(), {"connectors": [{"name": None}]}))
@example((connector_list(), {"connectors": [{"name": "a"}, {"smtp": HOST}]}))
@example((connector_list(), {"connectors": [{"name": "a"}, None]}))
@example((connector_list(), {"connectors": [{"name": "a", "smtp": {**HOST, "no such field": 1}}]}))
@example((connector_list(), {"connectors": [{"name": "a", "cc": [1]}, {"name": "b", "imap": {"ca_file": "~/ca.pem"}}]}))
def test_declaration_is_parsed_as_ansible_parses_it_whole(call: tuple[ArgumentSpec, dict[str, Any]]) -> None:
    spec, written = call
    found = parse_options(spec, written)
    malformed = {problem.field.partition(".")[0] for problem in found.malformed}
    for name, value in written.items():
        try:
            validator = ArgumentSpecValidator({name: spec.options[name]})
            given_to_it = with_empty_lists(spec.options[name], value)
            parsed = validator.validate({} if value is None else {name: given_to_it})
            is_valid = not parsed.error_messages
        except (TypeError, ValueError, AttributeError):
            is_valid = False
        assert is_valid == (name not in malformed), written
        if is_valid:
            expected = parsed.validated_parameters[name]
            assert repr(without_nulls(found.params[name])) == repr(without_nulls(expected)), written


BLANK_LISTS: list[tuple[ArgumentSpec, dict[str, Any], dict[str, Any]]] = [
    (connector_fields(), {"cc": ""}, {"cc": []}),
    (connector_fields(), {"smtp": {"port": 587, "mechanisms": ""}}, {"smtp": {"port": 587, "mechanisms": []}}),
    (connector_fields(), {"smtp": {"port": "x", "mechanisms": ""}}, {"smtp": {"port": "x", "mechanisms": []}}),
    (
        connector_list(),
        {"connectors": [{"name": "a", "bcc": ""}, {"name": "b", "bcc": [""]}]},
        {"connectors": [{"name": "a", "bcc": []}, {"name": "b", "bcc": [""]}]},
    ),
    (
        connector_list(),
        {"connectors": [{"name": "a", "bcc": "", "smtp": 5}]},
        {"connectors": [{"name": "a", "bcc": [], "smtp": 5}]},
    ),
]


@pytest.mark.parametrize(("spec", "written", "parsed"), BLANK_LISTS)
def test_empty_text_declares_an_empty_list(spec: ArgumentSpec, written: dict[str, Any], parsed: dict[str, Any]) -> None:
    found = parse_options(spec, written).params
    assert without_nulls({name: found[name] for name in written}) == parsed


def with_empty_lists(option: dict[str, Any], value: Any) -> Any:
    """What Ansible has to be given, to parse "" as an empty list in each field of texts."""
    if "options" not in option:
        return [] if option["type"] == "list" and value == "" else value
    if isinstance(value, list):
        return [with_empty_lists({**option, "type": "dict"}, each) for each in value]
    if not isinstance(value, dict):
        return value
    fields = option["options"]
    return {name: with_empty_lists(fields[name], each) if name in fields else each for name, each in value.items()}


def test_only_entries_that_ansible_has_to_convert_are_handed_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []

    class Seen(ArgumentSpecValidator):
        def validate(self, parameters: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            converted.extend(entry["name"] for entry in parameters.get("option", ()))
            return super().validate(parameters, *args, **kwargs)

    monkeypatch.setattr(options_module, "ArgumentSpecValidator", Seen)
    smtp = {"host": "mail.example.com", "port": 587, "relay": True, "mechanisms": ["PLAIN"], "ca_file": "/ca.pem"}
    entries = [
        {"name": "a", "smtp": smtp, "imap": None, "cc": ["a@example.com"], "headers": {"X-Team": "a"}},
        {"name": "b", "smtp": {**smtp, "port": "587"}},
        {"name": "c", "smtp": {**smtp, "ca_file": "~/ca.pem"}},
    ]
    found: ParsedOptions = parse_options(connector_list(), {"connectors": entries})
    assert converted == ["b", "c"]
    assert found.params["connectors"][0] == entries[0]
    assert found.params["connectors"][1]["smtp"]["port"] == 587


def test_ansible_test_sees_the_spec_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hands over no arguments, and looks at what AnsibleModule is called with."""
    seen: dict[str, Any] = {}

    class Seen(Exception):
        """As ansible-test does it."""

    def init(_module: basic.AnsibleModule, **given_to_it: Any) -> None:
        seen.update(given_to_it)
        raise Seen

    monkeypatch.setattr(basic, "_load_params", lambda: None)
    monkeypatch.setattr(basic.AnsibleModule, "__init__", init)
    for module in MODULES:
        with pytest.raises(Seen):
            importlib.import_module(f"{BODIES}.{module}").run_module()
        assert seen["argument_spec"] == spec_of(module).options
        assert seen["supports_check_mode"] is True
