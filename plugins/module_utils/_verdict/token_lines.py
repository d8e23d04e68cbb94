# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Which answer of a token endpoint, and which refusal of a token, stands for which verdict.

These lines come before all others: trouble with the network means something else while a token is fetched.
"""

from __future__ import annotations

from .line import CERTAIN, LIKELY, POSSIBLE, Line
from .observation import Kind

_ANY: tuple[Kind, ...] = ("token", "token_google")
_SERVER = "authority or token_url ({token_server})"
_SAYS = " It says: {text}"


def _codes(*numbers: int) -> str:
    """Microsoft's codes: they follow the status and the error. They are hints that may change, so never certain."""
    return rf".*\s({'|'.join(str(number) for number in numbers)})(?!\d)"


def _error(*names: str) -> str:
    """The error of RFC 6749, with or without a status before it."""
    return rf"(\d+ )?({'|'.join(names)})(?![\w-])"


def _unreachable(certainty: str, kind: Kind | tuple[Kind, ...], remedy: str, **pattern: str) -> Line:
    """Trouble on the way to the token endpoint."""
    return Line("token_endpoint", certainty, kind, phases="token", remedy=remedy, **pattern)


_EXCHANGE = (
    "The token was issued, and Exchange does not accept it. It says of itself: {claims}. In this order: 1. Register"
    " the application's service principal in Exchange: New-ServicePrincipal -AppId {client_id} -ObjectId … 2. Was"
    " the Object ID for that taken from Enterprise applications? The one under App registrations does not work; the"
    " right one is the token's oid. 3. Grant it the mailbox: Add-MailboxPermission -Identity {username} -User …"
    " -AccessRights FullAccess, and IMAP.AccessAsApp or SMTP.SendAsApp with admin consent (roles). 4. Is username"
    " ({username}) the mailbox itself, and not an alias or the application. 5. Is aud the address of Outlook: leave"
    " scope out, and check cloud ({cloud}). Changes take up to an hour."
)
_GMAIL = (
    "The token was issued, and the server does not accept it. In this order: is username ({username}) the user that"
    " oauth2.username names ({token_user}); is scope https://mail.google.com/; does that user have Gmail; is IMAP"
    " allowed for the user in the admin console (Apps, Google Workspace, Gmail, End User Access)."
)
_MAIL_SERVER = (
    "The token was issued, and the server does not accept it. It says of itself: {claims}. In this order: is {username}"
    " the name that the server finds in the token; is the token meant for this server (aud, scope); does the server"
    " trust the provider that issued it, and can it ask that provider; do both clocks agree."
)

_NETWORK: tuple[Line, ...] = (
    Line(
        "token_endpoint",
        LIKELY,
        "no_identity_service",
        remedy=(
            "No identity service answers on this host ({text}). managed_identity only works where the test runs on a"
            " machine in Azure with an identity, or on one joined by Azure Arc: turn the identity on there, or use"
            " another way to sign in."
        ),
    ),
    _unreachable(CERTAIN, "not_found", f"There is no host by the name in {_SERVER}: check its spelling."),
    _unreachable(
        LIKELY, "name_temporary", f"The name in {_SERVER} could not be looked up just now ({{text}}). Try again."
    ),
    _unreachable(
        CERTAIN,
        "proxy",
        "The proxy does not let the connection to {token_server} through: {text}. Check oauth2.proxy, proxy_username"
        " and proxy_password.",
    ),
    _unreachable(
        CERTAIN,
        "refused",
        f"Nothing answers at {_SERVER}: the connection is refused. Check it, or allow it in the firewall.",
    ),
    _unreachable(
        CERTAIN,
        "unreachable",
        f"There is no way to {_SERVER} from this host: {{text}}. Where only a proxy leads out, name it in"
        " oauth2.proxy.",
    ),
    _unreachable(
        CERTAIN,
        ("certificate", "issuer_expired"),
        "The certificate of {token_server} has expired. Something in between may show another one: its issuer is"
        " {issuer}. Check this host's clock too.",
        reply="10 ",
    ),
    _unreachable(
        CERTAIN,
        "certificate",
        f"The certificate is for another name than {_SERVER}: it has {{names}}.",
        reply="(62|63|64) ",
    ),
    _unreachable(
        CERTAIN,
        "certificate",
        "The certificate of {token_server} is not trusted ({text}); its issuer is {issuer}. Where a proxy of your own"
        " opens encrypted connections, name its certificate in oauth2.ca_file.",
    ),
    _unreachable(
        CERTAIN,
        ("tls", "speaks_plain"),
        f"Encryption with {_SERVER} could not be started ({{text}}): check the port, and whether something in between"
        " interferes.",
    ),
    _unreachable(
        LIKELY,
        "timeout",
        f"No answer in time from {_SERVER}, while {{step}}. A firewall most likely drops the connection: allow it from"
        " this host, or name the way out in oauth2.proxy.",
    ),
    _unreachable(
        LIKELY,
        ("reset", "closed"),
        f"The connection to {_SERVER} was ended without a word, while {{step}}: a firewall or a proxy in between most"
        " likely did it. Name the way out in oauth2.proxy.",
    ),
    _unreachable(LIKELY, "protocol", f"What answers at {_SERVER} does not speak HTTP as it should: {{text}}"),
)

