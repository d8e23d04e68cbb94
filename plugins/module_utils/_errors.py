# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What can go wrong, as exceptions whose text is one clear sentence for the user."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_FRAMES = 30
MOST_CAUSES = 5
LONGEST_TEXT = 500


class MailroomError(Exception):
    """Anything that the user is told about."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a declaration: where it is and what is allowed."""

    where: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.field, self.message) if part)


FieldMessage = tuple[str, str]
"""The path of a field, and what is wrong or remarkable about it."""


class DeclarationError(MailroomError):
    """What was declared, or the change it asks for, is not allowed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"{len(self.problems)} problems, nothing was changed:", *(f"- {problem}" for problem in self.problems)]
        super().__init__(str(self.problems[0]) if len(self.problems) == 1 else "\n".join(lines))


class ConnectorsFailed(MailroomError):
    """Connectors did not pass a test; the results come with it."""

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
    """What is stored for a field was sealed as something else: it counts as not stored."""

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
    """What others say on one line of a message, with a question mark for whatever cannot be printed."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def traceback_of(bug: BaseException, redact: Callable[[str], str] | None = None) -> list[str]:
    """Where a bug happened, in lines: files and source, never the values of variables.

    What an exception says may hold a secret: it is left out unless it can be redacted.
    """
    # The exception, and those that led to it.
    causes: list[BaseException] = []
    cause: BaseException | None = bug
    while cause is not None and len(causes) < MOST_CAUSES and not any(cause is each for each in causes):
        causes.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    lines: list[str] = []
    for error in reversed(causes):
        lines.append("Traceback (most recent call last):")
        for entry in traceback.format_tb(error.__traceback__, limit=-MOST_FRAMES):
            lines += entry.rstrip().split("\n")
        text = redact(_text_of(error))[:LONGEST_TEXT] if redact else ""
        lines.append(f"{type(error).__name__}: {text}" if text else type(error).__name__)
    return [redact(line) for line in lines] if redact else lines


def _text_of(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001  an exception may be broken itself
        return ""
