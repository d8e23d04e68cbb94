# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keepnet's API for SMTP settings, as its public description has it, with every quirk that is known of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any, Literal

from peers import keepnet_schema as schema
from peers.ca import CertificateZoo
from peers.https import HttpsServer, Request, Response, Route, as_json, as_text

SETTINGS = "/api/companies/smtp-settings"
MASK = "*****"
_ROW = ("resourceId", "name", "companyName", "serverAddress", "serverPort", "statusName", "isOwner", "createTime")
_STATUS = {1: "Active", 2: "Inactive"}


@dataclasses.dataclass
class Company:
    """A customer of a reseller, and its settings by their ids."""

    name: str
    id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(6))
    settings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    shared: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Rows of its searches that belong to another company."""


class Keepnet(HttpsServer):
    """The client of a reseller, its own company, and the companies that it manages."""

    def __init__(self, zoo: CertificateZoo | None) -> None:
        super().__init__(zoo)
        self.client = f"client-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        self.powerless = f"client-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        self.own = Company("Reseller")
        self.companies = [Company("Acme"), Company("Acme Labs"), Company("Globex")]
        self.shows: Literal["nothing", "mask", "clear"] = "nothing"
        self.envelope: Literal["status", "isSuccess"] = "status"
        self.page_size = 2  # whatever is asked for
        self._tokens: dict[str, bool] = {}

    def routes(self) -> tuple[Route, ...]:
        one = f"{SETTINGS}/([^/]+)"
        return (
            Route("token", "POST", "/connect/token", self._token),
            Route("companies", "POST", "/api/companies/search", self._companies),
            Route("search", "POST", f"{SETTINGS}/search", self._search),
            Route("create", "POST", SETTINGS, self._create),
            Route("get", "GET", one, self._get),
            Route("update", "PUT", one, self._update),
            Route("delete", "DELETE", one, self._delete),
            Route("test", "POST", f"{one}/test", self._test),
        )

    def add(self, company: Company, **more: Any) -> dict[str, Any]:
        """A setting that somebody has made inside."""
        setting = {
            "name": "Main",
            "serverAddress": "somewhere.example.com",
            "serverPort": "25",
            "userName": "somebody",
            "password": "a-password-of-somebody",
            "useAuthentication": True,
            "useSSL": False,
            "hasSMTPRelay": False,
            "statusId": 1,
            "availableForRequests": [],
            **more,
        }
        company.settings[secrets.token_hex(6)] = setting
        return setting

    def _token(self, request: Request) -> Response:
        if "form" not in request.headers.get("content-type", ""):
            return as_text("<h1>Server Error</h1>", 500)
        form = request.form
        pair = form.get("client_id", ""), form.get("client_secret", "")
        if form.get("grant_type") != "client_credentials" or form.get("scope") != "api1":
            return as_json({"error": "invalid_request"}, 400)
        if pair not in (self.client, self.powerless):
            return as_json({"error": "invalid_client"}, 400)
        token = secrets.token_urlsafe(32)
        self._tokens[token] = pair == self.client
        return as_json({"access_token": token, "expires_in": 3600, "token_type": "Bearer", "scope": "api1"})

    def refused_at_once(self, request: Request) -> Response | None:
        if request.operation in ("", "token"):
            return None
        if request.bearer not in self._tokens:
            return as_json({"message": "Unauthorized"}, 401)
        return None if self._tokens[request.bearer] else as_json({"message": "Forbidden"}, 403)

    def _company(self, request: Request) -> Company:
        wanted = request.headers.get("x-keepnet-company-id", "")
        return next((each for each in self.companies if each.id == wanted), self.own)

    def _done(self, data: Any) -> Response:
        if self.envelope == "isSuccess":
            return as_json({"isSuccess": True, "data": data, "messages": []})
        return as_json({"data": data, "status": "SUCCESS", "message": None, "validationMessages": []})

    def _refused(self, *messages: str, status: int = 400) -> Response:
        if self.envelope == "isSuccess":
            return as_json({"isSuccess": False, "data": None, "messages": list(messages)}, status)
        body = {"data": None, "status": "INPUT_ERROR", "message": None, "validationMessages": list(messages)}
        return as_json(body, status)

    def _parsed(self, request: Request, fields: Mapping[str, schema.Field]) -> tuple[dict[str, Any], list[str]]:
        body = json.loads(request.body)
        return body, list(schema.problems(body, fields))

    def _page(self, request: Request, rows: list[dict[str, Any]], name: str) -> Response:
        body, wrong = self._parsed(request, schema.SEARCH)
        if wrong or body["filter"].keys() != {"Condition", "SearchInputTextValue"}:
            return self._refused(*(wrong or ["The filter is not complete."]))
        text = body["filter"]["SearchInputTextValue"].lower()
        found = [row for row in rows if text in str(row[name]).lower() or text == row.get("companyResourceId")]
        size = min(body["pageSize"], self.page_size)
        first = (body["pageNumber"] - 1) * size
        pages = -(-len(found) // size)
        page = {"pageNumber": body["pageNumber"], "pageSize": size, "totalNumberOfRecords": len(found)}
        return self._done({**page, "totalNumberOfPages": pages, "results": found[first : first + size]})

    def _companies(self, request: Request) -> Response:
        rows = [{"companyName": each.name, "companyResourceId": each.id} for each in self.companies]
        return self._page(request, rows, "companyName")

    def _search(self, request: Request) -> Response:
        company = self._company(request)
        rows = [
            {
                **{name: setting.get(name) for name in _ROW},
                "resourceId": each,
                "companyName": company.name,
                "isOwner": True,
                "statusName": _STATUS.get(setting.get("statusId", 1)),
                "createTime": "2026-01-01T00:00:00",
            }
            for each, setting in company.settings.items()
        ]
        return self._page(request, [*rows, *company.shared], "name")

    def _create(self, request: Request) -> Response:
        body, wrong = self._checked_setting(request)
        if wrong:
            return self._refused(*wrong)
        new = secrets.token_hex(6)
        self._company(request).settings[new] = body
        return self._done({"resourceId": new})

    def _update(self, request: Request, which: str) -> Response:
        settings = self._company(request).settings
        body, wrong = self._checked_setting(request)
        if wrong or which not in settings:
            return self._refused(*(wrong or ["Not found"]), status=400 if wrong else 404)
        settings[which] = body
        return self._done({"resourceId": which})

    def _checked_setting(self, request: Request) -> tuple[dict[str, Any], list[str]]:
        body, wrong = self._parsed(request, schema.SETTING)
        for each in body.get("availableForRequests") or []:
            wrong += schema.problems(each, schema.AVAILABLE_FOR)
            if each.get("resourceId") not in {company.id for company in self.companies}:
                wrong.append("There is no such company.")
        return body, wrong

    def _get(self, request: Request, which: str) -> Response:
        setting = self._company(request).settings.get(which)
        if setting is None:
            return self._refused("Not found", status=404)
        names = {each.id: each.name for each in self.companies}
        shown = {name: value for name, value in setting.items() if name != "availableForRequests"}
        shown["password"] = {"nothing": None, "mask": MASK, "clear": setting["password"]}[self.shows]
        available = [
            {"typeName": each["type"], "targetResourceId": each["resourceId"], "targetName": names[each["resourceId"]]}
            for each in setting.get("availableForRequests") or []
        ]
        return self._done({**shown, "resourceId": which, "userId": 1, "availableForList": available})

    def _delete(self, request: Request, which: str) -> Response:
        if self._company(request).settings.pop(which, None) is None:
            return self._refused("Not found", status=404)
        return self._done({"resourceId": which})

    def _test(self, request: Request, which: str) -> Response:
        body, wrong = self._parsed(request, schema.TEST)
        setting = self._company(request).settings.get(which)
        if wrong or not setting:
            return self._refused(*(wrong or ["Not found"]), status=400 if wrong else 404)
        try:
            send(setting, body)
        except (OSError, smtplib.SMTPException) as error:
            return self._refused(str(error), status=200)
        return self._done({"resourceId": which})


def send(setting: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Send a mail as a setting says."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = body["from"], body["to"], "Test"
    mail.set_content(body["message"])
    with _connected(setting) as server:
        server.login(setting["userName"], setting["password"])
        server.send_message(mail, body["from"], [body["to"]])


@contextlib.contextmanager
def _connected(setting: Mapping[str, Any]) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(setting["serverAddress"], int(setting["serverPort"]), timeout=60) as server:
        if setting["useSSL"]:
            server.starttls(context=ssl._create_unverified_context())
        yield server
