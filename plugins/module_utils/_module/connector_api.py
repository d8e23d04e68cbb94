# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_api: writes the mail settings of an application by its API, and tests them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.records import ApplicationRecord, settings_digest
from .._connector.redaction import Redaction
from .._connector.resolved import Proxy, ResolvedConnector, TlsTrust, resolve_connector
from .._connector.secret import Secret
from .._connector.state import Connector, Purpose
from .._connector.state import Wanted as WantedState
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem
from .._net.clock import Clock
from .._net.https import HttpClient
from .._registry.registry import Reader, Registry
from .._registry.writer import Writer
from .._target.api_client import ApiClient, ApiError, api_url_problem
from .._target.api_plan import ApiPlan, UpdateSecret, plan_removal, plan_write, stored_destination_digest
from .._target.api_target import ApiTarget, Login, Place, Stored, Tested, Wanted
from .._target.api_targets import API_TARGETS, api_key_specs, api_option_specs
from .._target.api_write import ApiSession
from .._target.interface import MAY_BE_LEFT_OUT, Account, account_of
from .._verdict.diagnosis import diagnose
from .._verdict.fields import field_of
from .recording import Recording, drop_records, forget_application, record_application
from .shared_options import host_option, open_registry, recorded_host, registry_options, stamp
from .stored import open_secrets, select_connector, unsupported_error
from .task import Task, run

_STEPS = 12
"""How many times the timeout of a step the task may take as a whole."""
_TIMEOUT = checks.number(1, 600)
_LOGIN_TEXT = checks.secret_text(8192)
_TOKEN = checks.pattern(re.compile(r"[!-~]{1,65536}\Z"), "must be ASCII without blanks, as it is sent in a header")
_KEY_TEXT = checks.text(200)


def argument_spec() -> ArgumentSpec:
    login = {
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "token": {"type": "str", "no_log": True},
        "client_id": {"type": "str"},
        "client_secret": {"type": "str", "no_log": True},
    }
    left_out = {"leave_out": {"type": "list", "elements": "str", "choices": list(MAY_BE_LEFT_OUT)}}
    spec = ArgumentSpec(
        {
            "connector": {"type": "str"},
            "purpose": {"type": "str"},
            "tenant": {"type": "str"},
            "app": {"type": "str", "choices": list(API_TARGETS), "required": True},
            "url": {"type": "str", "required": True},
            "login": {"type": "dict", "options": login},
            "target": {"type": "dict", "options": api_key_specs()},
            "options": {"type": "dict", "options": {**left_out, **api_option_specs()}},
            "update_secret": {
                "type": "str",
                "choices": ["on_change", "always", "never"],
                "default": "on_change",
                "no_log": False,
            },
            "test": {"type": "bool", "default": False},
            "to": {"type": "str"},
            "validate_certs": {"type": "bool", "default": True},
            "ca_file": {"type": "path"},
            "proxy": {"type": "str"},
            "timeout": {"type": "int", "default": 10},
            "state": {"type": "str", "choices": ["present", "absent", "forgotten"], "default": "present"},
            **host_option(),
        },
        mutually_exclusive=[("connector", "purpose")],
        required_by={"tenant": ("purpose",)},
        required_if=[("state", "present", ("connector", "purpose"), True)],
    )
    return spec.merge(registry_options())


def run_module() -> None:
    run(Task(argument_spec()), _connector_api)


def _connector_api(module: Task) -> dict[str, Any]:
    params = module.params
    target = API_TARGETS[params["app"]]
    _check_options(params, target)
    registry = open_registry(module)
    left = _left_by_deleted(params, registry, target)
    if left is not None and params["state"] == "forgotten":
        return _forget(module, registry, [key for keys in left.values() for key in keys])
    chosen = _choose(module, registry, target) if left is None else None
    account = chosen.account if chosen else None
    place = _place(params, target, _default_name(params, target, chosen, left))
    record = _PlaceRecord(module, registry, target, place)
    if params["state"] == "forgotten":
        return _forget(module, registry, record.known_keys())
    to = _recipient(params, account)
    api, login = _client(params, target, account)
    session = ApiSession(target, api, place)
    try:
        session.sign_in(login)
        stored = session.read()
        if account:
            wanted = Wanted(target.fields(place, account), account.password)
            plan = plan_write(target, stored, wanted, record.is_last, params["update_secret"])
        else:
            wanted, plan = Wanted({}), plan_removal(target, stored)
        if plan.action != "none" and not module.check_mode:
            record.distrust()
            stored = session.write(stored, wanted, plan)
            _warn_about_other_fields(module, target, stored, wanted)
        if not module.check_mode:
            if chosen and account and stored:
                record.write(chosen, stored, plan)
            else:
                record.forget()
        tested = None
        if account and params["test"] and not module.check_mode:
            tested = _tested(session, account, wanted, to, params["update_secret"])
    finally:
        session.end()
    result = _result(session, account, stored, plan)
    if not plan.knows_secret:
        module.warn(f"What {target.title} holds is not known to be the password of the connector.")
    if tested and account:
        _add_test(result, session, account, tested, plan)
    return result


