"""The gateway: the only app that is reachable from outside."""
