"""What secrets look like by themselves: provider keys, tokens, private keys, credentials in URLs.

Every pattern begins with a literal or a fixed place, and ends in a possessive run: a search takes
linear time, whatever the text.
"""

from __future__ import annotations

import base64
import re

_RUN = r"[A-Za-z0-9_-]"
_START = (  # not inside a word, but behind an escape: \\nsk-..., %20sk-..., ESC[1msk-...
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})"
    r"|(?<=\\x[0-9A-Fa-f]{2})|(?<=[\[;]\dm)|(?<=[\[;]\d\dm))"
)
_DIGIT_SOON = r"(?=[A-Za-z_-]{0,40}[0-9])"

_KEYS = (
    # OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek, ...
    rf"{_START}sk-(?:proj|ant|or|lf|svcacct|admin|None|service|live|test)-{_RUN}{{4,}}+",
    rf"{_START}sk-{_DIGIT_SOON}{_RUN}{{8,}}+",
    rf"{_START}sk-{_RUN}{{16,}}+",
    r"[srp]k_(?:live|test)_[A-Za-z0-9]{6,}+",  # Stripe
    rf"{_START}sk_{_DIGIT_SOON}[A-Za-z0-9]{{16,}}+",  # ElevenLabs
    r"whsec_[A-Za-z0-9+/=]{8,}+",
    rf"AIza{_RUN}{{16,}}+",  # Google
    rf"GOCSPX-{_RUN}{{10,}}+",
    r"ya29\.[A-Za-z0-9_.-]{16,}+",
    rf"{_START}(?:AKIA|ASIA)[A-Z0-9]{{12,}}+",  # AWS
    r"gh[pousr]_[A-Za-z0-9_]{10,}+",  # GitHub
    r"github_pat_[A-Za-z0-9_]{10,}+",
    r"gl[a-z]{2,5}-[A-Za-z0-9_.-]{16,}+",  # GitLab
    r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}+",  # Slack
    r"xapp-[A-Za-z0-9-]{8,}+",
    r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{8,}+",
    r"(?<=/api/webhooks/)[0-9]{6,}+/[A-Za-z0-9_-]{10,}+",  # Discord
    r"[0-9]{6,14}:AA[A-Za-z0-9_-]{30,}+",  # Telegram
    rf"{_START}hf_[A-Za-z0-9]{{10,}}+",  # Hugging Face
    r"gsk_[A-Za-z0-9_]{10,}+",  # Groq
    rf"{_START}xai-{_RUN}{{10,}}+",  # xAI
    rf"pplx-{_RUN}{{10,}}+",  # Perplexity
    rf"{_START}r8_[A-Za-z0-9]{{16,}}+",  # Replicate
    rf"nvapi-{_RUN}{{16,}}+",  # NVIDIA
    rf"tvly-{_RUN}{{10,}}+",  # Tavily
    rf"{_START}fw_[A-Za-z0-9]{{16,}}+",  # Fireworks
    r"lsv2_[a-z]{2}_[A-Za-z0-9_]{16,}+",  # LangSmith
    rf"{_START}npm_[A-Za-z0-9]{{16,}}+",
    rf"pypi-{_RUN}{{16,}}+",
    r"dapi[a-f0-9]{32,}+",  # Databricks
    r"glsa_[A-Za-z0-9_]{16,}+",  # Grafana
    rf"hvs\.{_RUN}{{16,}}+",  # Vault
    rf"SG\.{_RUN}{{10,}}+\.{_RUN}{{10,}}+",  # SendGrid
    rf"eyJ{_RUN}{{5,}}+(?:\.{_RUN}{{3,}}+(?:\.{_RUN}*+){{0,3}}|(?P<no_token>))",  # JWT, JWE
)
KEYS = re.compile("|".join(_KEYS))
"""Keys and tokens with a mark of their own.

A match in which the group `no_token` took part only begins like a token: it is passed over as a
whole, so that no part of it is read twice. `MARKED_KEYS` may still match in it.
"""

MARKED_KEYS = re.compile("|".join(_KEYS[:-1]))
"""`KEYS` without tokens that begin with `eyJ`."""

PRIVATE_KEYS = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----)[\s\S])*+(?:-----END [A-Z0-9 ]{0,60}-----)?"
)
"""A private-key block, also one whose end is cut off."""

URL_CREDENTIALS = re.compile(
    r"(?<=://)(?:[^\s/?#'\"<>]{1,2000}(?=@)"
    r"|[^\s/?#'\"<>:@\[]{0,200}+:(?!\d{1,5}(?!\w)|/)[^\s\"<>@]{1,200}+(?=@))"
)
"""User and password of a URL: a token may stand as either.

A password may hold `/`, `#`, `?` or `'` as they are. What begins like a port is none.
"""

_PROSE = (
    r"(?:tokens?|auth\w*|schemes?|of|is|was|are|and|or|in|for|not|to|realm|error|scope"
    r"|credentials?|headers?|required|missing|invalid)(?![\w.~+/-])"
)
BEARER = re.compile(
    r"(?i:bearer)(?:[ \t]++|\s|%20|[+:]){1,3}+(?:\\*+[\"'])?+"
    rf"(?!(?i:{_PROSE}))([A-Za-z0-9._~+/=-]++)"
)
"""`Bearer <token>`, also in quotes; group 1 is the token."""

BASIC = re.compile(r"(?i:basic)(?:[ \t]++|\s|%20){1,3}+(?:\\*+[\"'])?+([A-Za-z0-9+/_-]{4,}+=*+)")
"""`Basic <word>`; group 1 is a credential where `is_basic_credential` says so."""

_WITH_UNDERSCORE = re.compile(
    r"_(?:(?<=[sg]k_)|(?<=k_live_)|(?<=k_test_)|(?<=gh[pousr]_)|(?<=pat_)|(?<=hf_)|(?<=hsec_)"
    r"|(?<=r8_)|(?<=fw_)|(?<=npm_)|(?<=lsv2_)|(?<=glsa_))"
).search
_GITLAB = re.compile("gl[a-z]{2,5}-").search


def is_basic_credential(word: str) -> bool:
    """Whether the word after `Basic` is base64 of `user:password`, or looks made up like one."""
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    decoded = base64.b64decode(bare[: len(bare) // 4 * 4])
    mixed = any(char.isdigit() for char in bare) and bare != bare.lower()
    return b":" in decoded or word.endswith("=") or mixed


def may_hold_shape(text: str) -> bool:
    """Whether a pattern of this module can match; False is certain, True is not.

    A single character is sought much faster than a few: it stands first where one is rare.
    """
    return (
        ("I" in text and ("AIza" in text or "KIA" in text or "ASIA" in text))
        or ("J" in text and "eyJ" in text)
        or ("-" in text and _may_hold_dashed(text))
        or ("_" in text and _WITH_UNDERSCORE(text) is not None)
        or ("." in text and ("SG." in text or "ya29." in text or "hvs." in text))
        or ("/" in text and (("@" in text and "://" in text) or "hooks" in text))
        or (":" in text and ":AA" in text)
        or "dapi" in text
    )


def _may_hold_dashed(text: str) -> bool:
    return (
        "sk-" in text
        or ("x" in text and ("xai-" in text or "xox" in text or "lx-" in text or "xapp-" in text))
        or ("X" in text and "PX-" in text)
        or "pi-" in text
        or "ly-" in text
        or "-----" in text
        or ("gl" in text and _GITLAB(text) is not None)
    )
