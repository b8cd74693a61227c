"""OpenID Connect provider, simulated: discovery, sign-in page, codes, tokens, signing keys, and faults on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Blueprint, Response, jsonify, redirect, render_template, request
from jwt.algorithms import RSAAlgorithm

from app.sandbox.state_file import Store
from config import Settings

FAULTS = ("nonce", "other_key", "alg_none", "by_our_secret", "aud", "iss", "exp", "late_email", "new_key", "503")
CODE_SECONDS = 60  # how long an authorization code is valid


class Provider:
    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.issuer = settings.oauth_issuers[0]
        self.client, self.secret = settings.oauth_clients[0], settings.oauth_secrets[0]
        self.redirect_uri = f"{settings.base_url.rstrip('/')}/login/with/sandbox/back"

    # --- discovery ---

    def show_discovery(self) -> Response:
        """Discovery document. Browsers are sent to the product's address; the product calls the issuer directly."""
        return jsonify(
            issuer=self.issuer,
            authorization_endpoint=f"{self.settings.base_url.rstrip('/')}/sandbox/openid/authorize",
            token_endpoint=f"{self.issuer}/token",
            userinfo_endpoint=f"{self.issuer}/userinfo",
            jwks_uri=f"{self.issuer}/jwks",
            response_types_supported=["code"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            scopes_supported=["openid", "email", "profile"],
            token_endpoint_auth_methods_supported=["client_secret_basic"],
            code_challenge_methods_supported=["S256"],
            authorization_response_iss_parameter_supported=True,
        )

    def jwks(self) -> Response:
        public = json.loads(RSAAlgorithm.to_jwk(self._signing_key()[1].public_key()))
        return jsonify(keys=[public | {"kid": self._signing_key()[0], "use": "sig", "alg": "RS256"}])

    def _signing_key(self) -> tuple[str, rsa.RSAPrivateKey]:
        """Return the key id and key, which are created once and stored with the sandbox's data."""
        stored = self.store.get("openid key", "openid key") or self._new_key()
        key = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(stored["pem"])
        assert isinstance(key, rsa.RSAPrivateKey)
        return stored["kid"], key

    def _new_key(self) -> dict[str, Any]:
        pem = (
            rsa.generate_private_key(65537, 2048)
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode()
        )
        return self.store.put("openid key", {"id": "openid key", "kid": secrets.token_hex(8), "pem": pem})

    # --- sign-in page ---

    def authorize(self) -> Any:
        """Show the sign-in page. A wrong client or redirect_uri is an error page, never a redirect."""
        asked = request.values
        if asked.get("client_id") != self.client or asked.get("redirect_uri") != self.redirect_uri:
            return render_template("sandbox/openid_sorry.html", back=self.redirect_uri), 400
        if (
            asked.get("response_type") != "code"
            or "openid" not in asked.get("scope", "").split()
            or asked.get("code_challenge_method") != "S256"
        ):
            return self._redirect_back(error="invalid_request")
        if request.method == "GET":
            return render_template("sandbox/openid.html", asked=asked.to_dict())
        if asked.get("do") == "refuse":
            return self._redirect_back(error="access_denied")
        grant = {name: asked.get(name, "") for name in ("nonce", "code_challenge", "redirect_uri", "email", "name")}
        code = secrets.token_urlsafe(24)
        self.store.put(
            "openid code",
            grant | {"id": code, "verified": bool(asked.get("verified")), "until": time.time() + CODE_SECONDS},
        )
        return self._redirect_back(code=code)

    def _redirect_back(self, **answer: str) -> Any:
        query = urlencode(answer | {"state": request.values.get("state", ""), "iss": self.issuer})
        return redirect(f"{self.redirect_uri}?{query}", 303)

    # --- tokens ---

    def token(self) -> Any:
        fault = (self.store.use_plan("openid fault") or {}).get("fault", "")
        if fault == "503":
            return Response("Service unavailable", 503)
        if not self._is_client():
            return jsonify(error="invalid_client"), 401, {"WWW-Authenticate": "Basic"}
        code = self.store.get("openid code", request.form.get("code", "")) or {"until": 0}
        self.store.put("openid code", code | {"until": 0, "id": request.form.get("code", "")})
        proof = (
            urlsafe_b64encode(hashlib.sha256(request.form.get("code_verifier", "").encode()).digest())
            .rstrip(b"=")
            .decode()
        )
        fits = request.form.get("grant_type") == "authorization_code" and request.form.get("redirect_uri") == code.get(
            "redirect_uri"
        )
        if code["until"] < time.time() or not fits or not hmac.compare_digest(proof, code["code_challenge"]):
            return jsonify(error="invalid_grant"), 400
        access = secrets.token_urlsafe(24)
        self.store.put("openid access", self._person_claims(code) | {"id": access})
        return jsonify(access_token=access, token_type="Bearer", expires_in=300, id_token=self._id_token(code, fault))  # noqa: S106  # the kind of token, not a secret

    def _is_client(self) -> bool:
        kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            client, _, secret = b64decode(encoded).decode().partition(":")
        except ValueError:
            return False
        return kind == "Basic" and hmac.compare_digest(
            f"{unquote(client)}:{unquote(secret)}".encode(), f"{self.client}:{self.secret}".encode()
        )

    def _person_claims(self, code: Mapping[str, Any]) -> dict[str, Any]:
        sub = hashlib.sha256(code["email"].encode()).hexdigest()[:16]
        return {"sub": sub, "email": code["email"], "email_verified": code["verified"], "name": code["name"]}

    def _id_token(self, code: Mapping[str, Any], fault: str) -> str:
        now, person = int(time.time()), self._person_claims(code)
        if fault == "late_email":
            person = {"sub": person["sub"]}
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.client,
            "iat": now,
            "exp": now + 300,
            "nonce": code["nonce"],
        } | person
        wrong = {"nonce": "another nonce", "aud": "another", "iss": "https://evil.example", "exp": now - 600}
        claims |= {name: value for name, value in wrong.items() if name == fault}
        if fault == "new_key":
            self._new_key()
        kid, key = self._signing_key()
        match fault:
            case "alg_none":
                return jwt.encode(claims, "", algorithm="none", headers={"kid": kid})
            case "by_our_secret":
                return jwt.encode(claims, self.secret, algorithm="HS256", headers={"kid": kid})
            case "other_key":
                key = rsa.generate_private_key(65537, 2048)
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})

    def userinfo(self) -> Any:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        person = self.store.get("openid access", token)
        if person is None:
            return jsonify(error="invalid_token"), 401
        return jsonify({name: value for name, value in person.items() if name != "id"})

    def plan_fault(self) -> Any:
        """Plan a fault, as JSON: {"fault": "nonce", "times": 1}."""
        given = request.get_json(silent=True) or request.form
        if given.get("fault") not in FAULTS:
            return jsonify(error=f"fault must be one of {', '.join(FAULTS)}."), 400
        self.store.add_plan("openid fault", {"fault": given["fault"]}, int(given.get("times") or 1))
        return jsonify(planned=given["fault"])


def create_blueprint(settings: Settings, store: Store) -> Blueprint:
    provider = Provider(settings, store)
    openid = Blueprint("openid", __name__, url_prefix="/sandbox/openid")
    for rule, methods, view in (
        ("/.well-known/openid-configuration", ["GET"], provider.show_discovery),
        ("/jwks", ["GET"], provider.jwks),
        ("/authorize", ["GET", "POST"], provider.authorize),
        ("/token", ["POST"], provider.token),
        ("/userinfo", ["GET"], provider.userinfo),
        ("/faults", ["POST"], provider.plan_fault),
    ):
        openid.add_url_rule(rule, rule.strip("/").replace(".", ""), view, methods=methods)
    return openid
