# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Transactions in a PostgreSQL database, and what goes wrong with them, in sentences.

All that is set is set for one transaction, and no statement is prepared, so that it works behind a pooler that hands
out connections by transaction, such as PgBouncer. What a server says is shown without its details, which may hold the
values of rows, and never without redaction.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..._connector.redaction import Redaction
from ..._connector.secret import Secret
from ..._errors import MissingLibrary, MissingRegistry, RegistryError, RetryableError
from . import schema
from .location import Location
from .schema import quote_identifier

WAIT_SECONDS = 120
"""How long a transaction waits for a lock."""
OUTCOME_SECONDS = 60
"""How long a database is tried again after it was lost during COMMIT."""

_OLDEST_PSYCOPG = (3, 1, 7)
_LONGEST_REASON = 500
_LIMITS = (
    "SET LOCAL search_path = pg_catalog;"
    f" SET LOCAL lock_timeout = '{WAIT_SECONDS}s';"
    " SET LOCAL statement_timeout = '300s';"
    " SET LOCAL idle_in_transaction_session_timeout = '300s'"
)
_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
_WRITING = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_LIMITS}"

_NO_TABLES = ("42P01", "3F000", "42703")
_RETRYABLE = {
    "40001": "it was changed at the same time by somebody else",
    "40P01": "it was changed at the same time by somebody else (deadlock)",
}
_LOST = ("08", "57P")
REASONS = {
    "25006": "this server only reads, as a standby does: name the other servers too, with"
    " target_session_attrs=read-write",
    "55P03": f"somebody else has held it for {WAIT_SECONDS} seconds",
    "57014": "a statement took too long, or was cancelled",
    "25P03": "the transaction was idle for too long",
    "53100": "the disk of the database is full",
    "53200": "the database has no memory left",
    "53300": "the database has no connection left",
}


