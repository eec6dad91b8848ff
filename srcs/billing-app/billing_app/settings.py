"""What billing-app can be told."""

from __future__ import annotations

from dataclasses import dataclass

from platform_common.broker import BrokerSettings
from platform_common.database import DatabaseSettings
from platform_common.settings import BaseSettings, Environment


@dataclass(frozen=True)
class Settings:
    """The settings of every app, the database of orders, the broker, and the size of a batch."""

    base: BaseSettings
    database: DatabaseSettings
    broker: BrokerSettings
    prefetch: int

    @classmethod
    def read(cls, env: Environment) -> Settings:
        """Read all settings.

        Raises:
            SettingsError: one is missing or malformed.
        """
        return cls(
            base=BaseSettings.read(env),
            database=DatabaseSettings.read(env),
            broker=BrokerSettings.read(env),
            # All in hand at their largest (rabbitmq.conf: max_message_size) fit into the container's memory.
            prefetch=env.integer("PREFETCH", 64, 1, 2000),
        )
