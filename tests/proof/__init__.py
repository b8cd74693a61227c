"""Proof that the money is always right: random orders, races, crashes and kill -9, checked by SQL invariants."""
