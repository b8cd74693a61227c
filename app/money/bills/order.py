"""Gateway order: created once, paid on the gateway's page, and checked (polled) until its outcome is certain.

Webhook, browser and scheduler all end in `check_gateway`.
"""

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
    """The part that a bill and a basket share: each is collected by one order at a gateway."""

    if TYPE_CHECKING:  # provided by the noun
        id: Any
        number: Any
        handle: Any
        created_at: Any
        price: Any

        @property
        def wants_money(self) -> bool: ...

        @property
        def is_awaited(self) -> bool:
            """Tell whether a payment is still wanted."""

        @property
        def is_settled(self) -> bool:
            """Tell whether everything was paid."""

        @property
        def order_request(self) -> OrderRequest: ...

        def apply_charges(
            self, charges: Iterable[Charge], returned: Mapping[str, Sequence[GatewayRefund]] | None = None
        ) -> None:
            """Apply what the gateway reports of each attempt and its refunds. Safe to repeat."""

        def lock(self) -> Self: ...

    gateway: Mapped[str] = gateway_column("Gateway for online payment")
    order_id: Mapped[str | None] = mapped_column(info={"label": "Gateway order ID"})
    orders: Mapped[int] = mapped_column(default=0)  # how many orders the gateway closed unpaid
    look_at: Mapped[datetime | None] = mapped_column(index=True)
    looked: Mapped[int] = mapped_column(default=0)

    @property
    def receipt(self) -> str:
        """The reference at the gateway, with a random part, because numbers may repeat after a backup is restored."""
        return f"{self.number}-{self.handle[:8]}" + (f"-{self.orders}" if self.orders else "")

    # --- asking for the money ---

    def announce(self) -> str:
        """Create the order at the gateway, once, without an open transaction while waiting for it."""
        if not self.wants_money:
            raise Refused("There is nothing left to pay here.")
        if self.order_id is None:
            order_id = gateway.by_name(self.gateway).create_order(self.order_request)
            with transaction():
                self._keep_order_id(order_id)
        assert self.order_id is not None
        return self.order_id

    def _keep_order_id(self, order_id: str) -> None:
        """Keep the first order ID: a concurrent click may have been quicker, and the payer may be using its order."""
        self.lock()
        if self.order_id is None:
            self.order_id = order_id

    def open_checkout(self) -> CheckoutForm:
        """Return the form for the gateway's page. An expired order is checked once more, and then replaced."""
        its_gateway, order_id = gateway.by_name(self.gateway), self.announce()
        try:
            return its_gateway.checkout_form(order_id, self.order_request)
        except OrderExpired:
            self.check_gateway()
            with transaction():
                self.lock()
                if self.order_id == order_id and self.wants_money:
                    self.order_id, self.orders = None, self.orders + 1
            return its_gateway.checkout_form(self.announce(), self.order_request)

    def close_order(self) -> None:
        """Queue a request to the gateway to accept no more payments for this."""
        if self.order_id:
            later(close_order, self, key=f"close:{type(self).__name__.lower()}:{self.id}:{self.orders}")  # type: ignore[arg-type]

    # --- applying what the gateway reports ---

    def handle_return(self, fields: Mapping[str, str]) -> str:
        """Handle the payer's return: verify it, and ask the gateway. Returns "" or an error code."""
        wrong = gateway.by_name(self.gateway).verify_return(self.order_id or "", fields)
        if not wrong:
            self.check_gateway()
        return wrong

    def check_gateway(self) -> None:
        """Fetch the charges and refunds of this order and apply them. Safe to repeat."""
        if self.order_id:
            its_gateway = gateway.by_name(self.gateway)
            charges = its_gateway.list_charges(self.order_id)
            refunded = [each.id for each in charges if each.returned and each.state == "captured"]
            self.apply_charges(charges, {id: its_gateway.list_refunds(id) for id in refunded})

    def check_again(self) -> None:
        """Check on schedule, in growing intervals: minutes at first, then every hour for four days.

        The next check is scheduled before this one starts, so that none is lost if it fails.
        """
        gap = min(timedelta(minutes=2) * 2 ** min(self.looked, 6), timedelta(hours=1))
        over = clock.now() > self.created_at + timedelta(days=4)
        with transaction():
            self.lock()
            self.looked += 1
            waits = self.wants_money and self.is_awaited  # a balance may be paid weeks after the deposit
            self.look_at = None if self.is_settled or (over and not waits) else clock.now() + gap
        self.check_gateway()


@job("Close payment at the gateway", was="money.order.close")
def close_order(order: GatewayOrder) -> None:
    if order.order_id:
        gateway.by_name(order.gateway).close_order(order.order_id)


@job("Check payment at the gateway", was="money.order.look_again")
def check_order(order: GatewayOrder) -> None:
    order.check_again()
