"""The suite: sentences about behaviour, on a real PostgreSQL and a real Redis, through the doors that people use."""
