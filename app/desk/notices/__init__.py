"""Notifications: what a team member is told, how they want to be told, and who their colleagues are."""
