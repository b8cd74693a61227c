"""Pages: the Flask-AppBuilder views and REST endpoints of each noun."""
