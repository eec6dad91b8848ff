"""What inventory-app can be told."""

from __future__ import annotations

from dataclasses import dataclass

from platform_common.database import DatabaseSettings
from platform_common.settings import BaseSettings, Environment


@dataclass(frozen=True)
class Settings:
    """The settings of every app, and the database of movies."""

    base: BaseSettings
    database: DatabaseSettings

    @classmethod
    def read(cls, env: Environment) -> Settings:
        """Read all settings.

        Raises:
            SettingsError: one is missing or malformed.
        """
        return cls(base=BaseSettings.read(env), database=DatabaseSettings.read(env))
