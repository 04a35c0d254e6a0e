"""From an exception, of whatever client, to one of ten error types and its HTTP status.

No client is imported: exceptions are recognised by status, error code and class name.
"""

import errno
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final, TypeGuard
from weakref import WeakKeyDictionary

ERROR_TYPES: Final = (
    "timeout",
    "rate_limit",
    "authentication",
    "bad_request",
    "not_found",
    "server_error",
    "connection",
    "content_filter",
    "cancelled",
    "other",
)

_BY_STATUS: Final = {
    401: "authentication",
    403: "authentication",
    404: "not_found",
    408: "timeout",
    429: "rate_limit",
    504: "timeout",
}

# Codes of OpenAI, Azure, Anthropic and gRPC (Google), in lower case.
_BY_CODE: Final = {
    code: error_type
    for error_type, codes in {
        "timeout": "timeout timeout_error request_timeout deadline_exceeded",
        "rate_limit": (
            "rate_limit_exceeded rate_limit_error insufficient_quota too_many_requests"
            " resource_exhausted"
        ),
        "authentication": (
            "authentication_error invalid_api_key permission_error permission_denied"
            " unauthenticated insufficient_permissions"
        ),
        "bad_request": (
            "invalid_request_error bad_request context_length_exceeded string_above_max_length"
            " invalid_prompt request_too_large billing_error invalid_argument failed_precondition"
            " out_of_range"
        ),
        "not_found": "not_found not_found_error model_not_found",
        "server_error": (
            "server_error api_error overloaded_error internal_error internal_server_error"
            " service_unavailable internal unavailable"
        ),
        "content_filter": (
            "content_filter content_policy_violation moderation_blocked"
            " responsibleaipolicyviolation"
        ),
        "cancelled": "cancelled",
    }.items()
    for code in codes.split()
}

# Tried in this order on each class name: ConnectTimeout is a timeout before it is a connection's.
_BY_NAME: Final = tuple(
    (re.compile(pattern), error_type)
    for pattern, error_type in (
        (r"ContentFilter|ContentPolicy|BlockedPrompt|ContentBlocked", "content_filter"),
        (r"Time(d)?[Oo]ut|DeadlineExceeded|TimeLimitExceeded", "timeout"),
        (r"^(Request)?Cancell?ed", "cancelled"),
        (r"RateLimit|TooManyRequests|Throttl|ResourceExhausted|QuotaExceeded", "rate_limit"),
        (
            r"^(Authentication|OAuth|Unauthorized|Unauthenticated|PermissionDenied|Forbidden)"
            r"|^(No|Partial)?Credentials(Error)?$",
            "authentication",
        ),
        (r"^(Model|Resource)?NotFound(Error|Exception)?$", "not_found"),
        (
            r"^(BadRequest|InvalidRequest|InvalidArgument|UnprocessableEntity|ContextWindow)",
            "bad_request",
        ),
        (
            r"^(InternalServer|ServiceUnavailable|Overloaded|BadGateway|APIServer|ServerError)",
            "server_error",
        ),
        (
            r"Connection(Error|Closed|Reset|Broken)|^Connect(or)?Error$|Disconnected"
            r"|^(Network|Transport|Protocol|Proxy|SSL|NameResolution)Error$"
            r"|^ClientPayloadError$|^ChunkedEncodingError$|^IncompleteRead",
            "connection",
        ),
    )
)

_NETWORK_ERRNOS: Final = frozenset(
    {
        errno.EADDRNOTAVAIL,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
    }
)

_MOST_LINKS: Final = 16
_MOST_FRAMES: Final = 64


def classify(error: BaseException) -> str:
    """Give the error type of `error`: one of `ERROR_TYPES`.

    The exception itself is asked first: its error code where that says content filter, its HTTP
    status, its other error codes, its class. Where it says nothing, what it was raised from is
    asked, and so on, through at most 16 exceptions. Never raises.
    """
    try:
        for link in _links(error):
            if error_type := _classify_alone(link):
                return error_type
    except Exception:
        return "other"
    return "other"


def status_code(error: BaseException) -> int | None:
    """Give the HTTP status that `error` itself carries (100 to 599), or None. Never raises."""
    try:
        return next(_statuses(error), None)
    except Exception:
        return None


