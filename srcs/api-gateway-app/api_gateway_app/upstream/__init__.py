"""The apps behind the gateway, and how a request and its answer pass through."""
