"""Account pages: sessions, sign-in methods, API tokens, passkeys, roles, groups and impersonation."""
