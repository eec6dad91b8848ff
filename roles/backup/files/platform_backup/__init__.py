"""Backups of the platform's databases: made, checked, loaded into a new server.

Runs on the machine that has the containers, with nothing but Python's standard library (3.10 or
newer), so that a timer can run it without a control node. Ansible runs it too, and on the control
node it checks the copies there.
"""
