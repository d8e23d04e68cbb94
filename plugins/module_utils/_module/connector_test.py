# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_test: tests connectors and returns a verdict for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._argspec import ArgumentSpec, connector_declaration
from .._check.interface import Bounds
from .._check.job import Job
from .._check.result import DEPTHS, Result, reaches
from .._check.runner import run as run_tests
from .._connector import checks
from .._connector.state import Connector, State, Wanted
from .._connector.suggest import did_you_mean
from .._connector.view import can_read
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, MissingLibrary, Problem
from .._registry.registry import Reader, Registry
from .._report.model import parse_results
from .._report.table import table_message
from .._verdict.observation import Observation
from .health import recorded_test
from .inline import inline_job, parse_inline
from .jobs import damaged_job, refused_job, stored_job
from .shared_options import host_option, open_registry, recorded_host, registry_options, stamp
from .stored import listed_names, load_connectors
from .task import Task, run
from .watchdog import start_watchdog


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "connectors": {"type": "list", "elements": "str"},
            "depth": {"type": "str", "choices": list(DEPTHS), "default": "login"},
            "to": {"type": "str"},
            "include_copies": {"type": "bool", "default": False},
            "deliver_via": {"type": "str"},
            "timeout": {"type": "float", "default": 10},
            "deadline": {"type": "float", "default": 60},
            "concurrency": {"type": "int", "default": 32},
            "min_days_valid": {"type": "int", "default": 14},
            "fail": {"type": "bool", "default": True},
            "alternatives": {"type": "bool", "default": True},
            "record": {"type": "bool", "default": False},
            **host_option(),
        },
        mutually_exclusive=[("connectors", "declaration")],
    )
    return options.merge(connector_declaration(), registry_options())


def run_module() -> None:
    run(Task(argument_spec(), malformed=_find_malformed), _connector_test)


def _find_malformed(params: Mapping[str, Any], _written: Mapping[str, Any]) -> Sequence[Problem]:
    declared = params.get("declaration")
    return () if declared is None else parse_inline(declared)[1]


def _connector_test(module: Task) -> dict[str, Any]:
    params = module.params
    bounds = _bounds(params)
    bounds = bounds.in_check_mode() if module.check_mode else bounds
    host = recorded_host(module)
    start_watchdog()
    declared = params["declaration"]
    stored: Mapping[str, Connector] = {}
    if declared is None:
        jobs, stored = _registered_jobs(module, bounds)
    elif params["record"]:
        raise DeclarationError([Problem("", "record", "is for connectors of the registry, not for declaration")])
    else:
        jobs = [inline_job(declared)]
        if params["deliver_via"]:
            with open_registry(module).reading() as reader:
                jobs = [_with_reader(jobs[0], _reader_job(module, reader, bounds))]
    results = run_tests(jobs, bounds, params["concurrency"])
    tested = {result.name: result.to_dict(verbose=module.is_verbose) for result in results}
    if params["record"] and not module.check_mode:
        _record(module, host, results, tested, stored)
    reported = [tested[name] for name in (tested if declared is not None else params["connectors"] or tested)]
    summary = {status: sum(result["status"] == status for result in reported) for status in ("ok", "warn", "fail")}
    outcome = {"changed": False, "results": reported, "summary": summary}
    message = table_message(parse_results(reported))
    if summary["fail"] and params["fail"]:
        raise ConnectorsFailed(message, outcome)
    return {**outcome, "msg": message}


def _record(
    module: Task,
    host: str,
    results: Sequence[Result],
    tested: Mapping[str, Mapping[str, Any]],
    stored: Mapping[str, Connector],
) -> None:
    """Keep the outcome of all tests, in one transaction. A registry that cannot be written is a warning.

    `stored` are the connectors as they were tested, without those that are damaged.
    """
    at, recorded = stamp(module).at, []
    for result in results:
        shown = tested[result.name]
        # A connector that is disabled was not tested.
        if shown["field"] != "enabled":
            recorded.append(recorded_test(result, shown, stored.get(result.name), at, host))
    try:
        if recorded:
            open_registry(module).write(lambda writer: writer.record_tests(recorded))
    except MailroomError as error:
        module.warn(f"The tests could not be recorded, so connector_info still returns the health from before: {error}")


