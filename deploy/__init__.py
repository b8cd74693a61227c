"""Deployment: the local launcher, its PostgreSQL and Redis, the gunicorn settings and the container image."""
