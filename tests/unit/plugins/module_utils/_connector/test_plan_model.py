# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any sequence of tasks keeps the rules, and does what a small model of them says.

The model knows connectors as plain dicts and shares no code with the plan.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import applied, bounded, declared, planned, sealed

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector, Purpose, State
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

Fields = dict[str, Any]
Key = tuple[str, str]

USER = "robot@example.com"
SERVER = ("host", "ca_file", "mechanisms")
"""The fields in the block of the server."""


class Forbidden(Exception):
    """The model says that a task is refused."""


@dataclass
class Entry:
    """One connector in a task: its fields, and what it says about signing in."""

    name: str
    fields: Fields
    sign_in: str = "unsaid"
    password: str | None = None


@dataclass
class Task:
    """What one task asks for, in words that both the model and the plan are told."""

    entries: list[Entry] = field(default_factory=list)
    merge: bool = True
    on_create: bool = False
    new_name: str | None = None
    copy_from: str | None = None
    absent: str | None = None
    purge: bool = False
    default: str | None = None
    not_default: str | None = None
    successor: str | None = None
    bind: dict[Key, str] = field(default_factory=dict)
    unbind: dict[Key, str | None] = field(default_factory=dict)
    purge_purposes: bool = False

    def request(self) -> Request:
        return Request(
            declarations=tuple(_declaration(entry) for entry in self.entries),
            merge=self.merge,
            update_password="on_create" if self.on_create else "always",
            new_name=self.new_name,
            copy_from=self.copy_from,
            absent=(self.absent,) if self.absent else (),
            purge=self.purge,
            default=self.default,
            not_default=self.not_default,
            successor=self.successor,
            bind={Purpose(*key): name for key, name in self.bind.items()},
            unbind={Purpose(*key): name for key, name in self.unbind.items()},
            purge_purposes=self.purge_purposes,
        )


SIGN_IN: dict[str, Fields] = {
    "unsaid": {},
    "none": {"auth": "none"},
    "user": {"auth": "password", "username": USER},
    "password": {"auth": "password", "username": USER},
}


def _declaration(entry: Entry) -> Any:
    smtp = {**SIGN_IN[entry.sign_in]}
    smtp.update({key: value for key, value in entry.fields.items() if key in SERVER})
    written = {key: value for key, value in entry.fields.items() if key not in SERVER}
    if entry.password:
        smtp["password"] = entry.password
    return declared(name=entry.name, **written, **({"smtp": smtp} if smtp else {}))


class Model:
    """What the rules say, on dicts."""

    def __init__(self) -> None:
        self.connectors: dict[str, Fields] = {}
        self.default: str | None = None
        self.bindings: dict[Key, str] = {}

    def after(self, task: Task) -> Model:
        result = copy.deepcopy(self)
        result._rename(task)
        for entry in task.entries:
            result._declare(entry, task)
        result._remove(task)
        result._choose_default(task)
        result._bind(task)
        result._keep_the_rules()
        return result

    def _rename(self, task: Task) -> None:
        if not task.new_name or task.new_name == task.entries[0].name:
            return
        old, new = task.entries[0].name, task.new_name
        if (old in self.connectors) == (new in self.connectors):
            raise Forbidden
        if old in self.connectors:
            self.connectors[new] = {**self.connectors.pop(old), "renamed": True}
            self.default = new if self.default == old else self.default
            self.bindings = {key: new if name == old else name for key, name in self.bindings.items()}

    def _declare(self, entry: Entry, task: Task) -> None:
        name = task.new_name or entry.name
        before = self.connectors.get(name)
        source: Fields = {}
        if before is None and task.copy_from:
            if task.copy_from not in self.connectors:
                raise Forbidden
            source = self.connectors[task.copy_from]
        base = _own(before or source)
        wanted = {**base, **SIGN_IN[entry.sign_in], **entry.fields}
        if not task.merge:
            wanted = {**SIGN_IN[entry.sign_in], **entry.fields, "password": base.get("password")}
        wanted = {key: value for key, value in wanted.items() if value not in ("", [])}
        self._sign_in(wanted, base, entry, task, is_new=before is None)
        if "host" not in wanted:
            raise Forbidden
        wanted.pop("renamed", None)
        self.connectors[name] = self._revised(wanted, before)

    def _sign_in(self, wanted: Fields, base: Fields, entry: Entry, task: Task, *, is_new: bool) -> None:
        signs_in = wanted.get("auth", "password") == "password" and "username" in wanted
        held = base.get("password") if signs_in else None
        moves = held is not None and _is_new_place(base, wanted)
        if entry.password is None:
            if held is not None and (is_new or moves):
                raise Forbidden
            wanted["password"] = held
        elif held is None or moves or is_new or not task.on_create:
            wanted["password"] = entry.password
        else:
            wanted["password"] = held
        if wanted.get("auth") == "password" and wanted["password"] is None:
            raise Forbidden
        if wanted["password"] is None:
            del wanted["password"]

    def _revised(self, wanted: Fields, before: Fields | None) -> Fields:
        if before is None:
            return {**wanted, "revision": 1, "sent": 1}
        if _own(before) == wanted:
            return before
        revision = before["revision"] + 1
        sends = _sends(before) != _sends(wanted)
        return {**wanted, "revision": revision, "sent": revision if sends else before["sent"]}

    def _remove(self, task: Task) -> None:
        keep = {task.new_name or entry.name for entry in task.entries}
        for name in list(self.connectors):
            if name == task.absent or (task.purge and name not in keep):
                del self.connectors[name]

    def _choose_default(self, task: Task) -> None:
        if task.default:
            self.default = task.default
        elif self.default and (self.default == task.not_default or not self._is_usable(self.default)):
            others = [name for name in self.connectors if name != self.default and self._is_usable(name)]
            if task.successor == self.default or (others and not task.successor):
                raise Forbidden
            self.default = task.successor

    def _bind(self, task: Task) -> None:
        for key, only_from in task.unbind.items():
            if only_from is None or self.bindings.get(key) == only_from:
                self.bindings.pop(key, None)
        if task.purge_purposes:
            self.bindings = {}
        self.bindings.update(task.bind)

    def _is_usable(self, name: str) -> bool:
        return name in self.connectors and self.connectors[name].get("enabled", True)

    def _keep_the_rules(self) -> None:
        if self.default and not self._is_usable(self.default):
            raise Forbidden
        for (_purpose, tenant), name in self.bindings.items():
            if not self._is_usable(name):
                raise Forbidden
            available_to = self.connectors[name].get("available_to")
            if tenant and available_to and tenant not in available_to:
                raise Forbidden