def _forget(module: Task, registry: Registry, keys: Collection[tuple[str, str, str]]) -> dict[str, Any]:
    return {"connector": None, "changed": drop_records(module, registry, keys), "diff": []}


def _check_options(params: Mapping[str, Any], target: ApiTarget) -> None:
    """Fail with everything that is wrong with the options themselves."""
    problems = [Problem("", "url", what) for what in [api_url_problem(params["url"])] if what]
    for option, check in (
        ("connector", checks.connector_name),
        ("ca_file", checks.absolute_path),
        ("proxy", checks.proxy),
        ("to", checks.address),
    ):
        if params[option]:
            problems += checks.run_check(check, params[option], "", option)
    problems += checks.run_check(_TIMEOUT, params["timeout"], "", "timeout")
    problems += _problems_with_keys(params["target"] or {}, target)
    if params["state"] != "forgotten":
        problems += _problems_with_login(params["login"] or {}, target)
    if problems:
        raise DeclarationError(problems)


def _problems_with_keys(given: Mapping[str, Any], target: ApiTarget) -> Iterator[Problem]:
    known = {option.name for option in target.keys}
    for name, value in given.items():
        if value is None:
            continue
        if name not in known:
            yield Problem("", f"target.{name}", f"is nothing that {target.title} is addressed by")
        else:
            yield from checks.run_check(_KEY_TEXT, value, "", f"target.{name}")


def _problems_with_login(given: Mapping[str, Any], target: ApiTarget) -> Iterator[Problem]:
    names = {name for name, value in given.items() if value}
    if names not in target.logins:
        allowed = " or ".join(" and ".join(sorted(each, reverse=True)) for each in target.logins)
        yield Problem("", "login", f"must have {allowed} for {target.title}, and nothing else")
    for name in sorted(names):
        check = _TOKEN if name == "token" else _LOGIN_TEXT
        yield from checks.run_check(check, given[name], "", f"login.{name}")


@dataclass(frozen=True)
class _Chosen:
    """The connector for an application, and what it gets of it."""

    connector: Connector
    resolved: ResolvedConnector
    purpose: Purpose | None
    is_default: bool
    account: Account | None = None
    """None where nothing is to be written."""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    reads: tuple[str, ...] = ()


def _choose(module: Task, registry: Registry, target: ApiTarget) -> _Chosen | None:
    """The connector that the task names, or all that the application cannot express of it."""
    params = module.params
    is_present, options = params["state"] == "present", params["options"] or {}
    is_needed = is_present or not (params["target"] or {}).get("name")
    if not is_needed or not (params["connector"] or params["purpose"]):
        return None
    with registry.reading() as reader:
        connector, purpose, is_default = select_connector(module, registry, reader)
        resolved = resolve_connector(connector)
        if not is_present:
            return _Chosen(connector, resolved, purpose, is_default)
        refused = target.unusable(resolved, options)
        if refused:
            raise unsupported_error(connector, [refused])
        secrets = open_secrets(reader, connector, target.secret_paths(resolved, options))
    resolved = resolve_connector(connector, secrets)
    account = account_of(resolved, target, options)
    findings = list(target.unsupported(account))
    if findings:
        raise unsupported_error(connector, findings)
    reads = target.read_paths(resolved, options)
    return _Chosen(connector, resolved, purpose, is_default, account, secrets, reads)


