"""Attention: search, the to-do list, the list of notifications and the setup checklist."""
