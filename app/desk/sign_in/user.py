"""User: the account of a team member, a table of Flask-AppBuilder, for the folders that know nothing else of it."""

from flask_appbuilder.security.sqla.models import User

__all__ = ["User"]
