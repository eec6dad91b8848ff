"""What the three apps share: settings, logs, problem documents, health, metrics, and the server.

Nothing is imported here, so that the container's health check starts fast.
"""
