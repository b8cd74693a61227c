"""What a request costs here, measured against stock Flask-AppBuilder on the same rows, in the same run."""
