# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Keepnet: an SMTP setting of a company, by its public API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..._connector.resolved import ResolvedConnector
from ..._connector.secret import Secret
from ..._errors import FieldMessage
from ..api_client import ApiClient, ApiError, segment
from ..api_target import ApiTarget, Fields, Login, Place, Stored, Tested, Wanted
from ..interface import Account, Option
from ..mail_replies import observation_in

_SETTINGS = "/api/companies/smtp-settings"
_COMPANY_HEADER = "X-KEEPNET-Company-Id"
_COMPANY = "Company"
_PAGE_SIZE = 50
_MAX_PAGES = 400
_ACTIVE, _INACTIVE = 1, 2
_TEXTS = ("name", "serverAddress", "serverPort", "userName")
_FLAGS = ("useAuthentication", "useSSL", "hasSMTPRelay")
_OPTIONAL = ("replyTo", "errorTo", "cc", "bcc", "customHeader")
_IMPLICIT_TLS_PORTS = (465, 2465)
_FAILED = re.compile("fail|error|invalid|denied|unauthori[sz]ed|forbidden|not_", re.IGNORECASE)


class Keepnet(ApiTarget):
    """An update needs the password; whether reading shows it is not documented, so both are expected."""

    name = "keepnet"
    title = "Keepnet"
    securities = ("none", "starttls", "tls")
    certificate_checks = (True,)
    supported_features = frozenset(("reply_to", "errors_to", "cc", "bcc", "headers"))
    other_fields = ("available_to", "display_name", "smtp.relay")
    options = (Option("status", choices=("active", "inactive")),)
    readback = "resend"
    destination = frozenset(("serverAddress", "serverPort", "useSSL", "useAuthentication", "userName"))
    keys = (Option("name"), Option("company"))
    logins = (frozenset(("client_id", "client_secret")), frozenset(("token",)))
    right = "a REST API client with the role Company Admin or Reseller"

    def default_name(self, connector: ResolvedConnector) -> str:
        return connector.display_name

    def key_problems(self, keys: Mapping[str, str]) -> Iterator[FieldMessage]:
        if len(keys.get("name", "")) > 64:
            yield "target.name", "must be at most 64 characters for Keepnet"

    def unsupported_values(self, account: Account) -> Iterator[FieldMessage]:
        yield from super().unsupported_values(account)
        smtp = account.smtp
        if smtp.auth != "password":
            yield "smtp.auth", "must be password for Keepnet, which has no setting without a user and password"
        if smtp.security != "none" and (smtp.security == "tls") != (smtp.port in _IMPLICIT_TLS_PORTS):
            ports = " or ".join(map(str, _IMPLICIT_TLS_PORTS))
            yield (
                "smtp.security",
                f"must be tls with port {ports} and starttls with others for Keepnet: it knows no more",
            )
        values = {"smtp.host": smtp.host, "smtp.username": smtp.username}
        values["smtp.password"] = account.password.reveal() if account.password else ""
        connector = account.connector
        values.update(reply_to=connector.reply_to, errors_to=connector.errors_to)
        values.update(cc=_addresses(connector.cc), bcc=_addresses(connector.bcc))
        for field, value in values.items():
            if len(value) > 200:
                yield field, "must be at most 200 characters for Keepnet"
        if len(_headers(connector.headers)) > 2048:
            yield "headers", "must be at most 2048 characters for Keepnet, with their names"

    def sign_in(self, api: ApiClient, login: Login) -> None:
        api.words_of = _words
        token = login.token
        if not token and login.client_secret:
            form = {"grant_type": "client_credentials", "client_id": login.client_id, "scope": "api1"}
            try:
                answer = api.post_form("/connect/token", {**form, "client_secret": login.client_secret.reveal()})
            except ApiError as error:
                if error.status != 400:
                    raise
                raise api.error("login: Keepnet does not accept it", words=error.words) from None
            token = api.issued_token(answer, "access_token")
        api.headers["Authorization"] = f"Bearer {token.reveal() if token else ''}"

    def fields(self, place: Place, account: Account) -> Fields:
        smtp, connector = account.smtp, account.connector
        fields: dict[str, Any] = {
            "name": place.name,
            "serverAddress": smtp.host,
            "serverPort": str(smtp.port),
            "userName": smtp.username,
            "useAuthentication": True,
            "useSSL": smtp.security != "none",
            "hasSMTPRelay": smtp.relay,
            "replyTo": connector.reply_to,
            "errorTo": connector.errors_to,
            "cc": _addresses(connector.cc),
            "bcc": _addresses(connector.bcc),
            "customHeader": _headers(connector.headers),
            "statusId": _INACTIVE if place.options.get("status") == "inactive" else _ACTIVE,
        }
        # Without tenants a connector is for everybody, and who may use the setting stays as it is.
        return {**fields, **({"availableFor": sorted(connector.available_to)} if connector.available_to else {})}

    def read(self, api: ApiClient, place: Place) -> Stored | None:
        company = place.keys.get("company")
        if company and _COMPANY_HEADER not in api.headers:
            api.headers[_COMPANY_HEADER] = _company_id(api, company, "target.company")
        rows = [row for row in _search(api, f"{_SETTINGS}/search", place.name) if row.get("name") == place.name]
        own = [row for row in rows if row.get("isOwner") is not False]
        if len(own) > 1:
            raise ApiError(f"target.name: Keepnet has {len(own)} SMTP settings named {place.name}: rename all but one.")
        if rows and not own:
            owner = api.redact(str(rows[0].get("companyName")))
            raise ApiError(f"target.name: {place.name} is shared by company {owner}, which alone may change it.")
        if not own:
            return None
        found = _data(api, api.get(f"{_SETTINGS}/{segment(str(own[0].get('resourceId')))}"))
        return self._stored(found)

    def _stored(self, found: Mapping[str, Any]) -> Stored:
        available = [each for each in found.get("availableForList") or () if isinstance(each, dict)]
        fields: dict[str, Any] = {name: str(found.get(name) or "") for name in (*_TEXTS, *_OPTIONAL)}
        fields.update({name: found.get(name) is True for name in _FLAGS})
        fields["statusId"] = found.get("statusId")
        fields["availableFor"] = sorted(str(each.get("targetName") or "") for each in available)
        kept = [{"type": each.get("typeName"), "resourceId": each.get("targetResourceId")} for each in available]
        return Stored(
            str(found.get("resourceId")),
            fields,
            Secret(str(found.get("password") or "")),
            {"availableForRequests": kept},
        )

    def create(self, api: ApiClient, _place: Place, wanted: Wanted) -> None:
        _data(api, api.request("POST", _SETTINGS, self._body(api, wanted, ())))

    def update(self, api: ApiClient, stored: Stored, wanted: Wanted, _changed: frozenset[str]) -> None:
        body = self._body(api, wanted, stored.other["availableForRequests"])
        _data(api, api.request("PUT", f"{_SETTINGS}/{segment(stored.id)}", body))

    def _body(self, api: ApiClient, wanted: Wanted, kept: Any) -> dict[str, Any]:
        fields = {name: value for name, value in wanted.fields.items() if name != "availableFor"}
        fields.update({name: fields[name] or None for name in _OPTIONAL})
        if "availableFor" in wanted.fields:
            companies = [_company_id(api, name, "available_to") for name in wanted.fields["availableFor"]]
            kept = [{"type": _COMPANY, "resourceId": each} for each in companies]
        password = wanted.secret.reveal() if wanted.secret else ""
        return {**fields, "password": password, "availableForRequests": list(kept)}

    def remove(self, api: ApiClient, stored: Stored) -> None:
        _data(api, api.request("DELETE", f"{_SETTINGS}/{segment(stored.id)}"))

    def test(self, api: ApiClient, place: Place, account: Account, _wanted: Wanted, to: str) -> Tested:
        """It sends a mail with what is stored, and says what went wrong as it was told."""
        stored = self.read(api, place)
        connector = account.connector
        body = {
            "from": connector.author or to,
            "fromName": connector.from_name or connector.display_name,
            "to": to,
            "message": f"Keepnet sends through the mail connector {account.name}.",
        }
        try:
            _data(api, api.request("POST", f"{_SETTINGS}/{segment(stored.id if stored else '')}/test", body))
        except ApiError as error:
            if error.status in (401, 403, 404, 429) or not error.words:
                raise
            return Tested("failed", error.words, observation_in(error.words, account.smtp))
        return Tested("ok", is_of_stored=True)


