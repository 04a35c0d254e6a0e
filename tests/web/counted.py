"""Applications that show their metrics, for servers with several workers."""

from geomon.web import metrics_app, metrics_wsgi

app = metrics_app()
wsgi_app = metrics_wsgi()
