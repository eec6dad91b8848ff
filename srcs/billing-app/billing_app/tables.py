"""The tables, as SQLAlchemy sees them; the migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    func,
)

metadata = MetaData()

orders = Table(
    "orders",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("number_of_items", Integer, nullable=False),
    Column("total_amount", Numeric(12, 2)),
    Column("film_id", BigInteger),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# Both are digests: nothing is known of a client's key or order from here.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("claimed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("idempotency_keys_claimed_at", "claimed_at"),
)

# What the app's account may do, by way of its group; granted after each run of the migrations.
GRANTS = (
    "GRANT USAGE ON SCHEMA public TO app",
    "GRANT SELECT, INSERT ON orders TO app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO app",
)
