"""The platform's page at `/`: its files, and the feed that tells it what happens (docs/page.md)."""
