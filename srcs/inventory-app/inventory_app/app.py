"""The app factory."""

from __future__ import annotations

from flask import Flask

from inventory_app.movies import make_movies_blueprint
from inventory_app.repository import PLANNER_SETTINGS, Movies
from inventory_app.settings import Settings
from platform_common.app import make_app
from platform_common.database import check_database, init_database_problems, make_engine


def create_app(settings: Settings) -> Flask:
    """Return the app; it connects to the database when it first needs it."""
    base = settings.base
    # One connection for each thread, and one for the health check.
    engine = make_engine(
        settings.database,
        base.service_name,
        pool_size=base.threads + 1,
        server_settings=PLANNER_SETTINGS,
    )
    movies = Movies(engine)
    # A candidate may be newer than the schema: then only the database itself counts.
    query = movies.ping if base.candidate else movies.check
    app = make_app(__name__, settings=base, checks={"database": lambda: check_database(query)})
    init_database_problems(app)
    app.register_blueprint(make_movies_blueprint(movies))
    return app