def _own(fields: Fields) -> Fields:
    return {key: value for key, value in fields.items() if key not in ("revision", "sent")}


def _is_new_place(before: Fields, after: Fields) -> bool:
    if any(before.get(key) != after.get(key) for key in ("host", "username", "ca_file")):
        return True
    old, new = (set(fields.get("mechanisms", ("PLAIN", "LOGIN", "SCRAM-SHA-256"))) for fields in (before, after))
    return bool(new - old - {"SCRAM-SHA-256"})


def _sends(fields: Fields) -> Fields:
    auth = fields.get("auth", "password" if "password" in fields else "none")
    return {**{key: fields.get(key) for key in (*SERVER, "username", "password", "from_name")}, "auth": auth}


def seen(state: State) -> tuple[dict[str, Fields], str | None, dict[Key, str]]:
    """A state in the model's words."""
    connectors = {name: _fields(connector) for name, connector in state.connectors.items()}
    return connectors, state.default, {tuple(key): name for key, name in state.bindings.items()}


def _fields(connector: Connector) -> Fields:
    fields = {key: value for key, value in connector.settings.items() if key != "smtp"}
    fields.update(connector.settings["smtp"])
    for token in connector.secrets.values():
        fields["password"] = next(each for each in PASSWORDS if token == sealed_text(each))
    return {**fields, "revision": connector.revision, "sent": connector.sending_revision}


def sealed_text(value: str) -> str:
    return sealed(next(iter(declared({"smtp.password": value}).secrets.values())))


NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
PASSWORDS = ("hunter2", "hunter3")
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["mail.example.com", "mail.example.com", "other.example.com"]),
        "ca_file": st.sampled_from(["", "", "/etc/mailroom/ca.pem"]),
        "mechanisms": st.sampled_from([[], ["SCRAM-SHA-256"], ["PLAIN", "SCRAM-SHA-256"]]),
        "enabled": st.booleans(),
        "description": st.sampled_from(["one", "two", ""]),
        "from_name": st.sampled_from(["One", ""]),
        "available_to": st.sampled_from([[], ["acme"], ["acme", "globex"]]),
    },
)
WHOLE = st.tuples(FIELDS, st.just({"host": "mail.example.com"})).map(lambda two: {**two[1], **two[0]})
SIGNS = st.one_of(
    st.sampled_from(["unsaid", "unsaid", "none", "user"]).map(lambda way: (way, None)),
    st.sampled_from(PASSWORDS).map(lambda password: ("password", password)),
)
KEYS = st.tuples(st.sampled_from(["alerts", "approvals"]), st.sampled_from(["", "", "acme", "globex"]))


