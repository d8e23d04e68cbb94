# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module mail: sends mail through a connector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._argspec import ArgumentSpec, connector_declaration
from .._check.interface import Bounds
from .._check.job import Job
from .._check.outbox import Attempt, Outbox
from .._connector.resolved import ResolvedConnector
from .._connector.state import Connector, Wanted
from .._connector.view import can_send
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, MissingLibrary, Problem, RegistryError
from .._message.draft import assemble, sending_domain
from .._message.outgoing_mail import OutgoingMail, random_message_id
from .._registry.registry import Reader, Registry
from .._verdict.diagnosis import diagnose
from .._verdict.fields import field_of
from .._verdict.observation import Observation, ProbeError
from .inline import inline_job, parse_inline
from .jobs import stored_job
from .mail_options import MESSAGE, MOST_MESSAGES, Message, MessageReader
from .shared_options import Written, open_registry, registry_options
from .stored import require_registry, select_connector
from .task import Task, run
from .watchdog import start_watchdog

_LIMITS = (("timeout", 0.1, 600), ("deadline", 0.1, 86400))
_MOST_LISTED = 20


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "connector": {"type": "str"},
            "purpose": {"type": "str"},
            "tenant": {"type": "str"},
            **MESSAGE,
            "messages": {"type": "list", "elements": "dict", "options": MESSAGE},
            "include_copies": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 10},
            "deadline": {"type": "float", "default": 300},
        },
        mutually_exclusive=[("connector", "purpose", "declaration"), *(("messages", option) for option in MESSAGE)],
        required_by={"tenant": ("purpose",)},
    )
    return options.merge(connector_declaration(), registry_options())


def run_module() -> None:
    run(Task(argument_spec(), malformed=_find_malformed, explain=_explain), _mail)


def _mail(module: Task) -> dict[str, Any]:
    messages = read_messages(module)
    job = find_job(module)
    if not module.check_mode:
        start_watchdog()
    return send_messages(module, messages, job)


def _find_malformed(params: Mapping[str, Any], _written: Mapping[str, Any]) -> Sequence[Problem]:
    declared = params.get("declaration")
    return () if declared is None else parse_inline(declared)[1]


def _explain(error: MailroomError) -> dict[str, Any]:
    """What every failure has, where nothing was sent yet."""
    if isinstance(error, ConnectorsFailed):
        return {}
    is_host = isinstance(error, (MissingLibrary, RegistryError))
    field = error.problems[0].field or None if isinstance(error, DeclarationError) else None
    verdict = "host_not_ready" if is_host else "config_invalid"
    return {**_NOTHING, "verdict": verdict, "certainty": "certain", "field": field, "remedy": str(error)}


_NOTHING: dict[str, Any] = {"changed": False, "sent": [], "refused": [], "unconfirmed": []}


def send_messages(module: Written, messages: Sequence[Message], job: Job) -> dict[str, Any]:
    """Send messages through a connector; the result of the task."""
    if job.refused:
        raise _failure(job.connector, job.refused)
    copies = module.params["include_copies"]
    try:
        domain = sending_domain(job.connector)
        mails = [
            assemble(job.connector, each.draft(job.connector, random_message_id(domain, "mail"), include_copies=copies))
            for each in messages
        ]
    except ProbeError as error:
        raise _failure(job.connector, error.observation) from None
    if module.check_mode:
        planned = [_sent(mail, (), None, None) for mail in mails]
        return {**_NOTHING, "changed": True, "sent": planned, "msg": f"{_count(mails)} would be sent."}
    outbox = Outbox(mails)
    bounds = Bounds(depth="send", timeout=module.params["timeout"], deadline=module.params["deadline"])
    outbox.send(job, bounds)
    lost = dict.fromkeys(each for attempt in outbox.attempts if attempt.accepted for each in attempt.accepted.lost)
    if lost:
        module.warn(f"Microsoft Graph does not carry: {', '.join(lost)}")
    return _Report(job.connector, messages, outbox.attempts, has_list=module.params["messages"] is not None).result()


def read_messages(module: Written) -> list[Message]:
    """The messages of the task."""
    params, reader = module.params, MessageReader()
    written = params["messages"]
    problems = [
        Problem("", option, f"must be a number from {low} to {high}")
        for option, low, high in _LIMITS
        if not low <= params[option] <= high
    ]
    if written is None:
        messages = [reader.read(params)]
    elif 1 <= len(written) <= MOST_MESSAGES:
        messages = [reader.read(each, f"messages[{position}]") for position, each in enumerate(written)]
    else:
        messages = []
        problems.append(Problem("", "messages", f"must be 1 to {MOST_MESSAGES} messages"))
    problems += reader.problems
    if module.check_mode:
        for missing in reader.missing:
            module.warn(f"{missing} yet")
    else:
        problems += reader.missing
    if problems:
        raise DeclarationError(problems)
    return messages


def find_job(module: Written) -> Job:
    """The connector that sends, with its opened secrets, or with the reason why it cannot."""
    params = module.params
    if params["declaration"] is not None:
        job = inline_job(params["declaration"])
        return job if job.refused or job.connector.sender else _receives_only(job.connector.name)
    registry = open_registry(module)
    with registry.reading() as reader:
        is_named = params["purpose"] or params["connector"] is not None
        connector = select_connector(module, registry, reader)[0] if is_named else _default_connector(registry, reader)
        return stored_job(reader, connector, "send") if can_send(connector.settings) else _receives_only(connector.name)


def _default_connector(registry: Registry, reader: Reader) -> Connector:
    state = reader.load(Wanted(frozenset()))
    if state.default is None:
        require_registry(registry)
        what = "there is no default connector: name a connector or a purpose"
        raise DeclarationError([Problem("", "connector", what)])
    if state.default in state.damaged:
        raise RegistryError(str(state.damaged[state.default]))
    return state.connectors[state.default]


