"""The house's own nouns on the desk: people, money, messages, jobs and the history."""

from __future__ import annotations

from flask_appbuilder.security.sqla.models import User

from app.desk.resource import Resource
from app.kernel import access
from app.kernel.access import everything
from app.kernel.audit import Change
from app.kernel.files import Picture
from app.kernel.jobs import Job
from app.kernel.pack import Pack
from app.kernel.people import Person
from app.messages.message import Message
from app.money.bill import Bill
from app.money.inbox import Event
from app.money.payment import Payment

READ = {"Desk": "read moves", "Auditor": "read"}

# Who may be chosen as somebody's user account, in a form of a noun that points at one.
access.declare(User, frozenset({"Desk"}), {})

house = Pack(
    name="house",
    label="House",
    nouns=[Person, Bill, Payment, Event, Message, Job, Change, Picture],
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
            roles={"Desk": "read write", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Payment,
            icon="wallet",
            list="gateway_id bill.number bill.person money state method owed_back",
            show="gateway_id gateway bill.number bill.person money state method error captured_at owed_back refund_id",
            search="gateway_id bill.number",
            filters="state captured_at",
            roles=READ,
            scope=everything,
        ),
        Resource(
            Bill,
            icon="receipt",
            list="number person price state gateway order_id",
            show="number person price state noun row_id gateway order_id look_at looked",
            search="number order_id",
            filters="state",
            roles=READ,
            scope=everything,
        ),
        Resource(
            Event,
            icon="inbox",
            label="Webhooks",
            list="created_at gateway kind order_id state",
            show="created_at gateway kind event_id order_id state trouble body",
            search="event_id order_id",
            filters="state kind created_at",
            roles=READ,
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
    messages=["money/refunded"],
)
