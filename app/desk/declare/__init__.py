"""Declarations of resources, columns, reports, charts, calendars and pages, from which the desk builds its screens."""
