"""The client libraries that can be instrumented: one a file, none imports another.

A client's file says through which functions all requests of its library go:

    def seams(library: ModuleType) -> tuple[Seam, ...]

It imports the library nowhere: it is handed the module that the program imported. To add a client,
write its file and its line in `LIBRARIES`.
"""

from collections.abc import Mapping
from types import MappingProxyType

LIBRARIES: Mapping[str, str] = MappingProxyType(
    {
        "aiohttp": "geomon.clients.aiohttp",
        "httpx": "geomon.clients.httpx",
        "httpx2": "geomon.clients.httpx",
        "requests": "geomon.clients.requests",
    }
)
"""What `geomon.instrument` takes by name, and the file that knows it."""
