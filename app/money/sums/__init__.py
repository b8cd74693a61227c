"""Pricing rules: amounts, prices, tax, coupons, quotes and refund policies."""
