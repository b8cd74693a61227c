"""The one door to those who say who somebody is: OpenID Connect, by a code that is good once and a proof that it was we who asked (PKCE)."""

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

WAIT = httpx.Timeout(10, connect=3)
KEPT_FOR = 3600  # what a provider says of itself, and its keys
LEEWAY = 60  # by which two clocks may differ
SIGNED = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)  # by a key that we do not have ourselves
_MUST: Options = {"require": ["exp", "iat", "iss", "aud", "sub"]}

_known: dict[str, tuple[float, dict[str, Any]]] = {}


@dataclass(frozen=True)
class Provider:
    """Somebody whom the business believes when they say who somebody is."""

    name: str
    issuer: str
    client: str
    secret: str

    @property
    def key(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def label(self) -> str:
        """What a button calls it."""
        return "SSO (demo)" if self.name == "Sandbox" else self.name

    def asks(self, *, back: str, state: str, nonce: str, proof: str) -> str:
        """Where a browser goes to hear who its owner is."""
        asked = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64(sha256(proof.encode()).digest()),
            "code_challenge_method": "S256",
        }
        there = str(self._says()["authorization_endpoint"])
        return f"{there}{'&' if '?' in there else '?'}{urlencode(asked)}"

    def told(self, answer: Mapping[str, str], *, back: str, nonce: str, proof: str) -> dict[str, Any]:
        """What it says of whoever came back with this code, signed by a key of its own and meant for us."""
        says = self._says()
        by = answer.get("iss", self.issuer if not says.get("authorization_response_iss_parameter_supported") else "")
        if by != self.issuer:
            raise self._no("The response came from another provider")
        given = {
            "grant_type": "authorization_code",
            "code": answer.get("code", ""),
            "redirect_uri": back,
            "code_verifier": proof,
        }
        tokens = self._asked("POST", str(says["token_endpoint"]), **self._as_us(says, given))
        claims = self._believed(str(tokens.get("id_token", "")), nonce)
        if "email" not in claims and "userinfo_endpoint" in says:
            more = self._asked(
                "GET",
                str(says["userinfo_endpoint"]),
                headers={"Authorization": f"Bearer {tokens.get('access_token', '')}"},
            )
            claims |= more if more.get("sub") == claims["sub"] else {}
        return claims

    def _believed(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            head = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._key(head.get("kid")),
                algorithms=SIGNED,
                audience=self.client,
                issuer=self.issuer,
                leeway=LEEWAY,
                options=_MUST,
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            raise self._no("Its ID token could not be verified") from None
        audience = claims["aud"]
        ours = claims.get("azp", self.client if isinstance(audience, str) or len(audience) == 1 else "") == self.client
        if not ours or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise self._no("Its ID token was not issued for this site")
        return dict(claims)

    def _key(self, kid: str | None) -> jwt.PyJWK:
        """One that is not known yet may be new: a provider changes them as it likes."""
        address = str(self._says()["jwks_uri"])
        for anew in False, True:
            keys = [
                each
                for each in jwt.PyJWKSet.from_dict(self._kept(address, anew=anew)).keys
                if each.public_key_use in (None, "sig")
            ]
            found = next((each for each in keys if kid is None or each.key_id == kid), None)
            if found is not None and (kid is not None or len(keys) == 1):
                return found
        raise KeyError(kid)

    # --- the wire ---

    def _says(self) -> dict[str, Any]:
        says = self._kept(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if (
            says.get("issuer") != self.issuer
            or not {"authorization_endpoint", "token_endpoint", "jwks_uri"} <= says.keys()
        ):
            raise self._no("Its configuration is incomplete")
        return says

    def _kept(self, address: str, *, anew: bool = False) -> dict[str, Any]:
        since, what = _known.get(address, (0.0, {}))
        if anew or since < time.monotonic() - KEPT_FOR or not what:
            what = self._asked("GET", address)
            _known[address] = time.monotonic(), what
        return what

    def _as_us(self, says: Mapping[str, Any], given: dict[str, str]) -> dict[str, Any]:
        """With our secret in the way that it takes."""
        ways = says.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in ways:
            return {"data": given, "auth": httpx.BasicAuth(quote(self.client, safe=""), quote(self.secret, safe=""))}
        return {"data": given | {"client_id": self.client, "client_secret": self.secret}}

    def _asked(self, method: str, address: str, **how: Any) -> dict[str, Any]:
        db.require_no_transaction()
        try:
            answer = httpx.request(method, address, timeout=WAIT, **how)
            said = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            said = None
        if not isinstance(said, dict):
            raise self._no("It did not respond as expected")
        return said

    def _no(self, why: str) -> NotSignedIn:
        return NotSignedIn(
            f"Signing in with {self.label} failed. {why}. Please try again, or sign in with your password."
        )


def providers(settings: Settings) -> list[Provider]:
    """In the order in which they were set up."""
    each = zip(
        settings.oauth_names, settings.oauth_issuers, settings.oauth_clients, settings.oauth_secrets, strict=True
    )
    return [Provider(*one) for one in each]


def forget() -> None:
    """What providers said of themselves, so that it is asked again."""
    _known.clear()


def _base64(it: bytes) -> str:
    return urlsafe_b64encode(it).rstrip(b"=").decode()
