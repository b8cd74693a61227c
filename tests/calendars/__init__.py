"""Tests of calendars and meeting places."""