def _addresses(addresses: tuple[str, ...]) -> str:
    return ",".join(addresses)


def _headers(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in sorted(headers.items()))


def _company_id(api: ApiClient, name: str, field: str) -> str:
    """The id of a company by its exact name, or by the id itself."""
    rows = list(_search(api, "/api/companies/search", name))
    found = [row for row in rows if name in (row.get("companyName"), row.get("companyResourceId"))]
    if len(found) != 1:
        what = f"{len(found)} companies are called {name}" if found else f"there is no company {name}"
        raise ApiError(f"{field}: {what} among those that this client of Keepnet manages.")
    return str(found[0].get("companyResourceId"))


def _search(api: ApiClient, path: str, text: str) -> Iterator[dict[str, Any]]:
    """All rows of a search, page by page; the search itself finds parts of names, too."""
    for page in range(1, _MAX_PAGES + 1):
        body = {
            "pageNumber": page,
            "pageSize": _PAGE_SIZE,
            "orderBy": "CreateTime",
            "ascending": True,
            "filter": {"Condition": "AND", "SearchInputTextValue": text},
        }
        data = _data(api, api.request("POST", path, body))
        rows = data.get("results")
        yield from (row for row in rows or () if isinstance(row, dict))
        pages = data.get("totalNumberOfPages")
        if not rows or not isinstance(pages, int) or page >= pages:
            return


def _data(api: ApiClient, answer: Any) -> dict[str, Any]:
    """The data of an answer in either of its two envelopes, or the error that it tells."""
    if not isinstance(answer, dict) or not answer.keys() & {"data", "status", "isSuccess"}:
        raise api.error("url: what answers there is not the API of Keepnet")
    has_failed = answer.get("isSuccess") is False or bool(_FAILED.search(str(answer.get("status") or "")))
    if has_failed or answer.get("validationMessages"):
        raise api.error("Keepnet refuses it", words=_words(answer) or str(answer.get("status") or ""))
    data = answer.get("data")
    return data if isinstance(data, dict) else {}


def _words(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    texts = [body.get("error_description") or body.get("error"), body.get("message")]
    for name in ("messages", "validationMessages"):
        listed = body.get(name)
        texts += listed if isinstance(listed, list) else [listed]
    return "; ".join(str(each) for each in texts if each)
