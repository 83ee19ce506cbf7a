"""OAuth providers: a table of what is different about each."""

from __future__ import annotations

import os
import secrets
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
        pattern: str = getattr(self, which)
        return pattern.format_map(self.variables())

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
        if "id_token" in parameters["response_type"]:
            parameters["nonce"] = secrets.token_urlsafe(16)  # which such an answer must have
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
        "azure-ad-hybrid",
        "AZURE_AD_HYBRID",
        _MICROSOFT + "/authorize",
        _MICROSOFT + "/token",
        "https://graph.microsoft.com/v1.0/me",
        "https://graph.microsoft.com/User.Read openid offline_access",
        needs=("TENANT_ID",),
        identifier="userPrincipalName",
        parameters={"response_type": "code id_token", "response_mode": "form_post"},
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


class OAuthProvider:
    """A provider of the app's own: a class below this one, an object of which it appends to
    `providers`.

    env: the variables that have to be set. authorize_url, authorize_params: where users log in,
    and what that is told beside the usual. default_prompt: the parameter `prompt`.
    """

    id: str
    env: list[str] = []
    client_id: str = ""
    client_secret: str = ""
    authorize_url: str = ""
    authorize_params: dict[str, str] = {}
    default_prompt: str | None = None

    def is_configured(self) -> bool:
        """Whether all its variables are set."""
        return all(os.environ.get(name) for name in self.env)

    async def get_token(self, code: str, url: str) -> str:
        """The access token for a code. url: where the provider sent the user back."""
        raise NotImplementedError

    async def get_user_info(self, token: str) -> tuple[dict[str, Any], User]:
        """What the provider says of the token's user, and the user made of it."""
        raise NotImplementedError

    def get_env_prefix(self) -> str:
        """What its variables begin with: OAUTH_ and its id."""
        return "OAUTH_" + self.id.replace("-", "_").upper()

    def get_prompt(self) -> str | None:
        """The parameter `prompt`: its variable's, that for all providers, or its own."""
        own = os.environ.get(self.get_env_prefix() + "_PROMPT")
        return own or os.environ.get("OAUTH_PROMPT") or self.default_prompt

    # ---- as the routes want it ----

    @property
    def name(self) -> str:
        return self.id

    def url(self, which: str) -> str:
        return self.authorize_url

    def authorize_parameters(self, redirect_uri: str, state: str) -> dict[str, str]:
        parameters = {"client_id": self.client_id, "redirect_uri": redirect_uri, "state": state}
        prompt = self.get_prompt()
        if prompt:
            parameters["prompt"] = prompt
        return {"response_type": "code", **parameters, **self.authorize_params}


AnyProvider = Provider | OAuthProvider
# Those that there are; apps append theirs, once more with each load.
providers: list[AnyProvider] = list(PROVIDERS)


def configured_providers() -> list[AnyProvider]:
    """Those whose variables are all set. Of one name the last."""
    found = {one.name: one for one in providers if _is_configured(one)}
    return list(found.values())


def find_provider(name: str) -> AnyProvider | None:
    """The configured provider of this name."""
    return next((one for one in configured_providers() if one.name == name), None)


def get_oauth_provider(provider: str) -> AnyProvider | None:
    """The provider of this id, configured or not."""
    return next((one for one in reversed(providers) if one.id == provider), None)


def get_configured_oauth_providers() -> list[str]:
    """The names of those whose variables are all set."""
    return [one.name for one in configured_providers()]


def _is_configured(provider: AnyProvider) -> bool:
    if isinstance(provider, OAuthProvider):
        return provider.is_configured()
    return provider.is_configured
