# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How a task runs: the module that reads its options, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, NoReturn

from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.warnings import get_warning_messages

from .._argspec import ArgumentSpec
from .._connector.secret import HIDDEN
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem, traceback_of
from .options import read_options, secrets_in

BUG = (
    "This is a bug in mailroom.core ({kind}), no fault of yours. Run the task again with -vvv, which shows where it"
    " happened, and report that."
)
VERBOSE = 3

Malformed = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Problem]]


class Task(AnsibleModule):
    """A module whose malformed options are all reported at once, by connector and field, and never with their values.

    Ansible itself would stop at the first one, quote it, and could not name the connector in a list. So AnsibleModule
    is handed none of them, whatever they are, and `read_options` reads them.
    """

    def __init__(self, spec: ArgumentSpec, malformed: Malformed | None = None) -> None:
        handed_over = basic._load_params()  # noqa: SLF001  Ansible says that modules may call it
        given = handed_over or {}
        self.written = {name: value for name, value in given.items() if not name.startswith("_ansible_")}
        self._of_ansible = {name: value for name, value in given.items() if name.startswith("_ansible_")}
        self._spec = spec
        self._malformed = malformed
        # Where ansible-test looks at the spec, nothing is handed over.
        accepted = spec if handed_over is None else ArgumentSpec({})
        super().__init__(supports_check_mode=True, **accepted.to_kwargs())  # type: ignore[no-untyped-call]

    def _load_params(self) -> None:
        """Leave our options to `read_options`: Ansible would parse, copy and check all of them once more."""
        self.params = self._of_ansible

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
        lines = traceback_of(bug) if self.is_verbose else []
        for secret in sorted(self.no_log_values, key=len, reverse=True):
            lines = [line.replace(secret, HIDDEN) for line in lines]
        more: dict[str, Any] = {"traceback": lines, "exception": "\n".join(lines)} if lines else {}
        self.params = {}
        self.fail_json(msg=BUG.format(kind=type(bug).__name__), **more)

    def end(self, result: Mapping[str, Any]) -> NoReturn:
        """Hand over a result.

        The options are never repeated in it. Ansible masks each secret in each text of it one by one, which takes long
        for many: only those that occur are left to mask.
        """
        self.params = {}
        text = "\0".join({*_texts(result), *get_warning_messages()})
        self.no_log_values = {secret for secret in self.no_log_values if secret in text}
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
