from __future__ import annotations

import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geomon.incoming import ids, traceparent
from geomon.incoming.traceparent import Trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
hexes = "0123456789abcdef"


@given(st.text() | st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True))
@example("a" * 128)
@example("a" * 129)
@example("a\n")
@example("")
@example("é")
@example("٣")
def test_an_id_is_taken_over_only_if_all_of_it_is_well_formed(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert ids.is_well_formed(text) == (1 <= len(text) <= 128 and set(text) <= allowed)


def test_new_ids_are_well_formed_and_differ() -> None:
    made = {ids.new_request_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ids.is_well_formed(one) for one in made)


def test_new_ids_do_not_follow_the_programs_own_seed() -> None:
    import random

    random.seed(1)
    first = ids.new_request_id()
    random.seed(1)
    assert ids.new_request_id() != first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_makes_other_ids() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, ids.new_request_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() != ids.new_request_id()
    os.close(read)
    os.close(write)


@given(
    st.text(hexes, min_size=2, max_size=2),
    st.text(hexes, min_size=32, max_size=32),
    st.text(hexes, min_size=16, max_size=16),
    st.text(hexes, min_size=2, max_size=2),
    st.sampled_from(["", "-", "-what ever", "x", " "]),
)
@example("00", TRACE, SPAN, "01", "")
@example("00", "0" * 32, SPAN, "01", "")
@example("00", TRACE, "0" * 16, "01", "")
@example("ff", TRACE, SPAN, "01", "")
@example("01", TRACE, SPAN, "01", "-more")
@example("00", TRACE, SPAN, "01", "-more")
def test_a_traceparent_is_read_as_w3c_says(
    version: str, trace: str, span: str, flags: str, rest: str
) -> None:
    valid = (
        version != "ff"
        and set(trace) != {"0"}
        and set(span) != {"0"}
        and (rest == "" or (version != "00" and rest.startswith("-")))
    )
    read = traceparent.parse(f"{version}-{trace}-{span}-{flags}{rest}")
    assert read == (Trace(trace, span, flags) if valid else None)


@given(st.text())
@example(f"00-{TRACE.upper()}-{SPAN}-01")
@example(f" 00-{TRACE}-{SPAN}-01")
@example(f"00-{TRACE}-{SPAN}-01\n")
@example(f"00-{TRACE}-{SPAN}")
@example(f"00-{TRACE}-{SPAN}-0")
@example("-" * 10_000)
def test_what_is_read_from_any_text_is_well_formed(text: str) -> None:
    read = traceparent.parse(text)
    if read is not None:
        assert re.fullmatch(f"[{hexes}]{{32}}", read.trace_id)
        assert re.fullmatch(f"[{hexes}]{{16}}", read.span_id)
    else:
        assert text != f"00-{TRACE}-{SPAN}-01"
