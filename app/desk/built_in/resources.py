"""General resources of every installation: customers, messages, consent, custom fields, tasks, jobs and history."""

from __future__ import annotations

from sqlalchemy import ColumnElement

from app.desk.attention.setup_checklist import page as first_steps
from app.desk.automations.automation import Automation
from app.desk.automations.page import automations
from app.desk.automations.run import AutomationRun
from app.desk.built_in.feature_switches import page as features
from app.desk.built_in.form_designer import editions, forms
from app.desk.built_in.message_wordings import words
from app.desk.built_in.webhooks import hooks
from app.desk.declare.about_a_record import about_readable
from app.desk.declare.field import Field
from app.desk.declare.resource import Resource, Waits
from app.desk.imports.import_run import ImportLine, ImportRun
from app.desk.lists.archive import Archived
from app.desk.lists.bulk_edit import BulkEdit
from app.desk.lists.saved_view import Opens, SavedView
from app.desk.notices.notice import Notice
from app.desk.notices.preference import Preference
from app.desk.records.remark import Remark
from app.desk.records.task import HANDS, Task
from app.desk.reports.subscription import ROLES as READERS
from app.desk.reports.subscription import Subscription
from app.desk.sign_in.api_token import ApiToken
from app.desk.sign_in.passkey import Passkey
from app.desk.sign_in.session import StaffSession
from app.desk.sign_in.totp import TwoFactor
from app.desk.sign_in.used_token import UsedToken
from app.desk.sign_in.user import User
from app.kernel import access, clock
from app.kernel.access import everything, own
from app.kernel.audit import Change
from app.kernel.feature import Feature, FeatureSwitch
from app.kernel.files import Picture, Upload
from app.kernel.forms import Edition, Form
from app.kernel.jobs import Job
from app.kernel.pack import Pack
from app.kernel.people import Person
from app.messages.code import Code
from app.messages.message import Message
from app.messages.opt_in import OptIn
from app.messages.webhook import Webhook
from app.messages.webhook_delivery import WebhookDelivery
from app.messages.wording import Wording

READ = {"Desk": "read moves", "Accountant": "read", "Auditor": "read"}

# A form with a relation to a user account may offer all users to the Desk role.
access.declare_scope(User, frozenset({"Desk"}), {})


def _unacknowledged() -> ColumnElement[bool]:
    """Handed to the provider more than 20 minutes ago without an answer."""
    return (Message.state == "handed") & (Message.changed_at < clock.ahead(minutes=-20))


