"""Sign-in: passwords, TOTP, passkeys, OpenID Connect, sessions, API tokens and what a signed-in user may do."""
