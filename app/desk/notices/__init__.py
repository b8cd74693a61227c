"""Notifications of team members: what they receive, their notification settings, and who their colleagues are."""
