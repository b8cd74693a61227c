"""The house's own nouns on the desk: people, messages, jobs and the history."""

from __future__ import annotations

from flask_appbuilder.security.sqla.models import User

from app.desk.hooks import hooks
from app.desk.resource import Resource
from app.kernel import access
from app.kernel.access import everything
from app.kernel.audit import Change
from app.kernel.files import Picture
from app.kernel.jobs import Job
from app.kernel.pack import Pack
from app.kernel.people import Person
from app.messages.call import Call
from app.messages.hook import Hook
from app.messages.message import Message

READ = {"Desk": "read moves", "Accountant": "read", "Auditor": "read"}

# Who may be chosen as somebody's user account, in a form of a noun that points at one.
access.declare(User, frozenset({"Desk"}), {})

house = Pack(
    name="house",
    label="House",
    nouns=[Person, Message, Job, Change, Picture, Hook, Call],
    resources=[
        Resource(
            Person,
            icon="users",
            label="People",
            list="name email phone timezone",
            show="name email phone timezone locale notes created_at",
            add="name email phone timezone notes",
            search="name email phone",
            order="name",
            roles={"Desk": "read write", "Accountant": "read", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Message,
            icon="mail",
            list="person template state due_at sent_at",
            show="person template state due_at sent_at subject body",
            search="person.email template subject",
            filters="state due_at",
            roles=READ,
            scope=everything,
        ),
        *hooks,
        Resource(
            Job,
            icon="gear",
            list="name noun row_id state attempts due_at",
            show="name noun row_id state attempts due_at leased_until finished_at error",
            search="name",
            filters="state due_at",
            roles={"Desk": "read moves", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Change,
            icon="history",
            label="History",
            list="created_at name door verb noun row_id",
            show="created_at name door verb noun row_id before after why",
            search="noun name verb",
            filters="created_at",
            roles={"Auditor": "read"},
            scope=everything,
        ),
    ],
)
