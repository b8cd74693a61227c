"""Imports: CSV and Excel files that become rows, and how an import is undone."""
