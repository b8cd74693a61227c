"""Kernel: database, moves, history, access, jobs, forms, encryption and translation; it knows no screen and no pack."""