_MICROSOFT: tuple[Line, ...] = (
    Line(
        "token_tenant",
        LIKELY,
        "token",
        reply=_codes(90038, 900382, 900432),
        remedy=(
            "The tenant ({tenant_id}) lives in another Microsoft cloud: set cloud (now {cloud}) to us_gov, us_gov_dod"
            f" or china, or back to global.{_SAYS}"
        ),
    ),
    Line(
        "token_tenant",
        LIKELY,
        "token",
        reply=_codes(9001023, 50194),
        remedy=(
            "A tenant of your own is needed: set tenant_id to its id (Entra admin centre, Overview), not to common,"
            f" organizations or consumers.{_SAYS}"
        ),
    ),
    Line("token_tenant", LIKELY, "token", reply=_codes(90002, 900021, 900023)),
    Line("token_expired_secret", LIKELY, "token", reply=_codes(7000222)),
    Line("token_secret", LIKELY, "token", reply=_codes(7000215)),
    Line(
        "token_secret",
        LIKELY,
        "token",
        reply=_codes(7000218),
        remedy=(
            "The application must prove itself: give client_secret, certificate or assertion_file. If it is meant to"
            " be a public client, allow public client flows (Entra admin centre, App registrations, Authentication)."
            f"{_SAYS}"
        ),
    ),
    Line(
        "token_secret",
        LIKELY,
        "token",
        reply=_codes(700025),
        remedy=(
            "The application is a public client and must not prove itself: leave client_secret, certificate and"
            f" assertion_file out, or make it a confidential client (App registrations, Authentication).{_SAYS}"
        ),
    ),
    Line(
        "token_certificate",
        LIKELY,
        "token",
        reply=_codes(70021, 700211, 700212, 700213, 5000819),
        remedy=(
            "No federated credential of the application fits the assertion. Compare issuer, subject and audience,"
            " letter by letter, in the Entra admin centre under App registrations, Certificates & secrets, Federated"
            f" credentials, with what is in assertion_file.{_SAYS}"
        ),
    ),
    Line(
        "token_certificate",
        LIKELY,
        "token",
        reply=_codes(700024),
        remedy=(
            "What the application signs in with is not valid at this time: have assertion_file renewed before each"
            f" use, and check this host's clock.{_SAYS}"
        ),
    ),
    Line("token_certificate", LIKELY, "token", reply=_codes(700027, 50012, 700030, 700021, 700023)),
    Line(
        "token_client",
        LIKELY,
        "token",
        reply=_codes(7000112),
        remedy=(
            "The application ({client_id}) is disabled: allow sign-in under Entra admin centre, Enterprise"
            f" applications, Properties.{_SAYS}"
        ),
    ),
    Line("token_client", LIKELY, "token", reply=_codes(700016, 700011, 70001)),
    Line(
        "token_consent",
        LIKELY,
        "token",
        reply=_codes(70011, 28002, 700022),
        remedy=(
            "The scope ({scope}) is not one that can be asked for. An application asks for exactly one, the resource"
            f" with /.default behind it: leave scope out.{_SAYS}"
        ),
    ),
    Line(
        "token_consent",
        LIKELY,
        "token",
        reply=_codes(500011),
        remedy=(
            "The tenant does not know the resource in {scope}: leave scope out, check cloud ({cloud}), and see whether"
            f" the tenant has Exchange Online at all.{_SAYS}"
        ),
    ),
    Line("token_consent", LIKELY, "token", reply=_codes(650057, 65001, 650056, 90094)),
    Line(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50126),
        remedy=(
            "In this order: is {token_user} the name that the user signs in with (its user principal name, which may"
            " differ from the mail address); does the password work at the provider's web page; is it synchronised"
            f" from a directory on premises. Several failed attempts lock the account.{_SAYS}"
        ),
    ),
    Line(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50055, 50056),
        remedy=(
            "The password of {token_user} has expired, or the user has none in Entra: sign in at the provider's web"
            f" page and set a new one.{_SAYS}"
        ),
    ),
    Line(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50057),
        remedy=f"The account of {{token_user}} is disabled: enable it (Entra admin centre, Users).{_SAYS}",
    ),
    Line(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50053),
        remedy=(
            "The account of {token_user} is locked after too many failed attempts, or this host's address is blocked."
            " Do not try again before it is unlocked: each attempt prolongs it. Look for where an old password is"
            f" still in use.{_SAYS}"
        ),
    ),
    Line("token_user", LIKELY, "token", reply=_codes(50034, 51004, 50020)),
    Line("token_mfa", LIKELY, "token", reply=_codes(50076, 50079, 50072, 50074, 50158)),
    Line(
        "token_policy",
        LIKELY,
        "token",
        reply=_codes(530032, 530035),
        remedy=(
            "The organisation's security defaults block this sign-in. Use client credentials (client_secret or"
            f" certificate) instead of a user's password; they are not subject to them.{_SAYS}"
        ),
    ),
    Line("token_policy", LIKELY, "token", reply=_codes(53003, 53000, 53001, 53002)),
    Line(
        "token_throttled",
        LIKELY,
        "token",
        reply=_codes(50196),
        remedy=(
            "The same token was asked for too often in a short time. Wait some minutes, and look for what asks again"
            f" and again with client_id {{client_id}}.{_SAYS}"
        ),
    ),
    Line("token_throttled", LIKELY, "token", reply=_codes(90055, 50033, 90006, 90024, 90033)),
    Line(
        "token_client",
        LIKELY,
        "token",
        text="identity not found|no .*managed identity",
        remedy=(
            "This machine does not have that identity: assign it (Azure portal, the machine, Identity), and check"
            f" managed_identity ({{managed_identity}}).{_SAYS}"
        ),
    ),
)

