"""Payment gateways: the contract, and the adapters for Razorpay, Stripe, UPI and payments recorded by staff."""
