"""The tables, as SQLAlchemy sees them; the migrations make them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, MetaData, Table, Text

metadata = MetaData()

movies = Table(
    "movies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
)

# What the app's account may do, by way of its group; granted after each run of the migrations.
GRANTS = ("GRANT USAGE ON SCHEMA public TO app", "GRANT SELECT, INSERT, UPDATE, DELETE ON movies TO app")
