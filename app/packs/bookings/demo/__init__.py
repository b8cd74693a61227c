"""Demo data: a small practice, and a large one for measurements."""
