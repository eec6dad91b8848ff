"""What stands between the clients and the Flask application, so that no client holds a thread of it.

The server (granian) reads a request's head, within a time and a size. Here an event loop takes over: it
reads the body, within a time, a size and a share of the memory; gives the complete request to a thread,
which runs the Flask application as any WSGI server would; and sends the answer as the client reads it.
A thread is held for as long as the application works, however slow a client is.
"""
