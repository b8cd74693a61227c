"""What is asked for, what was paid, what goes back: whole minor units, forward only, and every capture ends somewhere."""
