"""inventory-app: the movies API."""