house = Pack(
    name="house",
    label="General",
    nouns=[
        Person,
        OptIn,
        Form,
        Edition,
        Message,
        Wording,
        Job,
        Change,
        FeatureSwitch,
        Picture,
        Upload,
        Webhook,
        WebhookDelivery,
        Code,
        Field,
        SavedView,
        Opens,
        BulkEdit,
        ImportRun,
        ImportLine,
        Remark,
        Task,
        Automation,
        AutomationRun,
        Notice,
        Preference,
        Subscription,
        Archived,
        TwoFactor,
        Passkey,
        UsedToken,
        StaffSession,
        ApiToken,
    ],
    resources=[
        Resource(
            Person,
            also="customer client contact patient import export privacy erase gdpr",
            icon="users",
            one="customer",
            label="Customers",
            labels={"created_at": "Added"},
            list="name email phone timezone",
            show="name email phone timezone locale notes state created_at",
            tones={"forgotten": "quiet"},
            add="name email phone timezone notes",
            search="name email phone",
            order="name",
            archive=True,
            guards={"phone": {"Accountant": "masked"}, "notes": {"Accountant": "hidden", "Auditor": "masked"}},
            roles={"Desk": "read write moves", "Accountant": "read", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            OptIn,
            also="marketing consent opt in out privacy gdpr subscribe newsletter",
            icon="phone",
            one="consent",
            label="Marketing consent",
            many="consents",
            labels={"person": "Customer"},
            list="person channel state given_at taken_back_at",
            show="person channel how state given_at taken_back_at",
            add="person channel how",
            edit="how",
            search="person.name person.phone",
            filters="state channel",
            roles={"Desk": "read write moves", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Message,
            also="email sms whatsapp notification sent outbox mail reminder",
            icon="mail",
            list="person template channel state due_at sent_at",
            show="person state trouble noun row_id | Content: subject body template edition wording"
            " | Delivery: channel due_at sent_at delivered_at read_at tries",
            search="person.email person.phone template subject",
            found=False,
            filters="state channel due_at",
            labels={"person": "Customer", "template": "Message", "wording": "Custom template"},
            below="person",
            tones={"handed": "warn", "read": "good"},
            waits=[
                Waits("Failed messages", "Desk", lambda: Message.state == "failed", {"f.state": "failed"}, tone="bad"),
                Waits("Messages that may not have been sent", "Desk", _unacknowledged, {"f.state": "handed"}),
            ],
            roles=READ,
            scope=everything,
        ),
        Resource(
            Field,
            also="custom fields attributes columns settings",
            icon="columns",
            one="custom field",
            label="Custom fields",
            list="label noun kind required listed state",
            show="label noun kind target options state | Form: help required place"
            " | List, search and API: listed found key",
            add="noun label kind target options help required listed found place",
            edit="label options help required listed found place",
            search="label",
            filters="noun kind state",
            order="noun",
            tones={"used": "good"},
            roles={"Auditor": "read"},
            scope=everything,
        ),
        forms,
        editions,
        words,
        *hooks,
        *automations,
        Resource(
            Task,
            also="to do todo assignment follow up",
            icon="check",
            list="title who due_on state about asked_by",
            show="title who due_on state noun row_id asked_by reminded_on created_at",
            edit="title due_on",
            search="title about who.first_name who.username",
            filters="state who due_on",
            labels={"about": "Record", "noun": "Record type", "row_id": "Record ID", "who": "Assignee"},
            order="due_on",
            tones={"open": "info"},
            roles={**dict.fromkeys(HANDS.split(), "read edit moves"), "Auditor": "read"},
            scope=about_readable,
        ),
        Resource(
            Subscription,
            also="scheduled report email schedule export",
            icon="mail",
            one="scheduled report",
            label="Scheduled reports",
            empty="Open a report and choose “Schedule” to receive it by email every day, week or month.",
            list="title who period rhythm format next_at sent_at state",
            show="title who asked_by state trouble | Report: report asked period format"
            " | Schedule: rhythm weekday day at next_at sent_at",
            edit="title period format rhythm weekday day at",
            search="title report",
            filters="state who rhythm",
            labels={"who": "Recipient", "asked": "Filters", "trouble": "Reason paused"},
            tones={"on": "good"},
            related="message",
            roles=dict.fromkeys(READERS.split(), "read edit moves"),
            scope=own("who"),
        ),
        Resource(
            Job,
            also="background queue worker scheduler",
            icon="gear",
            one="background job",
            list="name noun row_id state attempts due_at",
            show="name noun row_id state attempts due_at leased_until finished_at error",
            search="name",
            found=False,
            filters="state due_at",
            waits=[
                Waits(
                    "Failed background jobs", "Admin", lambda: Job.state == "failed", {"f.state": "failed"}, tone="bad"
                )
            ],
            roles={"Desk": "read moves", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Change,
            also="audit log trail activity history changes who",
            icon="history",
            one="history entry",
            label="History",
            many="history entries",
            list="created_at name door verb noun row_id",
            show="created_at name door verb noun row_id before after why",
            labels={"created_at": "Time", "name": "User", "door": "Source", "verb": "Event"},
            search="noun name verb",
            found=False,
            filters="created_at",
            roles={"Auditor": "read"},
            scope=everything,
        ),
    ],
    pages=[first_steps, features],
    features=[
        Feature(
            "account",
            "Customer accounts",
            "Customers can sign in with a code sent by email. Without accounts, they use the links in their emails.",
            doors="account",
        ),
    ],
    messages=["words_broken", "hook_failed", "notice", "report", "report_stopped"],
    message_titles={
        "words_broken": "Template error",
        "hook_failed": "Webhook failed",
        "notice": "Notification",
        "report": "Scheduled report",
        "report_stopped": "Scheduled report paused",
    },
)
