# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user reads when something is wrong."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._errors import (
    DeclarationError,
    MailroomError,
    MissingLibrary,
    Problem,
    RegistryError,
    RegistryKeyError,
)

PROBLEMS: list[tuple[Problem, str]] = [
    (Problem("connector alpha", "smtp.port", "must be 25"), "connector alpha: smtp.port: must be 25"),
    (Problem("connector alpha", "", "is in use"), "connector alpha: is in use"),
    (Problem("", "default", "must be a name"), "default: must be a name"),
    (Problem("", "", "nothing fits"), "nothing fits"),
]


@pytest.mark.parametrize(("problem", "text"), PROBLEMS)
def test_a_problem_says_where_which_field_and_what_is_allowed(problem: Problem, text: str) -> None:
    assert str(problem) == text
    assert str(DeclarationError([problem])) == text


def test_many_problems_are_counted_and_listed_one_a_line() -> None:
    error = DeclarationError([problem for problem, text in PROBLEMS])
    assert str(error).splitlines() == ["4 problems, nothing was changed:", *(f"- {text}" for problem, text in PROBLEMS)]
    assert error.problems == tuple(problem for problem, text in PROBLEMS)


def test_a_missing_library_is_one_clear_sentence() -> None:
    error = MissingLibrary("cryptography", "to seal secrets", "no module named cryptography")
    assert str(error) == (
        "The Python library cryptography is needed to seal secrets and cannot be imported by the interpreter that runs"
        f" this module (no module named cryptography; install it with {sys.executable} -m pip install cryptography, or,"
        " on Debian and Ubuntu, as the package python3-cryptography)."
    )
    assert str(MissingLibrary("sqlite3", "to read the registry")).endswith("that runs this module.")
    assert error.library == "cryptography"


@pytest.mark.parametrize("kind", [DeclarationError, RegistryError, RegistryKeyError, MissingLibrary])
def test_every_error_that_the_user_is_told_about_is_of_one_family(kind: type[Exception]) -> None:
    assert issubclass(kind, MailroomError)