def _left_by_deleted(
    params: Mapping[str, Any], registry: Registry, target: ApiTarget
) -> dict[str, list[tuple[str, str, str]]] | None:
    """The names of what a connector that is deleted is recorded for here, each with the keys of its records.

    None where the connector exists, or the task needs none.
    """
    connector, keys = params["connector"], _keys(params)
    if params["state"] == "present" or not connector or keys.get("name") or not registry.exists():
        return None
    unnamed = Place({**keys, "name": ""}, url=params["url"].rstrip("/")).recorded
    left: dict[str, list[tuple[str, str, str]]] = {}
    with registry.reading() as reader:
        if connector in reader.load(WantedState(frozenset())).all_names():
            return None
        for each in reader.applications([connector]):
            if each.app == target.name and each.place.startswith(unnamed):
                left.setdefault(each.place[len(unnamed) :], []).append(each.key)
    return left


def _default_name(
    params: Mapping[str, Any], target: ApiTarget, chosen: _Chosen | None, left: Collection[str] | None
) -> str:
    """The name where `target.name` is left out: the connector's, or what is left of one that is deleted."""
    if left is None:
        return target.default_name(chosen.resolved) if chosen else ""
    default = target.default_name(ResolvedConnector(params["connector"]))
    if len(left) == 1:
        return next(iter(left))
    if default and (default in left or not left):
        return default
    what = "is recorded by several names" if left else "is not recorded here"
    text = f"is required, since connector {params['connector']} does not exist any more and {what}"
    raise DeclarationError([Problem("", "target.name", text)])


def _keys(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in (params["target"] or {}).items() if value}


def _place(params: Mapping[str, Any], target: ApiTarget, default_name: str) -> Place:
    keys = {"name": default_name, **_keys(params)}
    if not keys["name"]:
        raise DeclarationError(
            [Problem("", "target.name", f"is required with state {params['state']} where no connector is given")]
        )
    options = {name: value for name, value in (params["options"] or {}).items() if value is not None}
    problems = [Problem("", field, what) for field, what in target.key_problems(keys)]
    if problems:
        raise DeclarationError(problems)
    return Place(keys, options, params["url"].rstrip("/"))


def _recipient(params: Mapping[str, Any], account: Account | None) -> str:
    to = params["to"] or (account.connector.test_address if account else "")
    if params["test"] and account and not to:
        raise DeclarationError([Problem("", "to", "is required to test a connector without test_address")])
    return str(to)


def _client(params: Mapping[str, Any], target: ApiTarget, account: Account | None) -> tuple[ApiClient, Login]:
    given = {name: value for name, value in (params["login"] or {}).items() if value}
    secrets = {name: Secret(given[name]) for name in ("password", "token", "client_secret") if name in given}
    redact = Redaction([*secrets.values(), *([account.password] if account and account.password else [])])
    proxy = None
    if params["proxy"]:
        scheme, host, port = checks.parse_proxy(params["proxy"])
        proxy = Proxy("socks5" if scheme == "socks5" else "http", host, port)
    clock = Clock(params["timeout"] * _STEPS, params["timeout"])
    http = HttpClient(clock, redact, TlsTrust(params["validate_certs"], params["ca_file"] or ""), proxy)
    api = ApiClient(target.title, params["url"], http, clock, redact)
    api.right = target.right
    return api, Login(**{**given, **secrets})


def _tested(session: ApiSession, account: Account, wanted: Wanted, to: str, update_secret: UpdateSecret) -> Tested:
    title = session.target.title
    if update_secret == "never" and wanted.secret and session.target.test_sends_secret:
        return Tested("not_supported", f"The test of {title} needs the password, and update_secret is never.")
    try:
        with session.api.clock.suspend_step_timeout():
            return session.test(account, wanted, to)
    except ApiError as error:
        return Tested("failed", str(error))


