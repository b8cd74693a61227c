"""Test suite: sentences about behaviour, on a real PostgreSQL and Redis, through the interfaces people use."""
