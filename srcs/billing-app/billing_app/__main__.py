"""`python -m billing_app serve`, `… migrate` and `… dead-letters list|show|retry|drop`."""

from collections.abc import Sequence
from pathlib import Path

from platform_common.cli import run


def serve() -> int:
    """Serve the API and consume orders until SIGTERM."""
    from billing_app.process import make_consumer_process
    from billing_app.settings import Settings
    from platform_common.server import serve as serve_application
    from platform_common.settings import Environment

    settings = Settings.read(Environment())
    # A candidate leaves the orders to those who serve already.
    processes = [] if settings.base.candidate else [make_consumer_process(settings)]
    return serve_application(
        "billing_app.wsgi:app", settings.base, child_processes=processes, preload=["billing_app.app"]
    )


def migrate() -> None:
    """Bring the database to the newest schema."""
    from billing_app.tables import GRANTS
    from platform_common.migrations import migrate as migrate_database

    migrate_database(Path(__file__).parent / "migrations", GRANTS)


def dead_letters(arguments: Sequence[str]) -> int:
    """Look at the dead letters, put them back or remove them."""
    from billing_app.dead_letters_command import run_dead_letters

    return run_dead_letters(arguments)


if __name__ == "__main__":
    run({"serve": serve, "migrate": migrate}, with_arguments={"dead-letters": dead_letters})
