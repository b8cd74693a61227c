"""Automations: rules that staff build (when, only if, then), their steps and their runs."""
