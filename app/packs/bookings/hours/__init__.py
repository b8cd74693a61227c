"""Opening hours, special hours, closures and busy times of practitioners."""