def _receives_only(name: str) -> Job:
    text = f"connector {name} only receives mail: it needs smtp or graph to send"
    return Job(ResolvedConnector(name), refused=Observation("config", text=text, facts={"field": "connector"}))


def _failure(connector: ResolvedConnector, observation: Observation) -> ConnectorsFailed:
    """The failure of a task before anything was sent."""
    reason = _Reason.of(connector, observation)
    return ConnectorsFailed(f"No mail was sent. {reason}", {**_NOTHING, **vars(reason)})


@dataclass(frozen=True)
class _Reason:
    """Why a mail was not accepted, and what to do."""

    verdict: str
    certainty: str
    field: str | None
    remedy: str

    @classmethod
    def of(
        cls,
        connector: ResolvedConnector,
        observation: Observation,
        recipient_option: str = "to",
        large_option: str = "body",
    ) -> _Reason:
        diagnosis = diagnose(observation)
        smtp = connector.smtp
        shares = smtp is not None and smtp.same_credentials
        field = field_of(diagnosis, observation, connector.declared, "to", shares_credentials=shares)
        field = recipient_option if field == "to" else field
        if diagnosis.verdict == "message_too_large":
            field = large_option
        return cls(diagnosis.verdict, diagnosis.certainty, field, diagnosis.remedy)

    def __str__(self) -> str:
        field = f", field {self.field}" if self.field else ""
        return f"{self.verdict} ({self.certainty}){field}. {self.remedy}"


class _Report:
    """What came of each message, as the task returns it."""

    def __init__(
        self,
        connector: ResolvedConnector,
        messages: Sequence[Message],
        attempts: Sequence[Attempt],
        *,
        has_list: bool,
    ) -> None:
        self._connector = connector
        self._messages = messages
        self._attempts = attempts
        self._has_list = has_list

    def result(self) -> dict[str, Any]:
        """The result of the task, or its failure."""
        sent: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        unconfirmed: list[dict[str, Any]] = []
        for position, attempt in enumerate(self._attempts):
            failures = [self._entry(position, *each) for each in self._failures(position, attempt)]
            (unconfirmed if attempt.is_unconfirmed else refused).extend(failures)
            if attempt.accepted:
                names = tuple(attempt.accepted.refused)
                sent.append(_sent(attempt.mail, names, attempt.mail.message_id, attempt.accepted.queue_id or None))
        outcome = {"changed": bool(sent), "sent": sent, "refused": refused, "unconfirmed": unconfirmed}
        if not refused and not unconfirmed:
            return {**outcome, "msg": f"{_count(sent)} sent."}
        first = [*unconfirmed, *refused][0]
        reason = {name: first[name] for name in ("verdict", "certainty", "field", "remedy")}
        raise ConnectorsFailed("\n".join(self._lines(sent, refused, unconfirmed)), {**outcome, **reason})

    def _failures(self, position: int, attempt: Attempt) -> Iterator[tuple[tuple[str, ...], _Reason]]:
        """The recipients that did not get the mail, with the reason."""
        message, mail = self._messages[position], attempt.mail
        if attempt.accepted:
            for recipient, observation in attempt.accepted.refused.items():
                yield (recipient,), _Reason.of(self._connector, observation, message.option_of(recipient))
        elif attempt.observation:
            named = attempt.observation.facts.get("refused") or mail.recipients
            options = (message.option_of(named[0]), message.largest_option)
            yield mail.recipients, _Reason.of(self._connector, attempt.observation, *options)

    def _entry(self, position: int, recipients: tuple[str, ...], reason: _Reason) -> dict[str, Any]:
        return {
            "message": position,
            "to": list(recipients),
            "message_id": self._attempts[position].mail.message_id,
            "tried": self._attempts[position].was_tried,
            **vars(reason),
        }

    def _lines(
        self, sent: Sequence[Any], refused: Sequence[dict[str, Any]], unconfirmed: Sequence[dict[str, Any]]
    ) -> Iterator[str]:
        """The message of the failure: what was not sent and why, and who got mail."""
        yield from self._group("may have been sent, since the answer was lost, and was not sent again", unconfirmed)
        yield from self._group("was not sent", refused)
        if not self._has_list:
            for each in sent:
                queued = f" (queue id {each['queue_id']})" if each["queue_id"] else ""
                yield f"It was sent to {_listed(each['to'])}{queued}."
        elif sent:
            yield f"{_count(sent)} of {len(self._attempts)} sent."

    def _group(self, what: str, entries: Sequence[dict[str, Any]]) -> Iterator[str]:
        """A line for each reason, with the messages and recipients that it stopped."""
        stopped: dict[str, list[str]] = {}
        for each in entries:
            reason = _Reason(*(each[name] for name in ("verdict", "certainty", "field", "remedy")))
            place = f"messages[{each['message']}] to " if self._has_list else ""
            stopped.setdefault(str(reason), []).append(f"{place}{_listed(each['to'])}")
        for text, places in stopped.items():
            mail = "" if self._has_list else "The mail to "
            yield f"{mail}{_listed(places)} {what}: {text}"


def _sent(mail: OutgoingMail, refused: tuple[str, ...], message_id: str | None, queue_id: str | None) -> dict[str, Any]:
    to = [each for each in mail.recipients if each not in refused]
    return {"to": to, "message_id": message_id, "queue_id": queue_id, "refused": list(refused)}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def _count(mails: Sequence[Any]) -> str:
    return "1 mail" if len(mails) == 1 else f"{len(mails)} mails"
