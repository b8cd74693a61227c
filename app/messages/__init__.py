"""What we say to people: written with the change it tells of, sent by a worker, never twice."""
