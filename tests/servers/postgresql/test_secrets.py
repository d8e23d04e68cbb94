# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret is seen: not by users, not by the server that logs every statement, not by who copies the database."""

from __future__ import annotations

import json

import pytest
from peers.postgresql import DATABASE, SUPERUSER, program
from unit.plugins.module_utils._module.conftest import Play
from unit.plugins.module_utils._registry.samples import KEY, NEW_KEY

from .conftest import Place

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SMTP = {"host": "mail.example.com", "username": "mailer", "password": PASSWORD}


@pytest.fixture
def outputs(play: Play, place: Place) -> str:
    """What tasks of all kinds returned, successful ones and others, over TCP with a password."""
    shared = {"registry_password": place.server.password, "registry_key": KEY, "verbosity": 3}
    location = place.server.location(place.schema)
    broken = place.server.location(place.schema, port=1)
    returned = [
        play("connector", registry=location, name="a", smtp=SMTP, **shared),
        play("connector", registry=location, name="a", smtp={**SMTP, "password": f"new {PASSWORD}"}, **shared),
        play("connectors", registry=location, connectors=[{"name": "b", "smtp": SMTP}], **shared),
        play("connector_info", registry=location, history=True, **shared),
        play("connector", registry=location, name="c", smtp=SMTP, check=True, **shared),
        play("connector", registry=broken, name="c", smtp=SMTP, **shared),
        play("registry", registry=location, grant_read=["nobody_here"], **shared),
        play("connector", registry=location, name="b", smtp=SMTP, **{**shared, "registry_password": PASSWORD}),
        play("connectors", registry=location, connectors=[], **{**shared, "registry_key": f"{NEW_KEY},{KEY}"}),
        play("connector", registry=f"postgresql://robot:{PASSWORD}@db/mail", name="c", smtp=SMTP, **shared),
    ]
    place.admin("ALTER TABLE {s}.connector ADD CONSTRAINT short CHECK (length(settings::text) < 10) NOT VALID")
    returned.append(play("connector", registry=location, name="d", smtp=SMTP, **{**shared, "registry_key": NEW_KEY}))
    assert [bool(each.get("failed")) for each in returned] == [False] * 5 + [True] * 3 + [False] + [True] * 2
    assert returned[-1]["msg"].endswith("cannot be changed: the constraint short of the database forbids it.")
    return json.dumps(returned)


def test_no_secret_is_seen(outputs: str, place: Place) -> None:
    server = place.server
    address = ("--host", str(server.folder), "--port", str(server.port), "--username", SUPERUSER)
    dumped = server.run(program("pg_dump"), *address, "--schema", place.schema, DATABASE)
    assert '"mail.example.com"' in dumped
    log = server.log.read_text(encoding="utf-8")
    assert f'INSERT INTO "{place.schema}".secret' in log
    activity = str(place.admin("SELECT query FROM pg_stat_activity"))
    for text in (outputs, dumped, log, activity):
        for secret in (PASSWORD, server.password, KEY, NEW_KEY):
            assert secret not in text
