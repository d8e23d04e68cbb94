# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module init_mail: sends the Init Mail of each connector once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from .._argspec import ArgumentSpec
from .._check.delivery import compose_mail
from .._check.interface import Bounds
from .._check.job import InitMail, Job
from .._check.result import Result
from .._check.runner import CONCURRENCY
from .._check.runner import run as send_all
from .._connector import checks
from .._connector.resolved import resolve_connector
from .._connector.state import Connector, Proof, State, sending_fingerprint
from .._connector.view import can_send
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem, RegistryError
from .._message.outgoing_mail import init_message_id
from .._registry.registry import Reader, Registry
from .._registry.storage import Turn
from .._report.model import parse_results
from .._report.table import failure_message
from .._verdict.observation import Observation, ProbeError
from .jobs import damaged_job, refused_job, stored_job
from .shared_options import open_registry, registry_options, stamp
from .stored import listed_names, load_connectors
from .task import Task, run
from .watchdog import start_watchdog


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "connectors": {"type": "list", "elements": "str"},
            "to": {"type": "str"},
            "tenant": {"type": "str"},
            "force": {"type": "bool", "default": False},
            "include_copies": {"type": "bool", "default": False},
        }
    )
    return options.merge(registry_options())


def run_module() -> None:
    run(Task(argument_spec()), _init_mail)


@dataclass(frozen=True)
class _Delivery:
    """An Init Mail to send."""

    connector: Connector
    job: Job
    to: str

    def sent(self, message: Mapping[str, Any]) -> dict[str, Any]:
        identifiers = {name: message.get(name) for name in ("message_id", "queue_id")}
        return {"connector": self.connector.name, "to": self.to, **identifiers}


def _init_mail(module: Task) -> dict[str, Any]:
    params = module.params
    problems: list[Problem] = []
    for option, check in (("to", checks.address), ("tenant", checks.tenant_name)):
        if params[option]:
            problems += checks.run_check(check, params[option], "", option)
    if problems:
        raise DeclarationError(problems)
    names = listed_names(module)
    stamp(module)
    registry = open_registry(module)
    alone = None if module.check_mode or not registry.exists() else registry.exclusive()
    with alone or nullcontext() as turn:
        with registry.reading() as reader:
            state = load_connectors(registry, reader, names)
            due, proven = _select_due(module, state)
            deliveries = []
            for each in due:
                to = params["to"] or resolve_connector(each).test_address
                deliveries.append(_Delivery(each, _job(params["tenant"] or "", reader, each), to))
            deliveries += [
                _Delivery(Connector(damage.name, {}), damaged_job(damage), "")
                for damage in state.damaged.values()
                if (damage.enabled if names is None else damage.name in names)
            ]
        init_mail_run = _InitMailRun(module, registry, deliveries, turn)
        results = init_mail_run.preview() if module.check_mode else init_mail_run.execute()
    outcome = {"changed": bool(init_mail_run.sent), "sent": init_mail_run.sent, "already_proven": proven}
    if any(result["status"] == "fail" for result in results):
        message = "\n".join([failure_message(parse_results(results), "could not send"), *init_mail_run.unrecorded])
        raise ConnectorsFailed(message, {**outcome, "results": results})
    if init_mail_run.unrecorded:
        raise ConnectorsFailed("\n".join(init_mail_run.unrecorded), outcome)
    return outcome


def _select_due(module: Task, state: State) -> tuple[list[Connector], list[str]]:
    """The connectors whose Init Mail is due, and the names of those that are proven already."""
    names, tenant = module.params["connectors"], module.params["tenant"] or ""
    if names is None:
        sending = [each for each in state.connectors.values() if each.enabled and can_send(each.settings)]
        wanted = [each for each in sending if each.available_to(tenant)]
        if not wanted and not state.damaged:
            whom = f" and is available to tenant {tenant}" if sending else ""
            module.warn(f"Nothing was sent: there is no enabled connector that can send{whom}.")
    else:
        if not names:
            module.warn("Nothing was sent: the list of connectors is empty.")
        wanted = [state.connectors[name] for name in dict.fromkeys(names) if name in state.connectors]
        # A tenant may only use connectors that are available to it.
        others = [each for each in wanted if not each.available_to(tenant)]
        if others:
            allowed = "it is available to these tenants only: {}"
            raise DeclarationError(
                [
                    Problem(
                        f"connector {each.name}", "tenant", allowed.format(", ".join(each.settings["available_to"]))
                    )
                    for each in others
                ]
            )
    proving = [] if module.params["force"] else wanted
    proven = [each.name for each in proving if each.is_proven and each.enabled and can_send(each.settings)]
    return [each for each in wanted if each.name not in proven], proven


