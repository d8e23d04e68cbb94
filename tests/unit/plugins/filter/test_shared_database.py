# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which registries are in the same database, however that is written."""

from __future__ import annotations

import pytest

from ansible_collections.mailroom.core.plugins.filter.shared_database import shared_database

WRITTEN = "postgresql://writer@db1,db2:5433/mail?schema=mail&target_session_attrs=read-write"


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://reader@db2:5433,DB1:5432/mail?sslmode=require&schema=mail",
        "postgresql:///mail?schema=mail&host=db1,db2&port=5432,5433",
        "postgresql://db1,db2:5433/m%61il?schema=mail&passfile=/etc/pgpass",
    ],
)
def test_user_parameters_and_order_make_no_difference(other: str) -> None:
    assert shared_database(other, "a") == shared_database(WRITTEN, "b")


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://db1,db2:5433/mail",
        "postgresql://db1,db2:5433/other?schema=mail",
        "postgresql://db1,db2:5432/mail?schema=mail",
        "postgresql://db1/mail?schema=mail",
        "postgresql:///mail?schema=mail&service=db1",
    ],
)
def test_schema_database_and_servers_do(other: str) -> None:
    assert shared_database(other, "a") != shared_database(WRITTEN, "a")


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "[::1]", "", "%2Frun"])
def test_a_database_on_the_host_itself_is_shared_on_that_machine_only(address: str) -> None:
    location = f"postgresql://{address}/mail"
    assert shared_database(location, "a") == shared_database(location, "a")
    assert shared_database(location, "a") != shared_database(location, "b")


@pytest.mark.parametrize("location", ["", None, "/var/lib/mailroom/registry.db"])
def test_a_file_is_in_no_database(location: str | None) -> None:
    assert shared_database(location, "a") == ""


def test_refused_location_is_not_shown_and_shared_with_no_other_host() -> None:
    location = "postgresql://user:not-to-be-shown@db1/mail"
    assert "not-to-be-shown" not in shared_database(location, "a")
    assert shared_database(location, "a") not in ("", shared_database(location, "b"))
