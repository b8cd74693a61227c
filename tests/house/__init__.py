"""Tests of the whole product, over every noun, report and text."""
