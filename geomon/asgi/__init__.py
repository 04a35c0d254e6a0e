"""Counts, times and logs the requests of any ASGI application, and binds their context.

    app = geomon.asgi.TrackingMiddleware(app)

Limits first. An application that never asks `receive` does not learn that its client has left, nor
do we: the request then counts by the status that was sent. `user_id` is asked when the request
begins; what the application finds out later it binds itself, with `geomon.bind`.
"""

from geomon.asgi.middleware import TrackingMiddleware

__all__ = ["TrackingMiddleware"]
