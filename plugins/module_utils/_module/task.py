# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Runs a module: parses its options, runs its body, and returns a result or a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, NoReturn

from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.warnings import get_warning_messages

from .._argspec import ArgumentSpec
from .._connector.secret import HIDDEN
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem, format_traceback
from .options import find_secrets, parse_options

BUG = (
    "This is a bug in mailroom.core ({kind}), not a mistake in the task. Run the task again with -vvv, which shows"
    " where it happened, and report the output."
)
VERBOSE = 3

Malformed = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Problem]]
Explain = Callable[[MailroomError], Mapping[str, Any]]


class Task(AnsibleModule):
    """A module that reports all malformed options at once, by connector and field, without their values.

    Ansible itself would stop at the first one, quote its value, and could not name the connector in a list. So
    AnsibleModule gets none of our options, and `parse_options` parses them.
    """

    def __init__(self, spec: ArgumentSpec, malformed: Malformed | None = None, explain: Explain | None = None) -> None:
        passed = basic._load_params()  # noqa: SLF001  Ansible says that modules may call it
        given = passed or {}
        self.written = {name: value for name, value in given.items() if not name.startswith("_ansible_")}
        self._ansible_params = {name: value for name, value in given.items() if name.startswith("_ansible_")}
        self._spec = spec
        self._malformed = malformed
        self._explain = explain
        # When ansible-test reads the spec, no options are passed.
        accepted = spec if passed is None else ArgumentSpec({})
        super().__init__(supports_check_mode=True, **accepted.to_kwargs())  # type: ignore[no-untyped-call]

    def _load_params(self) -> None:
        """Leave our options to `parse_options`: Ansible would parse, copy and check all of them again."""
        self.params = self._ansible_params

    @property
    def is_verbose(self) -> bool:
        """Whether the task was run with -vvv."""
        return int(self._verbosity) >= VERBOSE

    def parse_options(self) -> None:
        """Parse the options, or raise all problems with them.

        Malformed declarations are left as they were written: the module's body parses them again, and reports their
        problems together with those of the change.
        """
        found = parse_options(self._spec, self.written)
        self.params = found.params
        self.no_log_values.update(find_secrets(self._spec.options, {**self.written, **found.params}))
        if not found.problems and not found.malformed:
            return
        details = self._malformed(self.params, self.written) if self._malformed else ()
        if found.problems or not details:
            raise DeclarationError([*(details or found.malformed), *found.problems])

    def fail_with(self, error: MailroomError) -> NoReturn:
        problems = error.problems if isinstance(error, DeclarationError) else ()
        details = [{"where": each.where, "field": each.field, "message": each.message} for each in problems]
        more: dict[str, Any] = {"problems": details} if details else {}
        if self._explain:
            more.update(self._explain(error))
        if isinstance(error, ConnectorsFailed):
            more.update(error.result)
        self.params = {}
        self.fail_json(msg=str(error), **more)

    def fail_with_bug(self, bug: Exception) -> NoReturn:
        """Fail with one sentence, and with -vvv a traceback.

        It is also in `traceback`, since not every version of Ansible shows an `exception` with -vvv.
        """
        lines = format_traceback(bug) if self.is_verbose else []
        for secret in sorted(self.no_log_values, key=len, reverse=True):
            lines = [line.replace(secret, HIDDEN) for line in lines]
        more: dict[str, Any] = {"traceback": lines, "exception": "\n".join(lines)} if lines else {}
        self.params = {}
        self.fail_json(msg=BUG.format(kind=type(bug).__name__), **more)

    def end(self, result: Mapping[str, Any]) -> NoReturn:
        """Return a result, without the options.

        Ansible masks each secret in each text one by one, which is slow for many secrets, so only those that occur in
        the result are left to mask.
        """
        self.params = {}
        text = "\0".join({*_strings(result), *get_warning_messages()})
        self.no_log_values = {secret for secret in self.no_log_values if secret in text}
        self.exit_json(**result)

    def _log_invocation(self) -> None:
        """Log the names of the given options, not their values: any of them may contain a password."""
        self.log(f"Invoked with the options {', '.join(sorted(self.written))}")  # type: ignore[no-untyped-call]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)
    else:
        yield str(value)


def run(module: Task, body: Callable[[Task], Mapping[str, Any]]) -> None:
    """Run a module's body and return its result or failure."""
    failure: Exception | None = None
    result: Mapping[str, Any] = {}
    try:
        module.parse_options()
        result = body(module)
    except Exception as error:  # noqa: BLE001  an uncaught exception would show values
        failure = error
    # While an exception is handled, Ansible would add its traceback, which may contain secrets.
    if failure is None:
        module.end(result)
    elif isinstance(failure, MailroomError):
        module.fail_with(failure)
    else:
        module.fail_with_bug(failure)