def _job(tenant: str, reader: Reader, connector: Connector) -> Job:
    from .._message.draft import sending_domain

    if not can_send(connector.settings):
        text = "the connector only receives mail: it needs smtp or graph to send"
        return refused_job(connector.name, Observation("config", text=text))
    job = stored_job(reader, connector, "send")
    if job.refused:
        return job
    try:
        domain = sending_domain(job.connector)
    except ProbeError as stopped:
        return replace(job, refused=stopped.observation)
    created = json.dumps([connector.identity, connector.created.at])
    message_id = init_message_id(reader.registry_id(), created, sending_fingerprint(connector), domain)
    return replace(job, init_mail=InitMail(message_id, tenant))


class _InitMailRun:
    """The Init Mails of one task. Each is recorded as soon as a server has accepted it."""

    def __init__(
        self, module: Task, registry: Registry, deliveries: Sequence[_Delivery], turn: Turn | None = None
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.unrecorded: list[str] = []
        self._module = module
        self._registry = registry
        self._deliveries = deliveries
        self._turn = turn
        to, include_copies = module.params["to"] or "", module.params["include_copies"]
        bounds = Bounds(depth="send", to=to, include_copies=include_copies)
        self._bounds = bounds.in_check_mode() if module.check_mode else bounds

    def preview(self) -> list[dict[str, Any]]:
        """What would be sent, for check mode: mail is composed, to find errors, but no server is contacted."""
        if self._deliveries:
            self._registry.check_writable()
        results = []
        for delivery in self._deliveries:
            job = delivery.job
            warnings = [*self._bounds.warnings]
            result = Result(delivery.connector.name, self._bounds.depth, observation=job.refused, warnings=warnings)
            try:
                if not job.refused:
                    compose_mail(job, self._bounds.to, include_copies=self._bounds.include_copies)
            except ProbeError as stopped:
                result.observation = stopped.observation
            results.append(result.to_dict(verbose=self._module.is_verbose))
        self.sent = [
            delivery.sent({"message_id": delivery.job.init_mail.message_id if delivery.job.init_mail else None})
            for delivery, result in zip(self._deliveries, results)
            if result["status"] != "fail"
        ]
        return results

    def execute(self) -> list[dict[str, Any]]:
        if not self._deliveries:
            return []
        start_watchdog()
        # Without a writable registry nothing is sent. SQLite allows a transaction to begin that cannot write.
        self._registry.check_writable()
        with self._registry.writing():
            pass
        jobs = [delivery.job for delivery in self._deliveries]
        results = send_all(jobs, self._bounds, CONCURRENCY, self._record_proof, refuse=self._lost_turn)
        accepted = [(delivery, result.accepted()) for delivery, result in zip(self._deliveries, results)]
        self.sent = [delivery.sent(message) for delivery, message in accepted if message]
        return [result.to_dict(verbose=self._module.is_verbose) for result in results]

    def _lost_turn(self) -> Observation | None:
        """Why nothing more may be sent: another task may be sending it by now."""
        try:
            if self._turn:
                self._turn.check()
        except RegistryError as error:
            return Observation("not_ready", text=str(error))
        return None

    def _record_proof(self, position: int, result: Result) -> None:
        """Record one mail in its own transaction, while others are still being sent."""
        if not result.accepted():
            return
        delivery = self._deliveries[position]
        proof = Proof(delivery.connector.revision, stamp(self._module).at, delivery.to)
        try:
            self._registry.write(lambda writer: writer.record_proof(delivery.connector, proof))
        except MailroomError as error:
            name = delivery.connector.name
            self.unrecorded.append(f"connector {name}: the Init Mail was sent, but this could not be recorded: {error}")