def entries(fields: Any) -> Any:
    return st.builds(lambda name, values, sign: Entry(name, values, *sign), NAMES, fields, SIGNS)


@st.composite
def presents(draw: st.DrawFn) -> Task:
    entry = draw(entries(st.one_of(WHOLE, FIELDS)))
    new_name = draw(st.none() | st.none() | NAMES)
    default = draw(st.sampled_from([None, None, None, True, False]))
    if default and entry.fields.get("enabled") is False:
        default = None
    name = new_name or entry.name
    return Task(
        [entry],
        on_create=draw(st.booleans()),
        new_name=new_name,
        default=name if default is True else None,
        not_default=name if default is False else None,
        successor=draw(st.none() | NAMES),
    )


@st.composite
def bulks(draw: st.DrawFn) -> Task:
    listed = draw(st.lists(entries(WHOLE), min_size=1, max_size=4, unique_by=lambda entry: entry.name))
    names = st.sampled_from([entry.name for entry in listed])
    return Task(
        listed,
        merge=draw(st.booleans()),
        on_create=draw(st.booleans()),
        purge=draw(st.booleans()),
        default=draw(st.none() | names),
        bind=draw(st.dictionaries(KEYS, names, max_size=2)),
        purge_purposes=draw(st.booleans()),
    )


TASKS = st.one_of(
    presents(),
    presents(),
    bulks(),
    st.builds(
        lambda source, entry, on_create: Task([entry], on_create=on_create, copy_from=source),
        NAMES,
        entries(st.one_of(WHOLE, FIELDS)),
        st.booleans(),
    ),
    st.builds(lambda name, successor: Task(absent=name, successor=successor), NAMES, st.none() | NAMES),
    st.builds(lambda name: Task(default=name), NAMES),
    st.builds(lambda key, name: Task(bind={key: name}), KEYS, NAMES),
    st.builds(lambda key, name: Task(unbind={key: name}), KEYS, st.none() | NAMES),
)
START = Task(
    [
        Entry("alpha", {"host": "mail.example.com"}, "password", PASSWORDS[0]),
        Entry("beta", {"host": "mail.example.com", "available_to": ["acme"]}),
        Entry("gamma", {"host": "mail.example.com", "enabled": False}),
    ],
    default="alpha",
    bind={("alerts", ""): "alpha", ("approvals", "acme"): "beta"},
)


@settings(bounded, max_examples=settings().max_examples * 80 // 100)
@example(False, [Task([Entry("alpha", {"enabled": False})], new_name="delta", successor="beta")])
@given(st.sampled_from([False, False, True]), st.lists(TASKS, min_size=1, max_size=20))
def test_any_sequence_of_tasks_does_what_the_model_says(from_scratch: bool, tasks: list[Task]) -> None:
    state, model = State(), Model()
    for task in tasks if from_scratch else [START, *tasks]:
        before = repr(state)
        try:
            expected: Model | None = model.after(task)
        except Forbidden:
            expected = None
        try:
            plan = planned(task.request(), state)
        except DeclarationError:
            event("refused")
            assert expected is None
            assert repr(state) == before
            continue
        event("accepted")
        assert expected is not None
        assert repr(state) == before
        _plan_tells_what_it_does(plan, state)
        moved = applied(state, plan)
        assert seen(moved) == (expected.connectors, expected.default, expected.bindings)
        assert plan.changed == (seen(moved) != seen(state))
        assert not planned(task.request(), moved).changed
        state, model = moved, expected
        _rules_hold(state)


def _plan_tells_what_it_does(plan: Any, state: State) -> None:
    moved = applied(state, plan)
    same = {name for name in state.connectors if moved.connectors.get(name) is state.connectors[name]}
    gone = {change.before.name for change in plan.changes if change.before}
    assert gone == state.connectors.keys() - same
    assert {*plan.created, *plan.updated} == moved.connectors.keys() - same
    assert set(plan.deleted) <= gone
    assert all(change.difference[0] != change.difference[1] for change in plan.changes)


def _rules_hold(state: State) -> None:
    for name in (*([state.default] if state.default else []), *state.bindings.values()):
        assert state.connectors[name].enabled
    for purpose, name in state.bindings.items():
        assert state.connectors[name].available_to(purpose.tenant)
    for name, connector in state.connectors.items():
        assert connector.name == name
        assert 1 <= connector.sending_revision <= connector.revision
        assert all(isinstance(token, str) for token in connector.secrets.values())
