# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Exceptions whose text is one clear sentence for the user."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

MAX_FRAMES = 30
MAX_CAUSES = 5
MAX_TEXT_LENGTH = 500


class MailroomError(Exception):
    """An error whose text is shown to the user."""


class Problem(NamedTuple):
    """A problem with a declaration: where it is and what is allowed."""

    where: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.field, self.message) if part)


FieldMessage = tuple[str, str]
"""The path of a field, and a problem or warning."""


class DeclarationError(MailroomError):
    """The declaration, or the change that it requests, is not allowed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"{len(self.problems)} problems, nothing was changed:", *(f"- {problem}" for problem in self.problems)]
        super().__init__(str(self.problems[0]) if len(self.problems) == 1 else "\n".join(lines))


class ConnectorsFailed(MailroomError):
    """Connectors failed a test or could not send; `result` is returned by the module."""

    def __init__(self, message: str, result: Mapping[str, Any]) -> None:
        self.result = result
        super().__init__(message)


class RegistryError(MailroomError):
    """The registry cannot be read or written."""


class MissingRegistry(RegistryError):
    """There is no registry of this version at the place that was given, and the task may not make one."""


class RetryableError(RegistryError):
    """A transaction was rolled back for a reason that may be gone when it is repeated."""


class RegistryKeyError(MailroomError):
    """The registry's secrets cannot be sealed, compared or opened."""


class ForeignSecret(RegistryKeyError):
    """A stored secret was sealed for another registry, connector, field or destination; it counts as not stored."""

    def __init__(self, message: str, field: str) -> None:
        self.field = field
        super().__init__(message)


_INSTALL = "install it with {} -m pip install {}, or, on Debian and Ubuntu, as the package {}"
_DEBIAN = {
    "cryptography": "python3-cryptography",
    "imapclient": "python3-imapclient",
    "msal": "python3-msal",
    "psycopg": "python3-psycopg",
    "PyYAML": "python3-yaml",
}


class MissingLibrary(MailroomError):
    """The task needs a Python library that is not installed."""

    def __init__(self, library: str, purpose: str, reason: str = "") -> None:
        self.library = library
        package = library.partition(" ")[0]
        install = _INSTALL.format(sys.executable or "python3", package, _DEBIAN[package]) if package in _DEBIAN else ""
        detail = "; ".join(each for each in (reason, install) if each)
        super().__init__(
            f"The Python library {library} is needed {purpose} and cannot be imported by the interpreter"
            f" that runs this module{f' ({detail})' if detail else ''}."
        )


def printable(text: str) -> str:
    """Text from elsewhere for one line of a message, with a question mark for each unprintable character."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def format_traceback(error: BaseException, redact: Callable[[str], str] | None = None) -> list[str]:
    """Format a traceback in lines: files and source, without values of variables.

    The text of an exception may contain a secret, so it is left out unless it can be redacted.
    """
    # The exception and its causes.
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(causes) < MAX_CAUSES and not any(cause is known for known in causes):
        causes.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    lines: list[str] = []
    for each in reversed(causes):
        lines.append("Traceback (most recent call last):")
        for entry in traceback.format_tb(each.__traceback__, limit=-MAX_FRAMES):
            lines += entry.rstrip().split("\n")
        text = redact(_error_text(each))[:MAX_TEXT_LENGTH] if redact else ""
        lines.append(f"{type(each).__name__}: {text}" if text else type(each).__name__)
    return [redact(line) for line in lines] if redact else lines


def _error_text(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001  an exception may be broken itself
        return ""
