"""The loggers of AI and HTTP client libraries, which write whole prompts at DEBUG."""

from __future__ import annotations

import logging

CLIENTS = (
    "openai",
    "anthropic",
    "mistralai",
    "cohere",
    "groq",
    "together",
    "google.genai",
    "google_genai",
    "google.generativeai",
    "vertexai",
    "ollama",
    "litellm",
    "LiteLLM",
    "LiteLLM Proxy",
    "LiteLLM Router",
    "langchain",
    "langchain_core",
    "langchain_openai",
    "llama_index",
    "instructor",
    "huggingface_hub",
    "boto3",
    "botocore",
    "azure",
    "apprise",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "urllib3",
    "requests",
    "requests_oauthlib",
    "aiohttp",
    "websockets",
    "hpack",
    "h2",
    "h11",
    "grpc",
)
"""The roots of their logger names."""

_HELD = frozenset(CLIENTS)


def is_held(name: str) -> bool:
    """Whether a logger of this name is a client library's."""
    root, _, rest = name.partition(".")
    return root in _HELD or f"{root}.{rest.partition('.')[0]}" in _HELD


def hold() -> dict[str, int]:
    """Sets the clients' loggers to INFO where they are lower; gives what they were."""
    earlier = {}
    for name in CLIENTS:
        logger = logging.getLogger(name)
        if logger.level < logging.INFO:  # NOTSET too
            earlier[name] = logger.level
            logger.setLevel(logging.INFO)
    return earlier


def release(earlier: dict[str, int]) -> None:
    """Undoes `hold`, where nobody has changed the level since."""
    for name, level in earlier.items():
        logger = logging.getLogger(name)
        if logger.level == logging.INFO:
            logger.setLevel(level)
