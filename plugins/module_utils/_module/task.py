# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How a task runs: the module that reads declarations, and the change that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.warnings import get_warning_messages

from .._argspec import ArgumentSpec
from .._connector.plan import Plan, Request
from .._connector.planning import make_plan
from .._connector.secret import HIDDEN
from .._connector.state import Stamp
from .._errors import (
    ConnectorsFailed,
    DeclarationError,
    MailroomError,
    MissingLibrary,
    Problem,
    RegistryError,
    RegistryKeyError,
    traceback_of,
)
from .._registry.registry import Migration, Reader, Registry
from .options import read_options, secrets_in
from .registry import open_registry, stamp

if TYPE_CHECKING:
    from .verify import Verification

BUG = (
    "This is a bug in mailroom.core ({kind}), no fault of yours. Run the task again with -vvv, which shows where it"
    " happened, and report that."
)
VERBOSE = 3
MOST_ATTEMPTS = 5
MOST_NAMED = 20

Malformed = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Problem]]


class Task(AnsibleModule):
    """A module whose malformed options are all reported at once, by connector and field, and never with their values.

    Ansible itself would stop at the first one, quote it, and could not name the connector in a list. So AnsibleModule
    takes the options as they were written, whatever they are, and `read_options` reads them.
    """

    def __init__(self, spec: ArgumentSpec, malformed: Malformed | None = None) -> None:
        handed_over = basic._load_params()  # noqa: SLF001  Ansible says that modules may call it
        self.written = {name: value for name, value in (handed_over or {}).items() if not name.startswith("_ansible_")}
        self._spec = spec
        self._malformed = malformed
        as_written = ArgumentSpec({name: {"type": "raw"} for name in self.written})
        # Where ansible-test looks at the spec, nothing is handed over.
        accepted = spec if handed_over is None else as_written
        super().__init__(supports_check_mode=True, **accepted.to_kwargs())  # type: ignore[no-untyped-call]

    @property
    def is_verbose(self) -> bool:
        """Whether the task was run with -vvv."""
        return int(self._verbosity) >= VERBOSE

    def read_options(self) -> None:
        """Read the options, or raise all that is wrong with them.

        Declarations that are malformed are left as they were written: the module's body reads them again, and tells
        of them beside all else that is wrong with the change.
        """
        found = read_options(self._spec, self.written)
        self.params = found.params
        self.no_log_values.update(secrets_in(self._spec.options, {**self.written, **found.params}))
        if not found.problems and not found.malformed:
            return
        details = self._malformed(self.params, self.written) if self._malformed else ()
        if found.problems or not details:
            raise DeclarationError([*(details or found.malformed), *found.problems])

    def fail_with(self, error: MailroomError) -> NoReturn:
        problems = error.problems if isinstance(error, DeclarationError) else ()
        details = [{"where": each.where, "field": each.field, "message": each.message} for each in problems]
        more: dict[str, Any] = {"problems": details} if details else {}
        if isinstance(error, ConnectorsFailed):
            more.update(error.result)
        self.params = {}
        self.fail_json(msg=str(error), **more)

    def fail_with_bug(self, bug: Exception) -> NoReturn:
        """Fail with one sentence, and with -vvv say where it happened.

        It is in `traceback`, since not every Ansible shows an `exception` with -vvv.
        """
        lines = [self._masked(line) for line in traceback_of(bug)] if self.is_verbose else []
        more: dict[str, Any] = {"traceback": lines, "exception": "\n".join(lines)} if lines else {}
        self.params = {}
        self.fail_json(msg=BUG.format(kind=type(bug).__name__), **more)

    def _masked(self, text: str) -> str:
        for secret in sorted(self.no_log_values, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def end(self, result: Mapping[str, Any]) -> NoReturn:
        """Hand over a result.

        The options are never repeated in it. Ansible masks each secret in each text of it one by one, which takes long
        for many: only those that occur are left to mask.
        """
        self.params = {}
        shown = "\0".join({*_texts(result), *get_warning_messages()})
        self.no_log_values = {secret for secret in self.no_log_values if secret in shown}
        self.exit_json(**result)

    def _log_invocation(self) -> None:
        """Log which options were given, never their values: a password may have slipped into any of them."""
        self.log(f"Invoked with the options {', '.join(sorted(self.written))}")  # type: ignore[no-untyped-call]


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
    failure: Exception | None = None
    result: Mapping[str, Any] = {}
    try:
        module.read_options()
        result = body(module)
    except Exception as error:  # noqa: BLE001  an uncaught one would show values
        failure = error
    # While an exception is being handled Ansible would add its traceback, with what it says.
    if failure is None:
        module.end(result)
    elif isinstance(failure, MailroomError):
        module.fail_with(failure)
    else:
        module.fail_with_bug(failure)


def verification(module: Task) -> Verification | None:
    """The tests that a task asks for with `verify`. What tests is imported only for it."""
    if module.params["verify"] == "none":
        return None
    from .verify import Verification

    return Verification(module.params["verify"], module.check_mode, module.is_verbose)


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
        if module.check_mode or tests or not registry.exists() or not _is_writable(registry):
            plan, changed, migration = _look_ahead(module, registry, request, now, tests)
            writes = changed or bool(migration.due)
            if module.check_mode and writes:
                registry.check_writable(seals=plan.has_new_secrets)
            if module.check_mode or not writes:
                return _told(module, plan, changed, migration)
        with suppress(_Untested):
            return _told(module, *_carry_out(registry, request, now, tests))
    raise RegistryError("Others keep changing these connectors while they are tested: run the task again.")


def _is_writable(registry: Registry) -> bool:
    """Whether this user may change the registry. Who may not can still run a task that changes nothing."""
    try:
        registry.check_writable()
    except RegistryError:
        return False
    return True


def _look_ahead(
    module: Task, registry: Registry, request: Request, now: Stamp, tests: Verification | None
) -> tuple[Plan, bool, Migration]:
    """The plan as things are. It is tested when the registry is let go of: others go on working meanwhile."""
    with registry.reading() as reader:
        plan, changed = _plan(request, reader, now, lacking=module.warn if module.check_mode else None)
        migration = reader.migration()
        trials = tests.trials(plan, reader) if tests else []
    if tests:
        tests.test(trials)
        for reason in dict.fromkeys(tests.untested_here):
            module.warn(reason)
    return plan, changed, migration


def _plan(
    request: Request, reader: Reader, now: Stamp, lacking: Callable[[str], object] | None = None
) -> tuple[Plan, bool]:
    """The plan, and whether it changes anything.

    A library that is missing is told to `lacking`, if it is given: in check mode an earlier task may be to install it.
    """
    plan = make_plan(request, reader.load(request.wanted()), reader.is_same_secret, now, reader.is_foreign)
    try:
        reader.check_sealing(plan)
    except MissingLibrary as missing:
        if lacking is None:
            raise
        lacking(str(missing))
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
        module.warn(
            "These secrets were sealed by an earlier release and are not bound to where they go yet, because their key"
            " or the Python library cryptography is missing, or because they cannot be opened (then give them again):"
            f" {_some_of(migration.put_off)}"
        )
    if migration.not_rotated:
        module.warn(
            "Nothing was sealed with the first key, since these secrets are sealed with a key that is not given: add it"
            f" to registry_key or registry_key_file, or give the secrets again: {_some_of(migration.not_rotated)}"
        )
    return plan, changed


def _some_of(secrets: Sequence[str]) -> str:
    return "; ".join([*secrets[:MOST_NAMED], *(["and others"] if secrets[MOST_NAMED:] else [])])
