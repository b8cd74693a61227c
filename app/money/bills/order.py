"""Order: a sum that a gateway is asked to collect: announced once, paid on its page, and looked at until it is clear what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock
from app.kernel.db import transaction
from app.kernel.errors import Refused
from app.kernel.jobs import job, later
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, CheckoutForm, GatewayRefund, OrderExpired, OrderRequest, gateway_column


class GatewayOrder:
    """Whatever is collected by one order of a gateway: a bill, or several at once."""

    if TYPE_CHECKING:  # every noun that is one brings these
        id: Any
        number: Any
        handle: Any
        created_at: Any
        price: Any

        @property
        def wants_money(self) -> bool: ...

        @property
        def is_awaited(self) -> bool:
            """Is there still something to be had for this money?"""

        @property
        def is_settled(self) -> bool:
            """All that could come has come."""

        @property
        def order_request(self) -> OrderRequest: ...

        def apply_charges(
            self, charges: Iterable[Charge], returned: Mapping[str, Sequence[GatewayRefund]] | None = None
        ) -> None:
            """What the gateway says of each attempt, taken to heart. Safe to hear twice."""

        def lock(self) -> Self: ...

    gateway: Mapped[str] = gateway_column("Gateway for online payment")
    order_id: Mapped[str | None] = mapped_column(info={"label": "Gateway order ID"})
    orders: Mapped[int] = mapped_column(default=0)  # how many the gateway closed before they were paid
    look_at: Mapped[datetime | None] = mapped_column(index=True)
    looked: Mapped[int] = mapped_column(default=0)

    @property
    def receipt(self) -> str:
        """What the gateway files it under: with a random part, because a number may come again after a restored backup."""
        return f"{self.number}-{self.handle[:8]}" + (f"-{self.orders}" if self.orders else "")

    # --- asking for the money ---

    def announce(self) -> str:
        """Tell the gateway to expect this money, once. No transaction is open while it thinks."""
        if not self.wants_money:
            raise Refused("There is nothing left to pay here.")
        if self.order_id is None:
            order_id = gateway.by_name(self.gateway).create_order(self.order_request)
            with transaction():
                self._keep_order_id(order_id)
        assert self.order_id is not None
        return self.order_id

    def _keep_order_id(self, order_id: str) -> None:
        """The first one stays: another click may have been quicker, and its order is the one that a payer holds."""
        self.lock()
        if self.order_id is None:
            self.order_id = order_id

    def open_checkout(self) -> CheckoutForm:
        """The way to the gateway's page. An order that the gateway has closed is looked at once more, and then asked for anew."""
        here, order_id = gateway.by_name(self.gateway), self.announce()
        try:
            return here.checkout_form(order_id, self.order_request)
        except OrderExpired:
            self.check_gateway()
            with transaction():
                self.lock()
                if self.order_id == order_id and self.wants_money:
                    self.order_id, self.orders = None, self.orders + 1
            return here.checkout_form(self.announce(), self.order_request)

    def close_order(self) -> None:
        """Ask the gateway to take no more money for this."""
        if self.order_id:
            later(close_order, self, key=f"close:{type(self).__name__.lower()}:{self.id}:{self.orders}")  # type: ignore[arg-type]

    # --- hearing of the money ---

    def handle_return(self, fields: Mapping[str, str]) -> str:
        """The payer's browser says that it is paid: believe only the gateway, and ask it. Answers "" or what is wrong."""
        wrong = gateway.by_name(self.gateway).verify_return(self.order_id or "", fields)
        if not wrong:
            self.check_gateway()
        return wrong

    def check_gateway(self) -> None:
        """Ask the gateway what happened, and take it to heart. Webhook, browser and clock all end here; safe to do twice."""
        if self.order_id:
            here = gateway.by_name(self.gateway)
            charges = here.list_charges(self.order_id)
            self.apply_charges(
                charges,
                {each.id: here.list_refunds(each.id) for each in charges if each.returned and each.state == "captured"},
            )

    def check_again(self) -> None:
        """Growing gaps: minutes at first, hours for the days in which a bank may still change its mind.

        The next look is written down before this one begins: however this one ends, nothing is forgotten.
        """
        gap = min(timedelta(minutes=2) * 2 ** min(self.looked, 6), timedelta(hours=1))
        over = clock.now() > self.created_at + timedelta(days=4)
        with transaction():
            self.lock()
            self.looked += 1
            waits = self.wants_money and self.is_awaited  # the rest of a deposit may be paid weeks later
            self.look_at = None if self.is_settled or (over and not waits) else clock.now() + gap
        self.check_gateway()


@job("Close payment at the gateway", was="money.order.close")
def close_order(order: GatewayOrder) -> None:
    if order.order_id:
        gateway.by_name(order.gateway).close_order(order.order_id)


@job("Check payment at the gateway", was="money.order.look_again")
def check_order(order: GatewayOrder) -> None:
    order.check_again()