class Database:
    """A registry's schema, and how its server is reached."""

    def __init__(self, location: Location, password: Secret | None) -> None:
        self.location = location
        self._password = password
        self._redact = Redaction([password] if password else [])

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent look, which waits for no writer."""
        with self._translated_errors("read"), self._connected() as connection:
            transaction = Transaction(connection, self.location.schema)
            connection.execute(_READING)
            yield transaction
            connection.execute("COMMIT")

    @contextmanager
    def writing(self, verb: str = "changed") -> Iterator[Transaction]:
        """A transaction, which is committed where the block ends without an error and has written anything."""
        is_lost = False
        with self._translated_errors(verb), self._connected() as connection:
            transaction = Transaction(connection, self.location.schema)
            try:
                connection.execute(_WRITING)
                yield transaction
                mark = transaction.write_mark() if transaction.has_written and transaction.keeps_mark else ""
            except BaseException:
                with suppress(Exception):
                    connection.execute("ROLLBACK")
                raise
            try:
                connection.execute("COMMIT" if transaction.has_written else "ROLLBACK")
            except load_psycopg().Error as error:
                if not (transaction.has_written and _is_lost(connection, error)):
                    raise
                is_lost = True
        if is_lost and not mark:
            raise RetryableError(self.sentence(verb, "the connection was lost during the commit; run the task again"))
        if is_lost and not self._was_committed(mark):
            raise RetryableError(self.sentence(verb, "the connection was lost before the change was committed"))

    def sentence(self, verb: str, reason: str) -> str:
        return f"The registry {self.location.shown} cannot be {verb}: {reason}."

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        psycopg = load_psycopg()
        given: dict[str, Any] = dict(self.location.parameters)
        if self._password:
            given["password"] = self._password.reveal()
        try:
            connection = psycopg.connect(autocommit=True, prepare_threshold=None, **given)
        except psycopg.Error as error:
            raise RegistryError(self.sentence("reached", self._redacted(str(error)))) from None
        finally:
            given.clear()
        try:
            yield connection
        finally:
            connection.close()

    def _was_committed(self, mark: str) -> bool:
        """Whether a transaction was committed, of which only the answer was lost.

        To insert its mark once more waits for it, where it has not ended yet. What is inserted here is rolled back.
        Where the mark is there, a commit of our own makes sure that synchronous standbys have it too: a server that
        ends the connection of a transaction that waits for them shows it to others at once.
        """
        psycopg = load_psycopg()
        insert = "INSERT INTO {schema}.transaction_mark (id) VALUES (%s)"
        deadline = time.monotonic() + OUTCOME_SECONDS
        reason = ""
        while True:
            try:
                with self._connected() as connection:
                    connection.execute(_WRITING)
                    transaction = Transaction(connection, self.location.schema)
                    with suppress(psycopg.errors.UniqueViolation):
                        transaction.execute(insert, [mark])
                        connection.execute("ROLLBACK")
                        return False
                    connection.execute("ROLLBACK")
                    connection.execute(_WRITING)
                    transaction.write_mark()
                    connection.execute("COMMIT")
                    return True
            except (psycopg.Error, RegistryError) as error:
                reason = self._redacted(_primary_message(error))
            if time.monotonic() >= deadline:
                break
            time.sleep(random.uniform(0.2, 1))  # noqa: S311  not for security
        query = f"SELECT count(*) FROM {quote_identifier(self.location.schema)}.transaction_mark WHERE id = '{mark}'"
        raise RegistryError(
            f"Whether the registry {self.location.shown} was changed is unknown: the connection was lost while the"
            f" change was committed, and for {OUTCOME_SECONDS} seconds the database could not be asked ({reason})."
            f" Its mark is {mark}: the change was made if this query says 1: {query}"
        )

    @contextmanager
    def _translated_errors(self, verb: str) -> Iterator[None]:
        """Raise errors of psycopg as RegistryError, with one sentence."""
        psycopg = load_psycopg()
        try:
            yield
        except psycopg.Error as error:
            translated = self._registry_error(verb, error)
        else:
            return
        raise translated from None

    def _registry_error(self, verb: str, error: Any) -> RegistryError:
        state = error.sqlstate or ""
        text = self._redacted(_primary_message(error))
        if state in _NO_TABLES:
            return MissingRegistry(self.no_tables())
        if state in _RETRYABLE:
            return RetryableError(self.sentence(verb, _RETRYABLE[state]))
        if state.startswith(_LOST) or (not state and isinstance(error, load_psycopg().OperationalError)):
            outcome = "" if verb == "read" else ", and nothing was changed"
            return RetryableError(self.sentence(verb, f"the connection was lost{outcome} ({text})"))
        if state == "42501":
            advice = {
                "read": "have its owner run the module mailroom.core.registry with grant_read",
                "changed": "have its owner run the module mailroom.core.registry with grant_write",
            }.get(verb, "have an owner run the statements that check mode returns")
            return RegistryError(self.sentence(verb, f"{text} for this role; {advice}"))
        if state.startswith("23"):
            constraint = self._redacted(error.diag.constraint_name or "")
            return RegistryError(self.sentence(verb, f"the constraint {constraint} of the database forbids it"))
        return RegistryError(self.sentence(verb, REASONS.get(state) or f"{text}{f' ({state})' if state else ''}"))

    def no_tables(self) -> str:
        return self.sentence("used", "it has no tables yet; make them with the module mailroom.core.registry")

    def check_version(self, version: int) -> None:
        """Refuse the tables of another version."""
        needed = len(schema.MIGRATIONS)
        if version > needed:
            raise RegistryError(
                f"The registry {self.location.shown} was written by a newer version of mailroom.core (its schema is"
                f" {version}, this one knows {needed}): upgrade the collection."
            )
        if version < needed:
            raise MissingRegistry(
                self.sentence(
                    "used",
                    f"its tables are those of an earlier version (schema {version}, this one needs {needed});"
                    " migrate them with the module mailroom.core.registry",
                )
            )

    def _redacted(self, text: str) -> str:
        return self._redact(" ".join(text.split()).rstrip("."))[:_LONGEST_REASON]


class Transaction:
    """What is done within one transaction."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._connection = connection
        self._schema = quote_identifier(schema)
        self.has_written = False
        self.keeps_mark = True
        """Whether a lost answer to COMMIT can be found out about: there is a table for that."""

    def execute(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:
        """Run one statement, in which {schema} stands for the schema."""
        return self._connection.execute(query.replace("{schema}", self._schema), parameters)

    def write(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:
        """Run one statement that changes something."""
        self.has_written = True
        return self.execute(query, parameters)

    def one(self, query: str, parameters: Sequence[Any] | None = None) -> Any:
        """The first column of the first row, None where there is none."""
        row = self.execute(query, parameters).fetchone()
        return row[0] if row else None

    def write_mark(self) -> str:
        """Write what tells this transaction from every other one, as long as its outcome may be asked for."""
        mark = os.urandom(16).hex()
        self.write(
            "WITH old AS (DELETE FROM {schema}.transaction_mark WHERE made_at < clock_timestamp() - interval '7 days')"
            " INSERT INTO {schema}.transaction_mark (id) VALUES (%s)",
            [mark],
        )
        return mark


def load_psycopg() -> Any:
    """The library that speaks to PostgreSQL, or MissingLibrary."""
    try:
        import psycopg
    except ImportError as missing:
        raise MissingLibrary("psycopg", "for a registry in PostgreSQL", " ".join(str(missing).split())) from None
    found = tuple(int(part) for part in psycopg.__version__.split(".")[:3] if part.isdigit())
    if found < _OLDEST_PSYCOPG:
        raise MissingLibrary(
            "psycopg 3.1.7 or newer", "for a registry in PostgreSQL", f"{psycopg.__version__} is too old"
        )
    return psycopg


def _primary_message(error: Any) -> str:
    """What the server said, without its details."""
    diagnosis = getattr(error, "diag", None)
    return (diagnosis.message_primary if diagnosis else None) or str(error)


def _is_lost(connection: Any, error: Any) -> bool:
    """Whether an error leaves open what became of the transaction."""
    return bool(connection.closed) or (error.sqlstate or "08").startswith(_LOST)
