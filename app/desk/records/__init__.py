"""Records: notes, tasks, history, related rows and files of one row, and how a row is written."""
