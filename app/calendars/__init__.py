"""Where and when people meet: the doors to meetings, and the format in which calendars talk to each other."""
