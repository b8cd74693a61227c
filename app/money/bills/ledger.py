"""Ledger: double-entry bookkeeping, with accounts, postings, holds and the trial balance.

Debit = credit, and no changes: both are enforced by triggers in migrations/versions/0002_ledger_refunds_invoices.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, in_own_transaction, session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import every
from app.kernel.people import Person
from app.kernel.translation import unsaid
from app.kernel.workflow import move
from app.money.gateways.gateway import gateway_label
from app.money.sums.amount import Money, money_column

# The kind of an account follows from the first word of its name: "gateway razorpay" is what Razorpay owes us.
KINDS = {
    "gateway": "asset",
    "cash": "asset",
    "cheques": "asset",
    "bank": "asset",
    "disputed": "asset",
    "input-tax": "asset",
    "received": "liability",
    "deposits": "liability",
    "to-give-back": "liability",
    "tax": "liability",
    "wallet": "liability",
    "income": "income",
    "fees": "expense",
    "disputes-lost": "expense",
}
MEANINGS = {
    "gateway": "Collected by the gateway, not yet settled",
    "cash": "Cash in hand",
    "cheques": "Cheques not yet cleared",
    "bank": "Balance at the bank",
    "disputed": "Withheld by gateways during disputes",
    "input-tax": "Tax charged by suppliers",
    "received": "Received, not yet allocated",
    "deposits": "Paid in advance, not yet earned",
    "to-give-back": "Refunds owed to customers",
    "tax": "Tax collected, payable to the government",
    "wallet": "Prepaid customer balances",
    "income": "Revenue earned",
    "fees": "Fees charged by gateways",
    "disputes-lost": "Losses from disputes (chargebacks)",
}
TITLES = {
    "gateway": "Gateway balance",
    "cash": "Cash",
    "cheques": "Cheques in hand",
    "bank": "Bank",
    "disputed": "Disputed amounts",
    "input-tax": "Input tax",
    "received": "Unallocated receipts",
    "deposits": "Customer advances",
    "to-give-back": "Refunds payable",
    "tax": "Output tax",
    "wallet": "Customer wallet",
    "income": "Revenue",
    "fees": "Gateway fees",
    "disputes-lost": "Dispute losses",
}
OVERDRAWN = "The balance of this account isn’t sufficient."


class Account(Noun):
    """One account. A guarded one keeps its balance in its row, and a check keeps it above the amount on hold."""

    audited = False  # its lines are its history
    publishes_added = False
    __table_args__ = (
        UniqueConstraint("name", "owner", "currency"),
        UniqueConstraint("id", "currency"),
        CheckConstraint("not guarded or (held >= 0 and balance >= held)", name="covered"),
    )
    refusals: ClassVar[dict[str, str]] = {"account_covered": OVERDRAWN}

    name: Mapped[str] = mapped_column(info={"label": "Account code"})
    kind: Mapped[str] = mapped_column(
        info={"label": "Account type", "choices": ("asset", "liability", "income", "expense")}
    )
    owner: Mapped[str] = mapped_column(default="")  # "person 12" for a wallet
    currency: Mapped[str]
    guarded: Mapped[bool] = mapped_column(default=False, info={"label": "Overdraft protection"})
    balance: Mapped[int] = mapped_column(BigInteger, default=0)  # of guarded accounts only; updated by a trigger
    held: Mapped[int] = mapped_column(BigInteger, default=0, info={"label": "On hold"})

    @classmethod
    def find_or_open(cls, name: str, currency: str, *, owner: str = "", guarded: bool = False) -> Account:
        same = select(cls).where(cls.name == name, cls.owner == owner, cls.currency == currency)
        account = session.scalar(same)
        if account is None:
            always = {"created_at": clock.now(), "changed_at": clock.now(), "version": 1, "balance": 0, "held": 0}
            values = {
                "name": name,
                "kind": KINDS[name.split(maxsplit=1)[0]],
                "owner": owner,
                "currency": currency,
                "guarded": guarded,
            }
            # In its own transaction, so that two openings at the same moment can't deadlock.
            in_own_transaction(insert(cls).values(values | always).on_conflict_do_nothing())
            account = session.scalars(same).one()
        return account

    @classmethod
    def wallet_of(cls, owner: Noun, currency: str) -> Account:
        """Return the wallet of this owner, which can't be overdrawn."""
        return cls.find_or_open("wallet", currency, owner=f"{owner.__tablename__} {owner.id}", guarded=True)

    @property
    def available(self) -> Money:
        return Money(self.balance - self.held, self.currency)

    def hold(self, money: Money, key: str) -> Hold:
        """Put an amount on hold, once for each key: it stays in the account, but is no longer available."""
        with transaction():
            self.lock()
            known: Hold | None = session.scalar(select(Hold).where(Hold.key == key))
            if known:
                return known
            if money.amount <= 0 or money > self.available:
                raise Refused(OVERDRAWN)
            self.held += money.amount
            made = Hold(account=self, money=money, key=key)
            session.add(made)
        return made

    @property
    def means(self) -> str:
        return MEANINGS[self.name.split()[0]]

    @property
    def title(self) -> str:
        """The accountant's title: Gateway balance: Razorpay, Output tax: CGST."""
        first, _, which = self.name.partition(" ")
        return f"{TITLES[first]}: {gateway_label(which) if first == 'gateway' else which}" if which else TITLES[first]

    def __str__(self) -> str:
        owner, currency = self.owner and f"of {self.owner}", self.currency if self.currency != "INR" else ""
        return " ".join(filter(None, [self.title, owner, currency]))


