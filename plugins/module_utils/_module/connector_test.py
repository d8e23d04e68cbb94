# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_test: does it work, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._argspec import ArgumentSpec, connector_declaration
from .._connector import checks
from .._connector.declaration import read_declaration
from .._connector.plan import Request, make_plan
from .._connector.secret import Secret
from .._connector.state import Connector, Stamp, State, Wanted
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem
from .._probe.job import Job
from .._probe.probe import Bounds
from .._probe.result import DEPTHS, reaches
from .._probe.run import run as run_tests
from .._registry.interface import Reader
from .._verdict.signal import Signal
from .abandoned import end_when_abandoned
from .registry import open_registry, registry_options
from .task import Task, run

UNNAMED = "declaration"


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "connectors": {"type": "list", "elements": "str"},
            "depth": {"type": "str", "choices": list(DEPTHS), "default": "login"},
            "to": {"type": "str"},
            "timeout": {"type": "float", "default": 10},
            "deadline": {"type": "float", "default": 60},
            "concurrency": {"type": "int", "default": 32},
            "min_days_valid": {"type": "int", "default": 14},
            "fail": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("connectors", "declaration")],
    )
    return options.merge(connector_declaration(), registry_options())


def run_module() -> None:
    run(Task(argument_spec(), malformed=_malformed), _connector_test)


def _malformed(params: Mapping[str, Any], _written: Mapping[str, Any]) -> Sequence[Problem]:
    declared = params.get("declaration")
    return () if declared is None else _read(declared)[1]


def _connector_test(module: Task) -> dict[str, Any]:
    params = module.params
    bounds = _bounds(params)
    end_when_abandoned()
    declared = params["declaration"]
    jobs = _registered_jobs(module, bounds) if declared is None else [_inline_job(declared)]
    tested = {result.connector: result.shown() for result in run_tests(jobs, bounds, params["concurrency"])}
    results = [tested[name] for name in (tested if declared is not None else params["connectors"] or tested)]
    summary = {status: sum(result["status"] == status for result in results) for status in ("ok", "warn", "fail")}
    outcome = {"changed": False, "results": results, "summary": summary}
    if summary["fail"] and params["fail"]:
        raise ConnectorsFailed(failure_table(results), outcome)
    return outcome


def _bounds(params: Mapping[str, Any]) -> Bounds:
    problems = [
        problem
        for option, low, high in _LIMITS
        for problem in checks.complaint(_between(low, high), params[option], "", option)
    ]
    if params["to"]:
        problems += checks.complaint(checks.address, params["to"], "", "to")
    if problems:
        raise DeclarationError(problems)
    return Bounds(
        depth=params["depth"],
        to=params["to"] or "",
        timeout=params["timeout"],
        deadline=params["deadline"],
        min_days_valid=params["min_days_valid"],
    )


_LIMITS = (("timeout", 0.1, 600), ("deadline", 0.1, 3600), ("concurrency", 1, 256), ("min_days_valid", 0, 3650))


def _between(low: float, high: float) -> checks.Check:
    def check(value: Any) -> Any:
        if not low <= value <= high:
            raise checks.NotAllowed(f"must be a number from {low} to {high}")
        return value

    return check


def _read(declared: Mapping[str, Any]) -> Any:
    return read_declaration({**declared, "name": declared.get("name") or UNNAMED})


def _inline_job(declared: Mapping[str, Any]) -> Job:
    """A connector that is not stored; it borrows nothing from one that is."""
    declaration, problems = _read(declared)
    if problems:
        raise DeclarationError(problems)
    plan = make_plan(Request((declaration,)), State(), lambda _token, _secret: False, Stamp("", ""))
    connector = plan.after.connectors[declaration.name]
    return _job(connector, dict(declaration.secrets))


def _registered_jobs(module: Task, bounds: Bounds) -> list[Job]:
    names = module.params["connectors"]
    registry = open_registry(module)
    with registry.reading() as reader:
        state = reader.load(Wanted(None if names is None else frozenset(names)))
        unknown = [name for name in names or () if name not in state.connectors]
        if unknown:
            missing = "there is no such connector" + ("" if registry.exists() else ": there is no registry here yet")
            raise DeclarationError([Problem(f"connector {name}", "", missing) for name in unknown])
        enabled = [name for name, each in state.connectors.items() if each.enabled]
        if names is None and not enabled:
            what = "holds no enabled connector" if registry.exists() else "does not exist yet"
            module.warn(f"Nothing was tested: the registry {what}.")
        chosen = enabled if names is None else dict.fromkeys(names)
        return [_registered_job(reader, state.connectors[name], bounds) for name in chosen]


def _registered_job(reader: Reader, connector: Connector, bounds: Bounds) -> Job:
    if not connector.enabled:
        return Job(connector.name, refused=Signal("config", text="the connector is disabled"))
    try:
        secrets = {path: reader.open_secret(str(connector.secrets[path])) for path in _needed(connector, bounds)}
    except MailroomError as error:
        return Job(connector.name, refused=Signal("config", text=str(error)))
    return _job(connector, secrets)


def _needed(connector: Connector, bounds: Bounds) -> Iterator[str]:
    """The secrets that a test of this depth uses."""
    for path in connector.secrets:
        if reaches(bounds.depth, "login") or (path.endswith("proxy_password") and not path.startswith("oauth2.")):
            yield path


def _job(connector: Connector, secrets: Mapping[str, Secret]) -> Job:
    return Job(connector.name, connector.effective(), secrets)


def failure_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Which connectors fail, why, and what to do."""
    failed = [result for result in results if result["status"] == "fail"]
    lines = [f"{len(failed)} of {len(results)} connectors failed the test:"]
    lines += [
        f"- {each['connector']}: {each['verdict']}{_place(each)} ({each['certainty']}). {each['remedy']}"
        for each in failed
    ]
    return "\n".join(lines)


def _place(result: Mapping[str, Any]) -> str:
    """Where the first failure was."""
    for endpoint in result["endpoints"]:
        for phase in endpoint["phases"]:
            if phase["status"] == "fail":
                return f" at {endpoint['protocol']} {endpoint['host']} port {endpoint['port']}, phase {phase['phase']}"
    return ""
