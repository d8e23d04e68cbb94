# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The known word that a misspelt one was meant to be."""

from __future__ import annotations

import subprocess
import sys

import places

from ansible_collections.mailroom.core.plugins.module_utils._connector import presets, suggest
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BY_PATH
from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import (
    did_you_mean,
    nearest,
    printable_word,
)

FIELDS = sorted({path.rpartition(".")[2] for path in BY_PATH} | {"name", "smtp", "imap", "graph", "oauth2"})


MISSPELT = {
    "nmae": "name",
    "hostt": "host",
    "hots": "host",
    "prot": "port",
    "usrname": "username",
    "user": "username",
    "pasword": "password",
    "pass": "password",
    "desc": "description",
    "secuirty": "security",
    "display-name": "display_name",
    "Display Name": "display_name",
    "from_adress": "from_address",
    "validate_cert": "validate_certs",
    "SMTP": "smtp",
    "smpt": "smtp",
}


def test_typing_error_in_a_field_is_recognised() -> None:
    assert {typed: nearest(typed, FIELDS) for typed in MISSPELT} == MISSPELT


def test_typing_error_in_a_provider_is_recognised() -> None:
    misspelt = {"Gmial": "gmail", "GMAIL": "gmail", "mailgunn": "mailgun", "microsoft": "microsoft365"}
    assert {typed: nearest(typed, presets.PRESETS) for typed in misspelt} == misspelt


def test_beginning_of_one_word_wins_over_a_shorter_word_that_is_more_alike() -> None:
    assert nearest("connectors_env", ["connectors", "connectors_environment"]) == "connectors_environment"


def test_beginning_of_several_words_is_compared_like_any_other() -> None:
    assert nearest("connector", ["connectors", "connectors_secrets"]) == "connectors"


def test_what_is_like_no_known_word_suggests_none() -> None:
    for typed in ("", " ", "x", "zebra", "\0", "é", "n", "a" * 100_000):
        assert (nearest(typed, FIELDS), did_you_mean(typed, FIELDS)) == ("", ""), typed[:10]


def test_another_word_is_no_typing_error() -> None:
    assert nearest("result", ["default", "verify"]) == ""


def test_without_known_words_there_is_no_suggestion() -> None:
    assert nearest("name", []) == ""


def test_suggestion_keeps_the_spelling_of_the_known_word() -> None:
    assert nearest("prodalerts", ["Prod_Alerts"]) == "Prod_Alerts"


def test_message_ends_with_the_suggestion() -> None:
    assert did_you_mean("nmae", FIELDS) == "; did you mean name?"


def test_unknown_word_is_shown_short_and_printable() -> None:
    assert printable_word("na\x1b[31m\nme" + "x" * 1000) == "na?[31m?me" + "x" * 90


def test_difflib_is_imported_only_when_something_is_misspelt() -> None:
    script = (
        f"import importlib, sys; sys.path.insert(0, {str(places.COLLECTIONS)!r})\n"
        f"module = importlib.import_module({suggest.__name__!r})\n"
        "assert module.nearest('host', ['host']) == 'host' and 'difflib' not in sys.modules\n"
        "assert module.nearest('hots', ['host']) == 'host' and 'difflib' in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 0
