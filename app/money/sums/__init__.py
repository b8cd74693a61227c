"""Sums: amounts, prices, tax, coupons, quotes and refund policies; pure rules about money."""
