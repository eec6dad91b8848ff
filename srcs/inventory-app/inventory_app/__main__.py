"""`python -m inventory_app serve` and `python -m inventory_app migrate`."""

from pathlib import Path

from platform_common.cli import run


def serve() -> int:
    """Serve the API until SIGTERM."""
    from inventory_app.settings import Settings
    from platform_common.server import serve as serve_application
    from platform_common.settings import Environment

    settings = Settings.read(Environment())
    return serve_application("inventory_app.wsgi:app", settings.base, preload=["inventory_app.app"])


def migrate() -> None:
    """Bring the database to the newest schema."""
    from inventory_app.tables import GRANTS
    from platform_common.migrations import migrate as migrate_database

    migrate_database(Path(__file__).parent / "migrations", GRANTS)


if __name__ == "__main__":
    run({"serve": serve, "migrate": migrate})
