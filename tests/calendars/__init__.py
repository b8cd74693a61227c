"""Where and when people meet."""
