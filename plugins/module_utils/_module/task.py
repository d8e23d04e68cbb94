# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How a task runs: the module that reads declarations, and the change that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.warnings import get_warning_messages

from .._argspec import ArgumentSpec, narrowed
from .._connector.plan import Plan, Request, make_plan
from .._connector.state import Stamp
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem, RegistryError, RegistryKeyError
from .._registry.interface import Migration, Reader, Registry
from .registry import open_registry, stamp

if TYPE_CHECKING:
    from .verify import Verification

# What every service account key says of its type; Ansible takes it for a secret, as it does all in such a key.
_NO_SECRETS = {"service_account"}

MOST_ATTEMPTS = 5
MOST_NAMED = 20

Malformed = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Problem]]


class Task(AnsibleModule):
    """A module whose malformed options are all reported at once, by connector and field.

    Ansible stops at the first option of a wrong type and cannot name the connector in a list. So where the
    declarations, read as they were written, are found to be wrong themselves, the task goes on to gather
    all that is wrong with them, and fails with that.
    """

    def __init__(self, spec: ArgumentSpec, malformed: Malformed | None = None) -> None:
        self._malformed = malformed
        self._refused_by_ansible = ""
        self.written: dict[str, Any] = {}
        try:
            super().__init__(supports_check_mode=True, **spec.to_kwargs())  # type: ignore[no-untyped-call]
        except TypeError as error:
            # Ansible stumbles over an option that should be a dictionary and is none.
            self._fail_unread(str(error))
        self._malformed = None

    def _load_params(self) -> None:
        super()._load_params()  # type: ignore[no-untyped-call]
        self.written = dict(self.params)
        self.argument_spec = narrowed(self.argument_spec, self.written)

    def _log_invocation(self) -> None:
        """Log which options were given, never their values: a password may have slipped into any of them."""
        options = sorted(str(option) for option in self.written if str(option)[:1] != "_")
        self.log(f"Invoked with the options {', '.join(options)}")  # type: ignore[no-untyped-call]

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn:  # type: ignore[misc]
        if self._malformed is None:
            super().fail_json(msg=msg, **kwargs)
        if not self._problems():
            self._fail_unread(msg)
        self._refused_by_ansible = msg

    def fail_with(self, error: MailroomError) -> NoReturn:
        problems = [*error.problems, *self._unknown_options()] if isinstance(error, DeclarationError) else []
        details = [{"where": each.where, "field": each.field, "message": each.message} for each in problems]
        self.params = {}
        self.no_log_values -= _NO_SECRETS
        text = str(DeclarationError(problems)) if problems else str(error)
        more: dict[str, Any] = {"problems": details} if details else {}
        if isinstance(error, ConnectorsFailed):
            more.update(error.result)
        super().fail_json(msg=text, **more)

    def end(self, result: Mapping[str, Any]) -> NoReturn:
        """Hand over a result, unless Ansible has refused the options after all.

        The options are never repeated in it. Ansible masks each secret in each text of it one by one, which takes long
        for many: only those that occur are left to mask.
        """
        self.params = {}
        if self._refused_by_ansible:
            super().fail_json(msg=self._refused_by_ansible)
        shown = "\0".join({*_texts(result), *get_warning_messages()})
        self.no_log_values = {secret for secret in self.no_log_values - _NO_SECRETS if secret in shown}
        self.exit_json(**result)

    def _fail_unread(self, msg: str) -> NoReturn:
        """Fail where Ansible may not have learnt yet what is secret: nothing that was written is repeated."""
        problems = self._problems()
        self._malformed, self.params = None, {}
        if problems:
            self.fail_with(DeclarationError(problems))
        super().fail_json(msg=msg)

    def _problems(self) -> Sequence[Problem]:
        try:
            return self._malformed(self.params, self.written) if self._malformed else ()
        except (TypeError, AttributeError, KeyError):
            return ()

    def _unknown_options(self) -> list[Problem]:
        known = self.argument_spec.keys()
        unknown = sorted(str(option) for option in self.written if option not in known and str(option)[:1] != "_")
        return [Problem("", option, "there is no such option") for option in unknown]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)


def run(module: Task, body: Callable[[Task], Mapping[str, Any]]) -> None:
    """Run a module's body and hand over its result, or the reason why there is none."""
    try:
        result = body(module)
    except MailroomError as error:
        module.fail_with(error)
    else:
        module.end(result)


def verification(module: Task) -> Verification | None:
    """The tests that a task asks for with `verify`. What tests is imported only for it."""
    if module.params["verify"] == "none":
        return None
    from .verify import Verification

    return Verification(module.params["verify"], module.check_mode)


class _Untested(MailroomError):
    """The registry has changed since the tests, so that what would be committed now was not tested."""


def change(module: Task, request: Request, tests: Verification | None = None) -> tuple[Plan, bool]:
    """Plan a request, have it tested where that is asked for, and carry it out, except in check mode.

    Say the plan and whether anything changes.
    """
    try:
        return _changed(module, request, tests)
    except (RegistryError, RegistryKeyError):
        if request.problems:
            raise DeclarationError(request.problems) from None
        raise


def _changed(module: Task, request: Request, tests: Verification | None) -> tuple[Plan, bool]:
    registry = open_registry(module)
    now = stamp(module)
    for _attempt in range(MOST_ATTEMPTS):
        if module.check_mode or tests or not registry.exists():
            plan, changed, migration = _look_ahead(registry, request, now, tests)
            if module.check_mode or not (changed or migration.due):
                return _told(module, plan, changed, migration)
        with suppress(_Untested):
            return _told(module, *_carry_out(registry, request, now, tests))
    raise RegistryError("Others keep changing these connectors while they are tested: run the task again.")


def _look_ahead(
    registry: Registry, request: Request, now: Stamp, tests: Verification | None
) -> tuple[Plan, bool, Migration]:
    """The plan as things are. It is tested when the registry is let go of: others go on working meanwhile."""
    with registry.reading() as reader:
        plan, changed = _plan(request, reader, now)
        migration = reader.migration()
        trials = tests.trials(plan, reader) if tests else []
    if tests:
        tests.test(trials)
    return plan, changed, migration


def _plan(request: Request, reader: Reader, now: Stamp) -> tuple[Plan, bool]:
    plan = make_plan(request, reader.load(request.wanted()), reader.is_same_secret, now, reader.is_foreign)
    reader.check_sealing(plan)
    return plan, plan.changed or reader.needs_resealing()


def _carry_out(
    registry: Registry, request: Request, now: Stamp, tests: Verification | None
) -> tuple[Plan, bool, Migration]:
    with registry.writing() as writer:
        plan, changed = _plan(request, writer, now)
        if tests and tests.untested(plan):
            raise _Untested
        writer.apply(plan)
        if writer.needs_resealing():
            writer.reseal()
        migration = writer.migration()
    return plan, changed, migration


def _told(module: Task, plan: Plan, changed: bool, migration: Migration) -> tuple[Plan, bool]:
    for warning in plan.warnings:
        module.warn(warning)
    if migration.put_off:
        named = [*migration.put_off[:MOST_NAMED], *(["and others"] if migration.put_off[MOST_NAMED:] else [])]
        module.warn(
            "These secrets were sealed by an earlier release and are not bound to where they go yet, because their key"
            " or the Python library cryptography is missing, or because they cannot be opened (then give them again):"
            f" {'; '.join(named)}"
        )
    return plan, changed
