"""Operations: health checks, the console at /ops, commands, logs, and a customer's data export and deletion."""

from __future__ import annotations

from flask import Flask

from app.ops import commands, console, health, logs, privacy


def open(app: Flask) -> None:
    logs.configure(app)
    app.register_blueprint(health.health)
    app.extensions["appbuilder"].sm.limiter.exempt(health.health)
    app.register_blueprint(privacy.privacy)
    console.open(app)
    app.cli.add_command(commands.migrate)
    app.cli.add_command(commands.revision)
    app.cli.add_command(commands.demo_large)
    app.cli.add_command(commands.clock)
    app.cli.add_command(commands.show_map)
    app.cli.add_command(commands.reseal_all)
    app.cli.add_command(commands.update_words)
    app.cli.add_command(commands.search_rebuild)
