"""Benchmark of requests against stock Flask-AppBuilder, on the same rows and in the same run."""
