"""What can be booked: services, extras, practitioners, packages, slots and the rules by which slots open."""
