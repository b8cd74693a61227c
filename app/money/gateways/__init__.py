"""Payment gateways: the contract of one, and the adapters for Razorpay, Stripe, UPI and money counted by staff."""