def _classify_alone(error: BaseException) -> str | None:
    if isinstance(error, BaseExceptionGroup):
        return None
    named = _classify_class(type(error))
    if named in ("cancelled", "content_filter"):
        return named
    coded = next((_BY_CODE[code] for code in _codes(error) if code in _BY_CODE), None)
    if coded == "content_filter":
        return coded
    for status in _statuses(error):
        if status >= 400:
            return _BY_STATUS.get(status, "server_error" if status >= 500 else "bad_request")
    if named == "connection" and any(
        _classify_class(type(inner)) == "timeout" for inner in _wrapped(error)
    ):
        return "timeout"
    return coded or named or _classify_errno(error)


def _classify_class(cls: type[BaseException]) -> str | None:
    """Give what the class alone says; kept weakly, since some clients make classes at run time."""
    try:
        return _by_class[cls]
    except KeyError:
        found = _by_class[cls] = _read_class(cls)
        return found
    except TypeError:  # its metaclass cannot be hashed
        return _read_class(cls)


_by_class: Final[WeakKeyDictionary[type[BaseException], str | None]] = WeakKeyDictionary()


def _read_class(cls: type[BaseException]) -> str | None:
    if not issubclass(cls, Exception):
        return "cancelled"
    for ancestor in cls.__mro__:
        if ancestor.__module__ != "builtins":
            for pattern, error_type in _BY_NAME:
                if pattern.search(ancestor.__name__):
                    return error_type
    if issubclass(cls, TimeoutError):
        return "timeout"
    if issubclass(cls, (ConnectionError, socket.gaierror, socket.herror, ssl.SSLError)):
        return "connection"
    return None


def _classify_errno(error: BaseException) -> str | None:
    if not isinstance(error, OSError):
        return None
    number = _read(error, "errno")
    if number == errno.ETIMEDOUT:
        return "timeout"
    return "connection" if number in _NETWORK_ERRNOS else None


def _links(error: BaseException) -> Iterator[BaseException]:
    """Give `error`, then what it was raised from, nearest first, each once."""
    waiting, seen = [error], {id(error)}
    while waiting and len(seen) <= _MOST_LINKS:
        link = waiting.pop(0)
        yield link
        for origin in _origins(link):
            if id(origin) not in seen:
                seen.add(id(origin))
                waiting.append(origin)


def _origins(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions
    if error.__cause__ is not None:
        yield error.__cause__
    elif not error.__suppress_context__ and _was_caught_inside(error.__context__, error):
        yield error.__context__
    yield from _wrapped(error)


def _was_caught_inside(
    context: BaseException | None, error: BaseException
) -> TypeGuard[BaseException]:
    """Whether a function that `error` went through had caught `context`.

    If not, the whole call ran in somebody's `except` clause, such as a fallback's, and the
    context is the error of the call before.
    """
    # what fails while a cancellation cleans up is a failure, not the cancellation
    caught = context.__traceback__ if isinstance(context, Exception) else None
    step = error.__traceback__
    for _ in range(_MOST_FRAMES):
        if caught is None or step is None:
            return False
        if step.tb_frame is caught.tb_frame:
            return True
        step = step.tb_next
    return False


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    """Give the exceptions that `error` holds as values, as requests and urllib do."""
    for inner in (*error.args[:2], _read(error, "reason")):
        if isinstance(inner, BaseException):
            yield inner


def _statuses(error: BaseException) -> Iterator[int]:
    response = _read(error, "response")
    for read in _STATUS_READERS:
        status = read(error, response)
        if isinstance(status, str) and len(status) == 3 and status.isdecimal():
            status = int(status)
        if isinstance(status, int) and 100 <= status <= 599:
            yield int(status)


_STATUS_READERS: Final[tuple[Callable[[object, object], object], ...]] = (
    lambda error, response: _read(error, "status_code"),
    lambda error, response: _read(error, "status"),
    lambda error, response: _read(response, "status_code"),
    lambda error, response: _read(response, "status"),
    lambda error, response: _read(error, "code"),  # urllib, Google; OpenRouter, in its streams
    lambda error, response: _read(_read(response, "ResponseMetadata"), "HTTPStatusCode"),  # AWS
)


def _codes(error: BaseException) -> Iterator[str]:
    body = _read(error, "body")
    inner = _read(body, "error")
    for holder in (error, inner, body):
        for name in ("code", "type", "status"):
            code = _read(holder, name)
            if callable(code) and name == "code" and holder is error:
                code = _read(_called(code), "name")  # gRPC
            if isinstance(code, str):
                yield code.lower()


def _called(function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception:
        return None


def _read(holder: object, name: str) -> object:
    """Give an attribute, or a key of a dict; None where there is none, or reading it fails."""
    if holder is None:
        return None
    try:
        return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
    except Exception:
        return None
