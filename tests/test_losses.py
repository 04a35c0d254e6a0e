"""What geomon itself could not do is counted, said once, and never raised."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from geomon import losses
from geomon.testing import contained_failures, raised_failures


@pytest.fixture(autouse=True)
def nothing_lost_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(losses, "_counts", {})
    monkeypatch.setattr(losses, "_said", set())
    monkeypatch.setattr(losses, "_listeners", [])
    with contained_failures():
        yield


def test_losses_add_up_by_part_and_reason() -> None:
    losses.count("sink", "failed")
    losses.count("sink", "failed", 2)
    losses.count("sink", "slow")
    assert losses.counts() == {("sink", "failed"): 3, ("sink", "slow"): 1}


def test_counts_are_a_copy() -> None:
    losses.counts()["sink", "failed"] = 5
    assert losses.counts() == {}


def test_a_listener_hears_of_past_and_new_losses() -> None:
    heard: list[tuple[str, str, int]] = []
    losses.count("before", "failed", 2)
    losses.subscribe(lambda *loss: heard.append(loss))
    losses.count("after", "failed", 3)
    losses.count("after", "failed", 4)
    assert heard == [("before", "failed", 2), ("after", "failed", 3), ("after", "failed", 7)]


def test_a_listener_that_left_hears_nothing() -> None:
    heard: list[tuple[str, str, int]] = []
    leave = losses.subscribe(lambda *loss: heard.append(loss))
    leave()
    leave()
    losses.count("after", "failed")
    assert heard == []


def test_a_listener_may_count_a_loss_of_its_own() -> None:
    def listen(part: str, reason: str, total: int) -> None:
        if part == "first":
            losses.count("second", reason)

    losses.subscribe(listen)
    losses.count("first", "failed")
    assert losses.counts() == {("first", "failed"): 1, ("second", "failed"): 1}


def test_no_count_is_lost_between_threads() -> None:
    def work() -> None:
        for _ in range(1000):
            losses.count("sink", "failed")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert losses.counts() == {("sink", "failed"): 8000}


def test_a_failure_is_counted_every_time_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        losses.failed("sink", "failed", OSError("disk full"), "the sink of files")
    assert losses.counts() == {("sink", "failed"): 3}
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "geomon",
            "WARNING",
            "geomon lost something (further ones are only counted): the sink of files: OSError",
        )
    ]


def test_a_logged_failure_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise OSError("disk full")
    except OSError as error:
        losses.failed("sink", "failed", error)
    assert "OSError: disk full" in caplog.text


def test_every_reason_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("failed", "slow", "failed"):
        losses.say_once("sink", reason, reason)
    said = [record.getMessage().split(": ")[1] for record in caplog.records]
    assert said == ["failed", "slow"]


def test_a_failure_raises_where_failures_raise() -> None:
    error = OSError("disk full")
    with raised_failures(), pytest.raises(OSError, match="disk full") as caught:
        losses.failed("sink", "failed", error)
    assert caught.value is error


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("closed")


def test_a_program_whose_logging_raises_goes_on() -> None:
    handler = Broken()
    logging.getLogger("geomon").addHandler(handler)
    try:
        losses.failed("sink", "failed", OSError("disk full"))
        losses.say_once("labels", "model", "too many")
    finally:
        logging.getLogger("geomon").removeHandler(handler)
    assert losses.counts() == {("sink", "failed"): 1}


def test_each_detail_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for detail in ("the sink a", "the sink b", "the sink a"):
        losses.failed("sink", "failed", OSError(), detail)
    said = [record.getMessage().split(": ")[1] for record in caplog.records]
    assert said == ["the sink a", "the sink b"]
    assert losses.counts() == {("sink", "failed"): 3}


def test_details_without_end_are_logged_a_thousand_times(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1500):
        losses.say_once("prices", "failed", f"the price of model-{number}")
    assert (len(caplog.records), len(losses._said)) == (1000, 1000)
