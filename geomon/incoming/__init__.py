"""What the ASGI and the WSGI middleware share: ids, options, and the request that is served."""
