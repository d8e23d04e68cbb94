# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for token endpoints of any provider, and for tokens that a mail server refuses."""

from __future__ import annotations

from .observation import Kind
from .rule import CERTAIN, LIKELY, POSSIBLE, PROVIDER_SAYS, SERVER_SAYS, Rule, oauth_error

_ANY: tuple[Kind, ...] = ("token", "token_google")
_SERVER = "authority or token_url ({token_server})"


def _unreachable(certainty: str, kind: Kind | tuple[Kind, ...], remedy: str, **pattern: str) -> Rule:
    """A rule for a failed connection to the token endpoint."""
    return Rule("token_endpoint", certainty, kind, phases=("token",), remedy=remedy, **pattern)


_EXCHANGE = (
    "The token was issued, but Exchange does not accept it. Its claims: {claims}. Check in this order: 1. Register the"
    " application's service principal in Exchange: New-ServicePrincipal -AppId {client_id} -ObjectId … 2. Take the"
    " Object ID for that from Enterprise applications, not from App registrations; it is the token's oid. 3. Grant it"
    " the mailbox: Add-MailboxPermission -Identity {username} -User … -AccessRights FullAccess, and IMAP.AccessAsApp or"
    " SMTP.SendAsApp with admin consent (roles). 4. Set username ({username}) to the mailbox itself, not to an alias or"
    " the application. 5. If aud is not the address of Outlook, remove scope and check cloud ({cloud}). Changes take up"
    " to an hour."
)
_GMAIL = (
    "The token was issued, but the server does not accept it. Check in this order: is username ({username}) the user"
    " that oauth2.username names ({token_user}); is scope https://mail.google.com/; does that user have Gmail; is IMAP"
    " allowed for the user in the admin console (Apps, Google Workspace, Gmail, End User Access)."
)
_MAIL_SERVER = (
    "The token was issued, but the server does not accept it. Its claims: {claims}. Check in this order: is {username}"
    " the user name in the token; is the token meant for this server (aud, scope); does the server trust the provider"
    " that issued it, and can it reach that provider; do the clocks of both agree."
)
TOKEN_CONNECTION_RULES: tuple[Rule, ...] = (
    Rule(
        "token_endpoint",
        LIKELY,
        "no_identity_service",
        remedy=(
            "This host has no identity service ({text}). managed_identity works only on a machine in Azure with a"
            " managed identity, or on one connected by Azure Arc: enable the identity there, or use another credential."
        ),
    ),
    _unreachable(CERTAIN, "not_found", f"The host name in {_SERVER} does not exist: check its spelling."),
    _unreachable(
        LIKELY, "name_temporary", f"The host name in {_SERVER} could not be looked up ({{text}}). Try again later."
    ),
    _unreachable(
        CERTAIN,
        "proxy",
        "The proxy did not connect to {token_server}: {text}. Check oauth2.proxy, proxy_username and proxy_password.",
    ),
    _unreachable(
        CERTAIN,
        "refused",
        f"The connection to {_SERVER} was refused. Check it, or allow the connection in the firewall.",
    ),
    _unreachable(
        CERTAIN,
        "unreachable",
        f"This host has no route to {_SERVER}: {{text}}. If the network requires a proxy, set oauth2.proxy.",
    ),
    _unreachable(
        CERTAIN,
        ("certificate", "issuer_expired"),
        (
            "The certificate of {token_server} has expired; its issuer is {issuer}. If that is not the provider's CA, a"
            " proxy intercepts the connection. Check this host's clock too."
        ),
        reply="10 ",
    ),
    _unreachable(
        CERTAIN,
        "certificate",
        f"The certificate does not match {_SERVER}: it is issued for {{names}}.",
        reply="(62|63|64) ",
    ),
    _unreachable(
        CERTAIN,
        "certificate",
        (
            "The certificate of {token_server} is not trusted ({text}); its issuer is {issuer}. If your own proxy"
            " intercepts TLS, set oauth2.ca_file to its CA certificate."
        ),
    ),
    _unreachable(
        CERTAIN,
        ("tls", "speaks_plain"),
        f"The TLS handshake with {_SERVER} failed ({{text}}): check the port, and whether a proxy interferes.",
    ),
    _unreachable(
        LIKELY,
        "timeout",
        (
            f"Timeout while {{step}} at {_SERVER}. A firewall most likely drops the connection: allow it from this"
            " host, or set oauth2.proxy."
        ),
    ),
    _unreachable(
        LIKELY,
        ("reset", "closed"),
        f"The connection to {_SERVER} was closed while {{step}}, most likely by a firewall or a proxy: allow it, or set"
        " oauth2.proxy.",
    ),
    _unreachable(
        LIKELY, "protocol", f"The server at {_SERVER} does not speak HTTP correctly: check it. Error: {{text}}"
    ),
)
TOKEN_RULES: tuple[Rule, ...] = (
    Rule("token_throttled", CERTAIN, _ANY, reply="429 "),
    Rule("token_throttled", CERTAIN, _ANY, reply=oauth_error("temporarily_unavailable", "slow_down")),
    Rule("token_consent", CERTAIN, _ANY, reply=rf"{oauth_error('consent_required')}|.*\sconsent_required(?![\w-])"),
    Rule("token_mfa", LIKELY, _ANY, reply=oauth_error("interaction_required")),
    Rule("token_tenant", CERTAIN, _ANY, reply=oauth_error("invalid_tenant")),
    Rule(
        "token_certificate",
        LIKELY,
        _ANY,
        reply=oauth_error("invalid_client"),
        text="certificate|assertion|signature|thumbprint",
    ),
    Rule(
        "token_secret",
        LIKELY,
        _ANY,
        reply=oauth_error("invalid_client"),
        remedy=(
            "The provider refused the application's credential. Check in this order: is client_id ({client_id})"
            " complete; is client_secret the secret's value, not its id, and not expired; does the application belong"
            f" to this tenant or provider ({{token_server}}).{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_client",
        CERTAIN,
        _ANY,
        reply=oauth_error("unauthorized_client"),
        remedy=(
            "The application ({client_id}) may not use this grant: enable it for the application at the provider"
            f" (client credentials, or password).{PROVIDER_SAYS}"
        ),
    ),
    Rule("token_consent", CERTAIN, _ANY, reply=oauth_error("access_denied", "invalid_resource", "invalid_target")),
    Rule(
        "token_consent",
        CERTAIN,
        _ANY,
        reply=oauth_error("invalid_scope"),
        remedy=(
            "The provider does not know the scope ({scope}), or does not grant it to the application: correct scope, or"
            f" have it granted.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        _ANY,
        reply=oauth_error("invalid_grant", "login_required"),
        remedy=(
            "The provider ({token_server}) refused the user or the grant. If oauth2 has a username, check it and its"
            f" password; otherwise check the application and its permissions at the provider.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_endpoint",
        CERTAIN,
        _ANY,
        reply=oauth_error("unsupported_grant_type"),
        remedy=(
            "The server at {token_server} does not support this grant: check token_url, or enable client credentials at"
            f" the provider.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply=rf"{oauth_error('server_error')}|5\d\d ",
        remedy=(
            f"The token endpoint ({{token_server}}) has an internal error: try again in a few minutes.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply="(404|405|410) ",
        remedy=f"There is no token endpoint at this address: check {_SERVER}, tenant_id and cloud.{PROVIDER_SAYS}",
    ),
    Rule(
        "token_endpoint",
        LIKELY,
        _ANY,
        reply="3.. ",
        remedy=(
            "The server at {token_server} redirects, and secrets are not sent to another address: set authority or"
            " token_url to the right address. A network with a sign-in page (captive portal) redirects too."
        ),
    ),
    Rule("token_endpoint", POSSIBLE, _ANY),
)
REFUSED_TOKEN_RULES: tuple[Rule, ...] = (
    Rule("auth_rejected", LIKELY, "token_refused_microsoft", remedy=f"{_EXCHANGE}{SERVER_SAYS}"),
    Rule("auth_rejected", LIKELY, "token_refused_google", remedy=f"{_GMAIL}{SERVER_SAYS}"),
    Rule("auth_rejected", LIKELY, "token_refused", remedy=f"{_MAIL_SERVER}{SERVER_SAYS}"),
)
