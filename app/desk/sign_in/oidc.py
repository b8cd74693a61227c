"""OpenID Connect (OIDC) client for single sign-on: authorization code flow with PKCE, ID tokens checked by JWKS."""

from __future__ import annotations

import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jwt
from jwt.types import Options

from app.kernel import db
from app.kernel.errors import NotSignedIn
from config import Settings

TIMEOUT = httpx.Timeout(10, connect=3)
CACHE_SECONDS = 3600  # for a provider's configuration and its keys
LEEWAY = 60  # seconds by which two clocks may differ
# Asymmetric only: a token signed with a shared secret could have been made by us.
ALGORITHMS = *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA"
_REQUIRED_CLAIMS: Options = {"require": ["exp", "iat", "iss", "aud", "sub"]}

_cache: dict[str, tuple[float, dict[str, Any]]] = {}


@dataclass(frozen=True)
class Provider:
    """An identity provider that the business trusts, from the settings."""

    name: str
    issuer: str
    client: str
    secret: str

    @property
    def key(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def label(self) -> str:
        """The name on the sign-in button."""
        return "SSO (demo)" if self.name == "Sandbox" else self.name

    def authorization_url(self, *, back: str, state: str, nonce: str, proof: str) -> str:
        """Return the provider's page to which the browser is redirected."""
        query = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64(sha256(proof.encode()).digest()),
            "code_challenge_method": "S256",
        }
        endpoint = str(self._configuration()["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def fetch_claims(self, answer: Mapping[str, str], *, back: str, nonce: str, proof: str) -> dict[str, Any]:
        """Exchange the code for an ID token, verify it, and return its claims."""
        config = self._configuration()
        by = answer.get("iss", self.issuer if not config.get("authorization_response_iss_parameter_supported") else "")
        if by != self.issuer:
            raise self._refusal("The response came from another provider")
        form = {
            "grant_type": "authorization_code",
            "code": answer.get("code", ""),
            "redirect_uri": back,
            "code_verifier": proof,
        }
        tokens = self._request_json("POST", str(config["token_endpoint"]), **self._with_client_secret(config, form))
        claims = self._verify_id_token(str(tokens.get("id_token", "")), nonce)
        if "email" not in claims and "userinfo_endpoint" in config:
            more = self._request_json(
                "GET",
                str(config["userinfo_endpoint"]),
                headers={"Authorization": f"Bearer {tokens.get('access_token', '')}"},
            )
            claims |= more if more.get("sub") == claims["sub"] else {}
        return claims

    def _verify_id_token(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            head = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._signing_key(head.get("kid")),
                algorithms=ALGORITHMS,
                audience=self.client,
                issuer=self.issuer,
                leeway=LEEWAY,
                options=_REQUIRED_CLAIMS,
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            raise self._refusal("Its ID token could not be verified") from None
        audience = claims["aud"]
        ours = claims.get("azp", self.client if isinstance(audience, str) or len(audience) == 1 else "") == self.client
        if not ours or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise self._refusal("Its ID token was not issued for this site")
        return dict(claims)

    def _signing_key(self, kid: str | None) -> jwt.PyJWK:
        """Find the key in the provider's JWKS; fetch it again if the key is unknown, because providers rotate keys."""
        address = str(self._configuration()["jwks_uri"])
        for refresh in False, True:
            keys = [
                each
                for each in jwt.PyJWKSet.from_dict(self._cached_json(address, refresh=refresh)).keys
                if each.public_key_use in (None, "sig")
            ]
            found = next((each for each in keys if kid is None or each.key_id == kid), None)
            if found is not None and (kid is not None or len(keys) == 1):
                return found
        raise KeyError(kid)

    # --- the wire ---

    def _configuration(self) -> dict[str, Any]:
        config = self._cached_json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if (
            config.get("issuer") != self.issuer
            or not {"authorization_endpoint", "token_endpoint", "jwks_uri"} <= config.keys()
        ):
            raise self._refusal("Its configuration is incomplete")
        return config

    def _cached_json(self, address: str, *, refresh: bool = False) -> dict[str, Any]:
        since, answer = _cache.get(address, (0.0, {}))
        if refresh or since < time.monotonic() - CACHE_SECONDS or not answer:
            answer = self._request_json("GET", address)
            _cache[address] = time.monotonic(), answer
        return answer

    def _with_client_secret(self, config: Mapping[str, Any], form: dict[str, str]) -> dict[str, Any]:
        """Authenticate as the client by the method that the provider supports."""
        methods = config.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            return {"data": form, "auth": httpx.BasicAuth(quote(self.client, safe=""), quote(self.secret, safe=""))}
        return {"data": form | {"client_id": self.client, "client_secret": self.secret}}

    def _request_json(self, method: str, address: str, **how: Any) -> dict[str, Any]:
        db.require_no_transaction()
        try:
            answer = httpx.request(method, address, timeout=TIMEOUT, **how)
            body = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            body = None
        if not isinstance(body, dict):
            raise self._refusal("It did not respond as expected")
        return body

    def _refusal(self, why: str) -> NotSignedIn:
        return NotSignedIn(
            f"Signing in with {self.label} failed. {why}. Please try again, or sign in with your password."
        )


def configured_providers(settings: Settings) -> list[Provider]:
    """Return the providers from the settings, in their order there."""
    columns = zip(
        settings.oauth_names, settings.oauth_issuers, settings.oauth_clients, settings.oauth_secrets, strict=True
    )
    return [Provider(*each) for each in columns]


def clear_cache() -> None:
    """Forget the configurations and keys of all providers. For tests."""
    _cache.clear()


def _base64(it: bytes) -> str:
    return urlsafe_b64encode(it).rstrip(b"=").decode()
