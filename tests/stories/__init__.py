"""Browser tests of whole stories."""
