# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads and writes at an application, also where an answer is lost."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from .api_client import ApiClient, ApiError
from .api_plan import ApiPlan
from .api_target import ApiTarget, Login, Place, Stored, Tested, Wanted
from .interface import Account

_NOT_AS_WANTED = "the answer was lost, and what is there is not as it was to be: run the task again, which looks first."


@dataclass(frozen=True)
class ApiSession:
    """A signed-in conversation with an application about one place."""

    target: ApiTarget
    api: ApiClient
    place: Place

    def sign_in(self, login: Login) -> None:
        with self.api.reading_answers():
            self.target.sign_in(self.api, login)

    def read(self) -> Stored | None:
        with self.api.reading_answers():
            return self.target.read(self.api, self.place)

    def write(self, stored: Stored | None, wanted: Wanted, plan: ApiPlan) -> Stored | None:
        """Make, update or remove an object, and return it as it is afterwards.

        What was made is never made again after a lost answer: it is looked for. An update says the same whenever it is
        repeated, so it is repeated once.
        """
        try:
            self._request(stored, wanted, plan)
        except ApiError as error:
            if not error.is_lost:
                raise
            found = self.read()
            if plan.action == "update":
                self._request(stored, wanted, plan)
            elif (found is None) != (plan.action == "remove") or (found and found.differing(wanted)):
                raise ApiError(f"url: {self.target.title}: {_NOT_AS_WANTED}") from None
        found = self.read()
        if (found is None) != (plan.action == "remove"):
            raise ApiError(f"url: {self.target.title} accepted the change, and reading shows nothing of it.")
        return found

    def test(self, account: Account, wanted: Wanted, to: str) -> Tested:
        with self.api.reading_answers():
            return self.target.test(self.api, self.place, account, wanted, to)

    def end(self) -> None:
        """Sign out, whatever became of it, and close the connection."""
        with suppress(ApiError), self.api.reading_answers():
            self.target.sign_out(self.api)
        self.api.close()

    def _request(self, stored: Stored | None, wanted: Wanted, plan: ApiPlan) -> None:
        with self.api.reading_answers():
            if plan.action == "create":
                self.target.create(self.api, self.place, wanted)
            elif stored and plan.action == "update":
                self.target.update(self.api, stored, wanted, plan.changed)
            elif stored and plan.action == "remove":
                self.target.remove(self.api, stored)
