"""Calendars: meeting places (Google Meet, Jitsi, a fixed link), Google Calendar, and the iCalendar format."""