def _bounds(params: Mapping[str, Any]) -> Bounds:
    problems = [
        Problem("", option, f"must be a number from {low} to {high}")
        for option, low, high in _LIMITS
        if not low <= params[option] <= high
    ]
    if params["to"]:
        problems += checks.run_check(checks.address, params["to"], "", "to")
    if problems:
        raise DeclarationError(problems)
    return Bounds(
        depth=params["depth"],
        to=params["to"] or "",
        include_copies=params["include_copies"],
        timeout=params["timeout"],
        deadline=params["deadline"],
        min_days_valid=params["min_days_valid"],
        alternatives=params["alternatives"],
    )


_LIMITS = (("timeout", 0.1, 600), ("deadline", 0.1, 3600), ("concurrency", 1, 256), ("min_days_valid", 0, 3650))


def _registered_jobs(module: Task, bounds: Bounds) -> tuple[list[Job], Mapping[str, Connector]]:
    """The jobs, and the connectors that they test, without those that are damaged."""
    names = listed_names(module)
    registry = open_registry(module)
    try:
        return _load_jobs(module, registry, bounds)
    except MissingLibrary as missing:
        if not names:
            raise
        observation = Observation("not_ready", text=str(missing), facts={"library": missing.library})
        return [refused_job(name, observation) for name in dict.fromkeys(names)], {}


def _load_jobs(module: Task, registry: Registry, bounds: Bounds) -> tuple[list[Job], Mapping[str, Connector]]:
    names = module.params["connectors"]
    with registry.reading() as reader:
        reading = _reader_job(module, reader, bounds)
        state = load_connectors(registry, reader, names)
        enabled = sorted(
            name for found in (state.connectors, state.damaged) for name, each in found.items() if each.enabled
        )
        if names is None and not enabled:
            what = "holds no enabled connector" if registry.exists() else "does not exist yet"
            module.warn(f"Nothing was tested: the registry {registry.shown} {what}.")
        elif names == []:
            module.warn("Nothing was tested: the list of connectors is empty.")
        chosen = enabled if names is None else dict.fromkeys(names)
        jobs = [
            damaged_job(state.damaged[name])
            if name in state.damaged
            else stored_job(reader, state.connectors[name], bounds.depth)
            for name in chosen
        ]
    return [_with_reader(job, reading) for job in jobs], state.connectors


def _reader_job(module: Task, reader: Reader, bounds: Bounds) -> Job | None:
    """The job of the connector that reads the mail, where the depth requires it. A wrong name is told at any depth."""
    name = module.params["deliver_via"]
    if not name:
        return None
    problems = checks.run_check(checks.connector_name, name, "", "deliver_via")
    state = State() if problems else reader.load(Wanted(frozenset([name])))
    connector = state.connectors.get(name)
    if connector and not can_read(connector.settings):
        problems = [Problem("", "deliver_via", f"connector {name} reads no mail: it has neither imap nor graph")]
    elif not connector and not problems and name not in state.damaged:
        suggestion = did_you_mean(name, state.all_names())
        problems = [Problem("", "deliver_via", f"there is no connector {name}{suggestion}")]
    if problems:
        raise DeclarationError(problems)
    if not reaches(bounds.depth, "deliver"):
        return None
    return stored_job(reader, connector, bounds.depth) if connector else damaged_job(state.damaged[name])


def _with_reader(job: Job, reading: Job | None) -> Job:
    """The job with the mailbox of another connector, unless that is the same one."""
    if reading is None or reading.name == job.name or job.refused:
        return job
    if not reading.refused:
        return replace(job, reader=reading)
    text = f"connector {reading.name}, in whose mailbox the mail is looked for, cannot be used: "
    observation = reading.refused.with_context(text=text + reading.refused.text, facts={"field": "deliver_via"})
    return replace(job, reader=reading, refused=observation)
