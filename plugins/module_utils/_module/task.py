# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How a task runs: the module that reads declarations, and the change that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, NoReturn

from ansible.module_utils.basic import AnsibleModule

from .._argspec import ArgumentSpec
from .._connector.plan import Plan, Request, make_plan
from .._connector.state import Stamp
from .._errors import DeclarationError, MailroomError, Problem
from .._registry.interface import Reader, Registry
from .registry import open_registry, stamp

Malformed = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Problem]]


class Task(AnsibleModule):
    """A module whose malformed options are all reported at once, by connector and field.

    Ansible stops at the first option of a wrong type and cannot name the connector in a list: so the
    declarations are read again as they were written, and what that finds is said instead.
    """

    def __init__(self, spec: ArgumentSpec, malformed: Malformed | None = None) -> None:
        self._malformed = malformed
        self.written: dict[str, Any] = {}
        try:
            super().__init__(supports_check_mode=True, **spec.to_kwargs())  # type: ignore[no-untyped-call]
        except TypeError as error:
            # Ansible stumbles over an option that should be a dictionary and is none.
            self.fail_json(msg=str(error))
        self._malformed = None

    def _load_params(self) -> None:
        super()._load_params()  # type: ignore[no-untyped-call]
        self.written = dict(self.params)

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn:
        if self._malformed is not None:
            self._fail_malformed(msg)
        super().fail_json(msg=msg, **kwargs)

    def fail_with(self, error: MailroomError) -> NoReturn:
        problems = error.problems if isinstance(error, DeclarationError) else ()
        details = [{"where": each.where, "field": each.field, "message": each.message} for each in problems]
        more: dict[str, Any] = {"problems": details} if details else {}
        super().fail_json(msg=str(error), **more)

    def _fail_malformed(self, msg: str) -> NoReturn:
        """Ansible may not have learnt yet what is secret, so nothing that was written is repeated."""
        read, self._malformed = self._malformed, None
        written, self.params = self.params, {}
        try:
            problems = read(written, self.written) if read else ()
        except (TypeError, AttributeError, KeyError):
            problems = ()
        if problems:
            unknown = sorted(str(option) for option in self.written.keys() - self.argument_spec.keys())
            more = [Problem("", option, "there is no such option") for option in unknown if option[:1] != "_"]
            self.fail_with(DeclarationError([*problems, *more]))
        super().fail_json(msg=msg)


def run(module: Task, body: Callable[[Task], Mapping[str, Any]]) -> None:
    """Run a module's body and hand over its result, or the reason why there is none."""
    try:
        result = body(module)
    except MailroomError as error:
        module.fail_with(error)
    else:
        module.exit_json(**result)


def change(module: Task, request: Request) -> tuple[Plan, bool]:
    """Plan a request and carry it out, except in check mode; say the plan and whether anything changes."""
    registry = open_registry(module)
    now = stamp(module)
    if module.check_mode or not registry.exists():
        with registry.reading() as reader:
            plan, changed = _plan(request, reader, now)
        if module.check_mode or not changed:
            return _told(module, plan, changed)
    return _told(module, *_carry_out(registry, request, now))


def _plan(request: Request, reader: Reader, now: Stamp) -> tuple[Plan, bool]:
    plan = make_plan(request, reader.load(request.wanted()), reader.is_same_secret, now)
    if plan.has_new_secrets:
        reader.check_sealing()
    return plan, plan.changed or reader.needs_resealing()


def _carry_out(registry: Registry, request: Request, now: Stamp) -> tuple[Plan, bool]:
    with registry.writing() as writer:
        plan, changed = _plan(request, writer, now)
        writer.apply(plan)
        if writer.needs_resealing():
            writer.reseal()
    return plan, changed


def _told(module: Task, plan: Plan, changed: bool) -> tuple[Plan, bool]:
    for warning in plan.warnings:
        module.warn(warning)
    return plan, changed
