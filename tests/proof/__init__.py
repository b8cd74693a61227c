"""The proof that money is always true: whatever happens, in whatever order, and however often it breaks off."""