class _PlaceRecord:
    """What the registry records of one place of an application."""

    def __init__(self, module: Task, registry: Registry, target: ApiTarget, place: Place) -> None:
        self._module = module
        self._registry = registry
        self._target = target
        self.key = (target.name, recorded_host(module), place.recorded)

    def is_last(self, secret: Secret, stored: Stored) -> bool:
        """Whether this secret was written last, to where the stored settings say, from whichever host."""
        digest = stored_destination_digest(self._target, stored)
        with self._registry.reading() as reader:
            return any(
                each.secret_paths
                and each.destination == digest
                and reader.has_secrets(each, dict.fromkeys(each.secret_paths, secret))
                for each in self._of_this_place(reader)
            )

    def _of_this_place(self, reader: Reader) -> list[ApplicationRecord]:
        """The records of this place: it is the same place wherever it is written from."""
        app, _host, place = self.key
        return [each for each in reader.applications() if (each.app, each.place) == (app, place)]

    def distrust(self) -> None:
        """Forget which secret was written last: a task that ends before it is told sends it the next time."""
        with self._registry.reading() as reader:
            known = [each for each in self._of_this_place(reader) if each.fingerprint is not None]

        def drop_fingerprints(writer: Writer) -> None:
            for each in known:
                writer.record_application(each, None)

        try:
            if known:
                self._registry.write(drop_fingerprints)
        except MailroomError as error:
            app, _host, place = self.key
            self._module.warn(
                f"The registry could not record that {app} at {place} is being changed, so a later task may take the"
                f" former password for the one that is stored: run it with update_secret=always: {error}"
            )

    def known_keys(self) -> list[tuple[str, str, str]]:
        """The keys of the records of this place."""
        with self._registry.reading() as reader:
            return [each.key for each in self._of_this_place(reader)]

    def forget(self, *, keep_own: bool = False) -> None:
        """Drop the records of this place, or those of other hosts alone."""
        try:
            known = self.known_keys()
        except MailroomError as error:
            app, _host, place = self.key
            self._module.warn(f"The registry could not be read, so what it records of {app} at {place} stays: {error}")
            return
        for key in known:
            if key != self.key or not keep_own:
                forget_application(self._module, *key)

    def write(self, chosen: _Chosen, stored: Stored, plan: ApiPlan) -> None:
        """Record what the application has."""
        settings = settings_digest(chosen.connector, chosen.reads, is_default=chosen.is_default)
        application = ApplicationRecord(
            *self.key,
            chosen.connector.name,
            chosen.purpose,
            chosen.reads,
            settings,
            stamp(self._module),
            stored_destination_digest(self._target, stored),
        )
        secrets = chosen.secrets if plan.knows_secret else None
        recording = Recording(application, secrets, has_changed=plan.action != "none")
        record_application(self._module, self._registry, recording)
        self.forget(keep_own=True)


def _warn_about_other_fields(module: Task, target: ApiTarget, stored: Stored | None, wanted: Wanted) -> None:
    """Warn where an application keeps something else than it was given: every task would change it again."""
    if stored:
        names = sorted(stored.differing(wanted))
        if names:
            module.warn(f"{target.title} does not keep these as they were written: {', '.join(names)}.")


def _result(session: ApiSession, account: Account | None, stored: Stored | None, plan: ApiPlan) -> dict[str, Any]:
    where = f"{session.target.name} {session.place.name}".strip()
    redact = session.api.redact
    before, after = (dict(redact.value(side)) for side in plan.difference)
    diff = [{"before_header": where, "after_header": where, "before": before, "after": after}]
    return {
        "connector": account.name if account else None,
        "changed": plan.action != "none",
        "diff": diff if plan.action != "none" else [],
        "settings": dict(redact.value(stored.fields)) if stored else {},
        "secret": plan.secret,
    }


def _add_test(result: dict[str, Any], session: ApiSession, account: Account, tested: Tested, plan: ApiPlan) -> None:
    """Add what the application said of its test, with our verdict where it hands on what the mail server said."""
    shown: dict[str, Any] = {"status": tested.status, "text": tested.text}
    result["test"] = shown
    if tested.status == "ok" and tested.is_of_stored and plan.knows_secret and plan.secret == "unchanged":
        result["secret"] = "verified"
    if tested.status != "failed":
        return
    if tested.observation:
        diagnosis = diagnose(tested.observation)
        first = field_of(diagnosis, tested.observation, account.connector.declared)
        shown.update(verdict=diagnosis.verdict, field=first, certainty=diagnosis.certainty, remedy=diagnosis.remedy)
        what = f"{diagnosis.verdict}: {diagnosis.remedy}"
    else:
        shown["remedy"] = (
            f"Run connector_test for {account.name} on the host of {session.target.title}: it says what is wrong."
        )
        what = f"{f'It says: {tested.text} ' if tested.text else ''}{shown['remedy']}"
    raise ConnectorsFailed(f"connector {account.name}: the test by {session.target.title} failed. {what}", result)
