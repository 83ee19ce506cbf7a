"""OAuth providers: a table of what is different about each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..user import User


@dataclass(frozen=True)
class Provider:
    """One provider, as the environment configures it.

    prefix: of its variables, as in OAUTH_GITHUB_CLIENT_ID. needs: those beside CLIENT_ID and
    CLIENT_SECRET, without the prefix. authorize, token, user: URLs with {NAME} for variables.
    identifier, image: keys of the user's data. parameters: more for the authorize URL.
    """

    id: str
    prefix: str
    authorize: str
    token: str
    user: str
    scope: str
    needs: tuple[str, ...] = ()
    identifier: str = "email"
    image: str = "picture"
    parameters: dict[str, str] = field(default_factory=dict)
    adjust: Callable[[Provider, dict[str, str]], dict[str, str]] | None = None

    # ---- the environment ----

    def get(self, name: str, default: str = "") -> str:
        return os.environ.get(f"OAUTH_{self.prefix}_{name}") or default

    @property
    def name(self) -> str:
        """What users and the app know it by: its id, unless OAUTH_…_NAME renames it."""
        return self.get("NAME", self.id) if self.id in ("keycloak", "generic") else self.id

    @property
    def is_configured(self) -> bool:
        return all(self.get(name) for name in ("CLIENT_ID", "CLIENT_SECRET", *self.needs))

    def variables(self) -> dict[str, str]:
        found = {name: self.get(name).rstrip("/") for name in self.needs}
        return found if self.adjust is None else self.adjust(self, found)

    def url(self, which: str) -> str:
        """which: "authorize", "token" or "user"."""
        return getattr(self, which).format_map(self.variables())

    def authorize_parameters(self, redirect_uri: str, state: str) -> dict[str, str]:
        scope = self.get("SCOPES") or self.get("SCOPE") or self.scope
        parameters = {
            "client_id": self.get("CLIENT_ID"),
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": scope,
            "state": state,
        }
        for name, value in self.parameters.items():
            parameters[name] = value.format_map(self.variables())
        prompt = self.get("PROMPT") or os.environ.get("OAUTH_PROMPT")
        if prompt:
            parameters["prompt"] = prompt
        return parameters

    # ---- what it says of a user ----

    def make_user(self, data: dict[str, Any]) -> User:
        """ValueError if the data names nobody."""
        from ..user import User

        identifier = data.get(self.get("USER_IDENTIFIER") or self.identifier)
        if not identifier or not isinstance(identifier, (str, int)):
            raise ValueError(f"{self.name}: the user's data has no {self.identifier!r}")
        metadata = {"provider": self.name}
        if isinstance(data.get(self.image), str):
            metadata["image"] = data[self.image]
        return User(identifier=str(identifier), metadata=metadata)


def _tenant(provider: Provider, variables: dict[str, str]) -> dict[str, str]:
    """Accounts of one tenant, or of any."""
    single = provider.get("ENABLE_SINGLE_TENANT").lower() in ("1", "true", "yes")
    return {"TENANT": variables["TENANT_ID"] if single else "common", **variables}


def _bare_domain(provider: Provider, variables: dict[str, str]) -> dict[str, str]:
    """The domain may be written with or without https://."""
    return {**variables, "DOMAIN": variables["DOMAIN"].removeprefix("https://")}


def _authorization_server(provider: Provider, variables: dict[str, str]) -> dict[str, str]:
    """Okta has several authorization servers, and one without a name."""
    server = provider.get("AUTHORIZATION_SERVER_ID", "default")
    path = "/oauth2" if server.lower() == "false" else f"/oauth2/{server}"
    return {**_bare_domain(provider, variables), "SERVER": path}


def _original_domain(provider: Provider, variables: dict[str, str]) -> dict[str, str]:
    """Auth0's API keeps its name behind a domain of one's own."""
    found = _bare_domain(provider, variables)
    original = provider.get("ORIGINAL_DOMAIN").rstrip("/").removeprefix("https://")
    return {**found, "ORIGINAL": original or found["DOMAIN"]}


_OPENID = "openid profile email"
_MICROSOFT = "https://login.microsoftonline.com/{TENANT}/oauth2/v2.0"
_KEYCLOAK = "{BASE_URL}/realms/{REALM}/protocol/openid-connect"
_DESCOPE = "https://api.descope.com/oauth2/v1"

PROVIDERS = (
    Provider(
        "github",
        "GITHUB",
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
        "https://api.github.com/user",
        "user:email",
        identifier="login",
        image="avatar_url",
    ),
    Provider(
        "google",
        "GOOGLE",
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        "https://openidconnect.googleapis.com/v1/userinfo",
        _OPENID,
    ),
    Provider(
        "azure-ad",
        "AZURE_AD",
        _MICROSOFT + "/authorize",
        _MICROSOFT + "/token",
        "https://graph.microsoft.com/v1.0/me",
        "https://graph.microsoft.com/User.Read offline_access",
        needs=("TENANT_ID",),
        identifier="userPrincipalName",
        parameters={"response_mode": "query"},
        adjust=_tenant,
    ),
    Provider(
        "okta",
        "OKTA",
        "https://{DOMAIN}{SERVER}/v1/authorize",
        "https://{DOMAIN}{SERVER}/v1/token",
        "https://{DOMAIN}{SERVER}/v1/userinfo",
        _OPENID,
        needs=("DOMAIN",),
        adjust=_authorization_server,
    ),
    Provider(
        "auth0",
        "AUTH0",
        "https://{DOMAIN}/authorize",
        "https://{DOMAIN}/oauth/token",
        "https://{DOMAIN}/userinfo",
        _OPENID,
        needs=("DOMAIN",),
        parameters={"audience": "https://{ORIGINAL}/userinfo"},
        adjust=_original_domain,
    ),
    Provider(
        "descope",
        "DESCOPE",
        _DESCOPE + "/authorize",
        _DESCOPE + "/token",
        _DESCOPE + "/userinfo",
        _OPENID,
        parameters={"audience": _DESCOPE + "/userinfo"},
    ),
    Provider(
        "aws-cognito",
        "COGNITO",
        "https://{DOMAIN}/login",
        "https://{DOMAIN}/oauth2/token",
        "https://{DOMAIN}/oauth2/userInfo",
        _OPENID,
        needs=("DOMAIN",),
        adjust=_bare_domain,
    ),
    Provider(
        "gitlab",
        "GITLAB",
        "https://{DOMAIN}/oauth/authorize",
        "https://{DOMAIN}/oauth/token",
        "https://{DOMAIN}/oauth/userinfo",
        _OPENID,
        needs=("DOMAIN",),
        adjust=_bare_domain,
    ),
    Provider(
        "keycloak",
        "KEYCLOAK",
        _KEYCLOAK + "/auth",
        _KEYCLOAK + "/token",
        _KEYCLOAK + "/userinfo",
        _OPENID,
        needs=("REALM", "BASE_URL"),
    ),
    Provider(
        "generic",
        "GENERIC",
        "{AUTH_URL}",
        "{TOKEN_URL}",
        "{USER_INFO_URL}",
        _OPENID,
        needs=("AUTH_URL", "TOKEN_URL", "USER_INFO_URL"),
    ),
)


def configured_providers() -> list[Provider]:
    """Those whose variables are all set."""
    return [provider for provider in PROVIDERS if provider.is_configured]


def find_provider(name: str) -> Provider | None:
    """The configured provider of this name."""
    return next((one for one in configured_providers() if one.name == name), None)
