"""Declarations: what a noun, a report, a chart and a page say about themselves, from which the desk builds the rest."""