_GOOGLE: tuple[Line, ...] = (
    Line(
        "token_consent",
        CERTAIN,
        "token_google",
        reply=_error("unauthorized_client", "access_denied"),
        remedy=(
            "The organisation has not delegated its mail to this service account. In the Google admin console under"
            " Security, Access and data control, API controls, Domain-wide delegation, add its numeric client id"
            f" ({{client_id}}) with exactly this scope: {{scope}}. It may take a day to work.{_SAYS}"
        ),
    ),
    Line(
        "token_certificate",
        LIKELY,
        "token_google",
        reply=_error("invalid_grant"),
        text="short-lived|iat|timeframe",
        remedy=f"This host's clock is wrong: synchronise it, since the request is only valid for an hour.{_SAYS}",
    ),
    Line(
        "token_certificate",
        LIKELY,
        "token_google",
        reply=_error("invalid_grant"),
        text="signature|jwt",
        remedy=(
            "The key in service_account is not one of the service account's keys: it was most likely deleted or"
            " replaced. Create a new one in the Google Cloud console under IAM & Admin, Service Accounts, Keys."
            f"{_SAYS}"
        ),
    ),
    Line(
        "token_client",
        LIKELY,
        "token_google",
        reply=_error("invalid_grant"),
        text="account not found|account.* (deleted|disabled)",
        remedy=(
            "The service account ({service_account}) does not exist any more, or is disabled: look under IAM & Admin,"
            f" Service Accounts, in the Google Cloud console.{_SAYS}"
        ),
    ),
    Line(
        "token_user",
        LIKELY,
        "token_google",
        reply=_error("invalid_grant"),
        remedy=(
            "In this order: is oauth2.username ({token_user}) the main address of a user of the organisation, not an"
            " alias, a group or a personal account; is the user active; is this host's clock right."
            f"{_SAYS}"
        ),
    ),
    Line(
        "token_client",
        CERTAIN,
        "token_google",
        reply=_error("invalid_client", "disabled_client", "deleted_client"),
        remedy=(
            "Google does not know the service account ({service_account}), or it is disabled: look under IAM & Admin,"
            f" Service Accounts, in the Google Cloud console.{_SAYS}"
        ),
    ),
    Line(
        "token_policy",
        CERTAIN,
        "token_google",
        reply=_error("admin_policy_enforced", "org_internal"),
        remedy=f"A policy of the Google organisation forbids this: have its administrator allow it.{_SAYS}",
    ),
    Line(
        "token_consent",
        CERTAIN,
        "token_google",
        reply=_error("invalid_scope"),
        remedy=f"Google does not know the scope ({{scope}}): leave scope out.{_SAYS}",
    ),
)

