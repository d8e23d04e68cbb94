# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import string
import traceback
from dataclasses import asdict
from operator import mod
from pprint import pformat
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import bounded

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import Declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector

VALUE = "hunter2-not-to-be-seen"


def _logged(secret: Secret) -> str:
    stream = io.StringIO()
    logger = logging.getLogger(__name__)
    shown_here = logging.StreamHandler(stream)
    logger.addHandler(shown_here)
    logger.warning("plain %s", secret)
    logger.warning("quoted %r in %s", secret, [secret])
    logger.removeHandler(shown_here)
    return stream.getvalue()


def _raised(secret: Secret) -> str:
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


WAYS_TO_SHOW: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "ascii": ascii,
    "format": format,
    "f-string": lambda secret: f"{secret} {secret!s} {secret!r}",
    "percent": lambda secret: mod("%s %r", (secret, secret)),
    "str.format": lambda secret: string.Formatter().format("{0} {0!r}", secret),
    "template": lambda secret: string.Template("$secret").substitute(secret=secret),
    "join": lambda secret: ",".join(map(str, [secret])),
    "in a list": lambda secret: str([secret]),
    "in a dict": lambda secret: str({"password": secret}),
    "in a declaration": lambda secret: repr(Declaration("alpha", {}, {"smtp.password": secret})),
    "in a connector": lambda secret: repr(Connector("alpha", {}, secrets={"smtp.password": secret})),
    "pretty printed": lambda secret: pformat({"password": secret}),
    "json with default": lambda secret: json.dumps(secret, default=str),
    "logged": _logged,
    "in an exception and its locals": _raised,
}


def test_secret_shows_stars_instead_of_its_value() -> None:
    shown = {name: show(Secret(VALUE)) for name, show in WAYS_TO_SHOW.items()}
    assert {name: text for name, text in shown.items() if VALUE in text or "********" not in text} == {}


WAYS_TO_CARRY_OFF: dict[str, Callable[[Secret], Any]] = {
    "json": json.dumps,
    "json in a dict": lambda secret: json.dumps({"password": secret}),
    "pickle": pickle.dumps,
    "the oldest pickle": lambda secret: pickle.dumps(secret, protocol=0),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in a dict": lambda secret: copy.deepcopy({"password": secret}),
    "asdict": lambda secret: asdict(Declaration("alpha", {}, {"smtp.password": secret})),
    "padded": lambda secret: f"{secret:>30}",
    "bytes": bytes,
    "iterated": list,
    "concatenated": lambda secret: "password=" + secret,
}


def test_secret_refuses_to_be_serialized_or_copied_and_the_refusal_does_not_show_it() -> None:
    for name, carry_off in WAYS_TO_CARRY_OFF.items():
        with pytest.raises(TypeError) as refused:
            carry_off(Secret(VALUE))
        assert VALUE not in str(refused.value), name


def test_a_secret_has_no_attributes_to_look_through() -> None:
    with pytest.raises(TypeError):
        vars(Secret(VALUE))


def test_only_reveal_gives_a_secret_away() -> None:
    assert Secret(VALUE).reveal() == VALUE


@bounded
@given(st.text())
def test_every_secret_shows_the_same_stars_whatever_its_length(value: str) -> None:
    assert {str(Secret(value)), repr(Secret(value)), f"{Secret(value)}"} == {"********"}
    assert Secret(value).reveal() == value
