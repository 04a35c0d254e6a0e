"""Counts, times and logs the requests of any WSGI application, and binds their context.

    app = geomon.wsgi.TrackingMiddleware(app)

Limits first. The context stays bound until the server closes the response, since gunicorn writes
its access line just before. A server that never does leaves it bound in that thread until its next
request begins.
"""

from geomon.wsgi.middleware import TrackingMiddleware

__all__ = ["TrackingMiddleware"]
