"""Services, extras, practitioners, packages and slots, and the calculation of available times."""