_ANY_PROVIDER: tuple[Line, ...] = (
    Line("token_throttled", CERTAIN, _ANY, reply="429 "),
    Line("token_throttled", CERTAIN, _ANY, reply=_error("temporarily_unavailable", "slow_down")),
    Line("token_consent", CERTAIN, _ANY, reply=rf"{_error('consent_required')}|.*\sconsent_required(?![\w-])"),
    Line("token_mfa", LIKELY, _ANY, reply=_error("interaction_required")),
    Line("token_tenant", CERTAIN, _ANY, reply=_error("invalid_tenant")),
    Line(
        "token_certificate",
        LIKELY,
        _ANY,
        reply=_error("invalid_client"),
        text="certificate|assertion|signature|thumbprint",
    ),
    Line(
        "token_secret",
        LIKELY,
        _ANY,
        reply=_error("invalid_client"),
        remedy=(
            "The provider does not know the application by what it shows. In this order: is client_id ({client_id})"
            " complete; is client_secret the secret's value, not its id, and not expired; does the application belong"
            f" to this tenant or provider ({{token_server}}).{_SAYS}"
        ),
    ),
    Line(
        "token_client",
        CERTAIN,
        _ANY,
        reply=_error("unauthorized_client"),
        remedy=(
            "The application ({client_id}) may not get a token in this way: look at the application at the provider,"
            f" and turn on the grant that is used (client credentials, or password).{_SAYS}"
        ),
    ),
    Line("token_consent", CERTAIN, _ANY, reply=_error("access_denied", "invalid_resource", "invalid_target")),
    Line(
        "token_consent",
        CERTAIN,
        _ANY,
        reply=_error("invalid_scope"),
        remedy=(
            "The provider does not know the scope ({scope}), or the application may not have it: correct scope, or"
            f" have it granted.{_SAYS}"
        ),
    ),
    Line(
        "token_user",
        LIKELY,
        _ANY,
        reply=_error("invalid_grant", "login_required"),
        remedy=(
            "The provider ({token_server}) refuses the user or the grant. Where oauth2 has a username, check it and"
            f" its password; else look at the application at the provider, and at what it may ask for.{_SAYS}"
        ),
    ),
    Line(
        "token_endpoint",
        CERTAIN,
        _ANY,
        reply=_error("unsupported_grant_type"),
        remedy=(
            "The server at {token_server} does not offer this way to get a token: check token_url, or turn on client"
            f" credentials at the provider.{_SAYS}"
        ),
    ),
    Line(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply=rf"{_error('server_error')}|5\d\d ",
        remedy=f"The token endpoint ({{token_server}}) has trouble of its own: try again in some minutes.{_SAYS}",
    ),
    Line(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply="(404|405|410) ",
        remedy=f"There is no token endpoint at that address: check {_SERVER}, tenant_id and cloud.{_SAYS}",
    ),
    Line(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply="3.. ",
        remedy=(
            "What answers at {token_server} sends elsewhere, where no secret is taken: give the right address in"
            " authority or token_url. A sign-in page of a network in between does this too."
        ),
    ),
    Line("token_endpoint", POSSIBLE, _ANY),
)

_REFUSED: tuple[Line, ...] = (
    Line("auth_rejected", LIKELY, "token_refused_microsoft", remedy=f"{_EXCHANGE}{_SAYS}"),
    Line("auth_rejected", LIKELY, "token_refused_google", remedy=f"{_GMAIL}{_SAYS}"),
    Line("auth_rejected", LIKELY, "token_refused", remedy=f"{_MAIL_SERVER}{_SAYS}"),
)

TOKEN_LINES: tuple[Line, ...] = (*_NETWORK, *_MICROSOFT, *_GOOGLE, *_ANY_PROVIDER, *_REFUSED)
