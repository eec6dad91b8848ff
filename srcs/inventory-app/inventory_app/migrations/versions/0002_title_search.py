"""The index behind `GET /api/movies?title=…`, made while the app reads and writes.

Where this was cut off, the index is there and invalid, and the next run comes by here again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    with op.get_context().autocommit_block():
        # What is waited for are older transactions, and nobody waits behind us.
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS movies_title_search")
        # The expression is `_fold` of the repository. What is new waits in a list that every search reads:
        # a short one.
        op.execute(
            "CREATE INDEX CONCURRENTLY movies_title_search ON movies "
            'USING gin (upper(lower(title COLLATE "und-x-icu")) gin_trgm_ops) '
            "WITH (gin_pending_list_limit = 256)"
        )
        # How frequent a text is, to a fifth of a percent: where it is in many titles, the first page is
        # sooner met by ascending id.
        op.execute("ALTER INDEX movies_title_search ALTER COLUMN 1 SET STATISTICS 500")
        op.execute("ANALYZE movies")
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.drop_index("movies_title_search")
    op.execute("DROP EXTENSION pg_trgm")