class Hold(Noun):
    """An amount on hold in an account, to be released or used."""

    states = "held", "released", "taken"
    __table_args__ = (CheckConstraint("money_amount > 0", name="something"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)
    money: Mapped[Money] = money_column("money")
    key: Mapped[str] = mapped_column(unique=True)

    def lock(self) -> Hold:
        self.account.lock()
        return super().lock()

    @move("held", to="released")
    def release(self) -> None:
        """The held amount is available again."""
        self.account.held -= self.money.amount

    @move("held", to="taken")
    def take(self, to: str, what: str) -> None:
        """The held amount leaves the account."""
        self.account.held -= self.money.amount
        session.flush()
        post(f"hold {self.id}", what, (self.account, self.money), (to, -self.money), about=self)


class Posting(Noun):
    """One ledger entry, whose lines balance. The database checks that, and refuses changes and deletion."""

    known_as = unsaid("Accounting entry")
    audited, final = False, True
    kept_by_law = unsaid("Ledger entries are kept unchanged. They contain amounts and numbers, and no names.")
    __table_args__ = (Index("posting_about", "noun", "row_id"),)

    key: Mapped[str] = mapped_column(unique=True, info={"label": "Entry key"})
    day: Mapped[date] = mapped_column(index=True, info={"label": "Date"})
    what: Mapped[str] = mapped_column(info={"label": "Description"})
    noun: Mapped[str] = mapped_column(default="", info={"label": "Record type"})
    row_id: Mapped[int | None] = mapped_column(info={"label": "Record ID"})
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person | None] = relationship(lazy="joined")
    reverses_id: Mapped[int | None] = mapped_column(ForeignKey("posting.id"), unique=True)
    by: Mapped[str] = mapped_column(default=lambda: actor().name, info={"label": "Posted by"})
    lines: Mapped[list[Line]] = relationship(back_populates="posting", order_by="Line.id")

    def reverse(self, why: str) -> None:
        """Correct a mistake by a posting with the same lines, debit and credit swapped; once."""
        back = [(line.account, -line.money) for line in self.lines]
        if (
            write_posting(
                f"reverse {self.key}",
                f"{why} ({self.what})",
                *back,
                noun=self.noun,
                row_id=self.row_id,
                person=self.person,
                reverses=self.id,
            )
            is None
        ):
            raise RuntimeError("A posting without lines cannot be reversed.")

    def __str__(self) -> str:
        return self.what


class Line(Noun):
    """One line of a posting: above zero is a debit, below zero a credit."""

    audited, final = False, True
    publishes_added = False
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "money_currency"], ["account.id", "account.currency"]),
        CheckConstraint("money_amount <> 0", name="something"),
    )

    posting_id: Mapped[int] = mapped_column(ForeignKey("posting.id"), index=True)
    posting: Mapped[Posting] = relationship(back_populates="lines", lazy="joined", innerjoin=True)
    account_id: Mapped[int] = mapped_column(index=True)
    account: Mapped[Account] = relationship(
        lazy="joined", innerjoin=True, foreign_keys=[account_id], primaryjoin="Line.account_id == Account.id"
    )
    money: Mapped[Money] = money_column("money")

    @property
    def debit(self) -> Money | None:
        return self.money if self.money.amount > 0 else None

    @property
    def credit(self) -> Money | None:
        return -self.money if self.money.amount < 0 else None


Side = tuple[str | Account, Money]


def post(key: str, what: str, *sides: Side, about: Noun, person: Person | None = None) -> Posting | None:
    """Post an entry, once for each key. Zero amounts make no line, and without lines there is no posting."""
    return write_posting(key, what, *sides, noun=about.__tablename__, row_id=about.id, person=person)


