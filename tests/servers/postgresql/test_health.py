# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of tests in a registry that hosts share."""

from __future__ import annotations

import json

import psycopg
from peers import net
from peers.postgresql import DATABASE, new_schema
from peers.smtp import SmtpScript
from unit.plugins.module_utils._module.conftest import Play

from .conftest import Place


def test_each_host_records_and_a_reader_is_warned(play: Play, place: Place) -> None:
    reader = new_schema()
    place.server.add_role(reader)
    location = place.server.socket_location(place.schema)
    play("registry", registry=location, grant_read=[reader])
    with net.Refused() as closed:
        smtp = {"host": "127.0.0.1", "port": closed.port, "security": "none"}
        play("connector", registry=location, name="a", smtp=smtp)
        test = {"depth": "connect", "record": True, "fail": False}
        for host in ("mail01", "mail02"):
            assert "warnings" not in play("connector_test", registry=location, host=host, **test)
        looking = play("connector_test", registry=place.server.socket_location(place.schema, reader), **test)
    (warning,) = looking["warnings"]
    assert warning.startswith("The tests could not be recorded, so connector_info still returns the health")
    (found,) = play("connector_info", registry=location)["connectors"]
    assert [run["host"] for run in found["health"]["runs"]] == ["mail01", "mail02"]
    assert (found["health"]["host"], found["health"]["failures_in_a_row"]) == ("mail02", 2)


def test_test_before_a_change_is_kept_and_announced_with_it(play: Play, place: Place) -> None:
    location = place.server.socket_location(place.schema)
    given = {"host": str(place.server.folder), "port": place.server.port, "user": "postgres", "dbname": DATABASE}
    with SmtpScript().server() as server, psycopg.connect(**given, autocommit=True) as listening:
        listening.execute("LISTEN mailroom")
        smtp = {"host": "127.0.0.1", "port": server.port, "security": "none"}
        recorded = {"verify": "connect", "record": True, "host": "mail01"}
        assert play("connector", registry=location, name="a", smtp=smtp, **recorded)["changed"]
        made, tested = (json.loads(each.payload) for each in listening.notifies(timeout=5, stop_after=2))
    assert (made["connector"], made["change"]) == ("a", "created")
    (found,) = play("connector_info", registry=location)["connectors"]
    assert [run["host"] for run in found["health"]["runs"]] == ["mail01"]
    assert tested == {"connector": "a", **{name: found["health"][name] for name in ("verdict", "status")}}