def write_posting(
    key: str, what: str, *sides: Side, noun: str, row_id: int | None, person: Person | None, reverses: int | None = None
) -> Posting | None:
    lines = [(account, money) for account, money in sides if money]
    if not lines:
        return None
    moment = clock.now()
    values = {
        "key": key,
        "day": clock.today(),
        "what": what,
        "noun": noun,
        "row_id": row_id,
        "by": actor().name,
        "reverses_id": reverses,
    }
    always = {"person_id": person and person.id, "created_at": moment, "changed_at": moment, "version": 1}
    new = session.scalar(
        insert(Posting)
        .values(values | always)
        .on_conflict_do_nothing(index_elements=[Posting.key])
        .returning(Posting.id)
    )
    if new is None:
        return session.scalars(select(Posting).where(Posting.key == key)).one()
    times = {"created_at": moment, "changed_at": moment, "version": 1}
    rows = [
        {"posting_id": new, "account_id": account.id, "money_amount": money.amount, "money_currency": money.currency}
        | times
        for account, (_, money) in zip(_accounts_of(lines), lines, strict=True)
    ]
    session.execute(insert(Line.__table__), sorted(rows, key=lambda row: row["account_id"]))
    for account, _ in lines:
        if isinstance(account, Account) and account.guarded:
            session.expire(account, ["balance"])
    return Posting.get(new)


def is_posted(key: str) -> bool:
    return session.scalar(select(Posting.id).where(Posting.key == key)) is not None


def _accounts_of(sides: Sequence[Side]) -> list[Account]:
    """Return the accounts, with those given by name read in one query, and opened on first use."""
    names = [account for account, _ in sides if isinstance(account, str)]
    found = session.scalars(select(Account).where(Account.name.in_(names), Account.owner == "")) if names else ()
    known = {(each.name, each.currency): each for each in found}
    return [
        account
        if isinstance(account, Account)
        else known.get((account, money.currency)) or Account.find_or_open(account, money.currency)
        for account, money in sides
    ]


def balance_of(name: str, currency: str, *, owner: str = "", about: Noun | None = None) -> Money:
    """Return the balance of an account, debits above zero; with `about`, only the entries about that record."""
    total = (
        select(func.coalesce(func.sum(Line.__table__.c.money_amount), 0))
        .select_from(Line)
        .join(Account, Line.account_id == Account.id)
    )
    total = total.where(Account.name == name, Account.owner == owner, Account.currency == currency)
    if about is not None:
        total = total.join(Posting, Line.posting_id == Posting.id).where(
            Posting.noun == about.__tablename__, Posting.row_id == about.id
        )
    return Money(int(session.scalar(total) or 0), currency)


def imbalance() -> dict[str, int]:
    """Return what doesn't balance, by currency, and guarded accounts whose balance is wrong; normally nothing."""
    amount, currency = Line.__table__.c.money_amount, Line.__table__.c.money_currency
    sums = select(currency, func.sum(amount)).group_by(currency).having(func.sum(amount) != 0)
    found: dict[str, int] = {name: int(total) for name, total in session.execute(sums)}
    kept = (
        select(Account, func.sum(amount))
        .join(Line, Line.account_id == Account.id)
        .where(Account.guarded)
        .group_by(Account.id)
    )
    for account, total in session.execute(kept):
        true = int(total) if account.kind in ("asset", "expense") else -int(total)
        if true != account.balance:
            found[str(account)] = true - account.balance
    return found


@every("Check that the books balance", days=1)
def check_the_books() -> None:
    """Fail if the books don't balance, so that staff see the failed job, although the database should prevent it."""
    if wrong := imbalance():
        raise RuntimeError(f"The books do not add up: {wrong}")


def trial_balance_rows(moment: datetime | None = None) -> list[Any]:
    """Return the trial balance: each account with its debit and credit totals, up to and including this day."""
    amount = Line.__table__.c.money_amount
    left, right = (
        func.coalesce(func.sum(amount).filter(amount > 0), 0),
        func.coalesce(-func.sum(amount).filter(amount < 0), 0),
    )
    found = (
        select(Account, left, right)
        .join(Line, Line.account_id == Account.id)
        .join(Posting, Line.posting_id == Posting.id)
        .group_by(Account.id)
    )
    if moment is not None:
        found = found.where(Posting.day <= clock.day_of(moment))
    return list(session.execute(found.order_by(Account.kind, Account.name, Account.owner)))
