"""Delivery: newest state wins, nothing blocks, and what is lost is counted."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomon
from geomon import Call, losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.backoff import Backoff
from geomon.alerts.delivery import Delivery, checked_notifier
from geomon.alerts.outbox import Outbox
from geomon.testing import MovableClock
from tests.alerts.made import firing, resolved
from tests.programs import run, until

A, B = firing("A"), firing("B")
Made = Callable[..., Delivery]


class Notifier:
    """Keeps what it gets; raises what is laid up for it first."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls: list[list[Alert]] = []

    def __call__(self, alerts: Sequence[Alert]) -> None:
        self.calls.append(list(alerts))
        if self.errors:
            raise self.errors.pop(0)


class Held(Notifier):
    """Hangs until it is released."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__(*errors)
        self.begun, self.release = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, alerts: Sequence[Alert]) -> None:
        self.begun.release()
        assert self.release.acquire(timeout=30)
        super().__call__(alerts)


@pytest.fixture
def made() -> Iterator[Made]:
    deliveries: list[Delivery] = []

    def make(notifier: Any, name: str = "own", **more: Any) -> Delivery:
        deliveries.append(Delivery(name, notifier, **more))
        return deliveries[-1]

    yield make
    for delivery in deliveries:
        if isinstance(delivery._notifier, Held):
            for _ in range(9):
                delivery._notifier.release.release()
        delivery.close(5)


@pytest.fixture
def lost() -> Callable[[], dict[str, int]]:
    def now() -> Counter[str]:
        return Counter({why: n for (part, why), n in losses.counts().items() if part == "notify"})

    before = now()
    return lambda: dict(now() - before)


def nudge(delivery: Delivery) -> None:
    delivery.send([])


# --- what waits is merged


def test_one_message_holds_all_that_was_handed_over_at_once(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    delivery.send([A, B])
    assert delivery.flush()
    assert notifier.calls == [[A, B]]


def test_what_was_told_firing_is_told_resolved_once(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    for _ in range(2):
        delivery.send([A])
        assert delivery.flush()
    for _ in range(2):
        delivery.send([resolved(A)])
        assert delivery.flush()
    assert notifier.calls == [[A], [A], [resolved(A)]]
    assert delivery.told == []


def test_what_nobody_was_told_firing_is_not_told_resolved(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    delivery.send([resolved(A), B])
    assert delivery.flush()
    assert notifier.calls == [[B]]


def test_an_alert_that_came_and_went_unheard_is_counted(
    made: Made, clock: MovableClock, lost: Callable[[], dict[str, int]]
) -> None:
    notifier = Notifier(OSError(111, "refused"))
    delivery = made(notifier)
    delivery.send([A, B])
    until(lambda: delivery.status()["failed"] == 1)
    delivery.send([resolved(A)])
    assert delivery.flush()
    assert notifier.calls == [[A, B], [B]]
    assert lost() == {"failed": 1, "outdated": 1}


def test_an_alert_that_resolves_while_its_message_is_on_the_way_is_told_after_it(
    made: Made,
) -> None:
    notifier = Held()
    delivery = made(notifier)
    delivery.send([A])
    assert notifier.begun.acquire(timeout=20)
    delivery.send([resolved(A)])
    notifier.release.release(2)
    assert delivery.flush()
    assert notifier.calls == [[A], [resolved(A)]]


def test_an_alert_that_resolves_while_its_message_fails_is_not_told(made: Made) -> None:
    notifier = Held(OSError(111, "refused"))
    delivery = made(notifier)
    delivery.send([A])
    assert notifier.begun.acquire(timeout=20)
    delivery.send([resolved(A)])
    notifier.release.release(2)
    until(lambda: delivery.status()["failed"] == 1)
    assert delivery.flush()
    assert notifier.calls == [[A]]


def test_what_an_earlier_process_told_firing_is_told_resolved(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    delivery.restore([A])
    assert delivery.told == [A]
    delivery.send([resolved(A)])
    assert delivery.flush()
    assert notifier.calls == [[resolved(A)]]


def test_a_notifier_of_whole_groups_also_gets_what_still_fires(made: Made) -> None:
    notifier = Notifier()
    notifier.whole_group = True  # type: ignore[attr-defined]
    delivery = made(notifier)
    for alert in (A, B, resolved(A), resolved(B)):
        delivery.send([alert])
        assert delivery.flush()
    assert notifier.calls == [[A], [B, A], [resolved(A), B], [resolved(B)]]


def test_a_notifier_with_a_resend_delay_gets_each_alert_again_after_that_time(
    made: Made, clock: MovableClock
) -> None:
    notifier = Notifier()
    notifier.resend_delay = 60  # type: ignore[attr-defined]
    delivery = made(notifier)
    seen = []
    for alert in (A, A, A, A, A, resolved(A), resolved(A), resolved(A), resolved(A)):
        delivery.send([alert])
        assert delivery.flush()
        seen.append(len(notifier.calls))
        clock.move(30)
    assert seen == [1, 1, 2, 2, 3, 4, 4, 5, 5]


def test_an_event_is_sent_once_in_any_state_and_is_not_kept(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    for alert, once in ((A, False), (A, True), (resolved(A), True), (resolved(B), True)):
        delivery.send([alert], once)
        assert delivery.flush()
    assert notifier.calls == [[A], [A], [resolved(A)], [resolved(B)]]
    assert delivery.told == [A]


def test_an_event_that_fails_is_sent_again(made: Made) -> None:
    notifier = Notifier(OSError(111, "refused"))
    delivery = made(notifier)
    delivery.send([resolved(A)], once=True)
    until(lambda: delivery.status()["failed"] == 1)
    assert delivery.flush()
    assert notifier.calls == [[resolved(A)]] * 2


def test_pending_alerts_are_not_sent(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    delivery.send([Alert("P", "pending", {"alertname": "P"}, {}, 1, 1), A])
    assert delivery.flush()
    assert notifier.calls == [[A]]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["fires", "resolves"]), st.integers(0, 2)),
        st.tuples(st.sampled_from(["take", "arrives", "fails"]), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_resolved_is_told_only_of_what_was_told_firing(steps: Any) -> None:
    alerts = [firing(name) for name in "ABC"]
    box, told, message = Outbox(100), set[str](), None
    for now, (step, which) in enumerate(steps):
        if step == "fires":
            box.put([alerts[which]], now)
        elif step == "resolves":
            box.put([resolved(alerts[which])], now)
        elif message is None:
            message = box.take(now) or None
            assert {a.name for a in message or [] if a.state == "resolved"} <= told
        elif step == "arrives":
            told |= {a.name for a in message if a.state == "firing"}
            told -= {a.name for a in message if a.state == "resolved"}
            box.delivered(now)
            message = None
        elif step == "fails":
            box.put_back()
            message = None
        assert told == {alert.name for alert in box.told}


# --- failures


def test_a_failed_message_is_sent_again_after_a_delay_that_doubles(
    made: Made, clock: MovableClock
) -> None:
    notifier = Notifier(*(ValueError() for _ in range(3)))
    delivery = made(notifier)
    delivery._backoff = Backoff(chance=lambda: 0)
    delivery.send([A])
    for calls, delay in ((1, 1), (2, 2), (3, 4)):
        until(lambda calls=calls: delivery.status()["failed"] == calls)  # type: ignore[misc]
        clock.move(delay - 0.01)
        nudge(delivery)
        assert len(notifier.calls) == calls
        clock.move(0.01)
        nudge(delivery)
    until(lambda: delivery.status()["delivered"] == 1)
    assert notifier.calls == [[A]] * 4
    assert delivery.status()["last_error"] is not None
    assert delivery.status()["last_success"] == geomon.clock.wall()


def test_a_receiver_that_says_when_to_come_back_is_obeyed(made: Made, clock: MovableClock) -> None:
    notifier = Notifier(DeliveryError("busy", after=500))
    delivery = made(notifier)
    delivery.send([A])
    until(lambda: delivery.status()["failed"] == 1)
    clock.move(499)
    nudge(delivery)
    assert delivery.status()["waiting"] == 1
    clock.move(1)
    nudge(delivery)
    until(lambda: delivery.status()["delivered"] == 1)


def test_what_the_receiver_refuses_is_dropped_and_counted(
    made: Made, lost: Callable[[], dict[str, int]]
) -> None:
    delivery = made(Notifier(DeliveryError("no such room", retry=False)))
    delivery.send([A, B])
    assert delivery.flush()
    status = delivery.status()
    assert (status["dropped"], status["waiting"], status["delivered"]) == (2, 0, 0)
    assert status["last_error"] == "no such room"
    assert lost() == {"failed": 1, "rejected": 2}


def test_what_cannot_be_delivered_for_long_is_given_up_and_counted(
    made: Made, clock: MovableClock, lost: Callable[[], dict[str, int]]
) -> None:
    delivery = made(Notifier(*[OSError(111, "refused")] * 9), give_up=100)
    delivery.send([A])
    until(lambda: delivery.status()["failed"] == 1)
    clock.move(100)
    nudge(delivery)
    until(lambda: delivery.status()["waiting"] == 0)
    assert delivery.status()["dropped"] == 1
    assert lost()["gave_up"] == 1


def test_an_outage_is_logged_once_and_its_end_too(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geomon.alerts")
    delivery = made(Notifier(*[OSError(111, "Connection refused")] * 3), "mine")
    delivery.send([A])
    for failed in (1, 2, 3):
        until(lambda failed=failed: delivery.status()["failed"] >= failed)  # type: ignore[misc]
        delivery.flush()
    until(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "the notifier mine does not deliver (further failures are only counted): "
        "ConnectionRefusedError: Connection refused",
        "the notifier mine delivers again",
    ]


def test_an_errors_text_is_not_shown_for_it_may_hold_a_secret(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = made(Notifier(ValueError("https://user:hunter2@example.com")))
    delivery.send([A])
    until(lambda: delivery.status()["failed"] == 1)
    assert str(delivery.status()["last_error"]).startswith("ValueError at test_delivery.py:")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), RecursionError()])
def test_whatever_a_notifier_raises_the_worker_goes_on(made: Made, error: BaseException) -> None:
    delivery = made(Notifier(error))
    delivery.send([A])
    until(lambda: delivery.status()["failed"] == 1)
    assert delivery.flush()
    assert delivery.status()["delivered"] == 1


async def lazy(alerts: object) -> None: ...


async def items(alerts: object) -> AsyncIterator[object]:
    yield alerts


def pending(alerts: object) -> object:
    loop = asyncio.new_event_loop()
    loop.close()
    return loop.create_future()


@pytest.mark.parametrize("gives", [lazy, items, pending, lambda alerts: (a for a in alerts)])
def test_what_a_notifier_gives_and_nobody_runs_is_a_failure_that_says_what_to_write(
    made: Made, lost: Callable[[], dict[str, int]], gives: Any
) -> None:
    delivery = made(lambda alerts: gives(alerts))
    delivery.send([A])
    assert delivery.flush()
    assert "asyncio.run" in str(delivery.status()["last_error"])
    assert (delivery.status()["delivered"], lost()) == (0, {"failed": 1, "rejected": 1})


def test_a_notifier_may_leave_it_to_another_thread_and_give_the_future(made: Made) -> None:
    notifier = Notifier(ValueError())
    with ThreadPoolExecutor() as pool:
        delivery = made(lambda alerts: pool.submit(notifier, alerts))
        delivery.send([A])
        until(lambda: delivery.status()["failed"] == 1)
        assert delivery.flush()
    assert notifier.calls == [[A], [A]]
    assert delivery.status()["delivered"] == 1


def test_the_back_off_stays_within_a_second_and_five_minutes() -> None:
    backoff = Backoff()
    delays = [backoff.failed() for _ in range(2000)]
    assert 0.5 <= delays[0] <= 1
    assert all(150 <= delay <= 300 for delay in delays[9:])
    assert backoff.failed(after=1e9) == 3600
    backoff.reset()
    assert backoff.failed() <= 1


# --- notifiers that hang


def test_a_call_that_hangs_is_counted_and_no_second_one_is_made(
    made: Made, clock: MovableClock, lost: Callable[[], dict[str, int]]
) -> None:
    notifier = Held()
    delivery = made(notifier, deadline=30)
    delivery.send([A])
    assert notifier.begun.acquire(timeout=20)
    clock.move(30)
    nudge(delivery)
    until(lambda: delivery.status()["hanging"])
    delivery.send([B])
    clock.move(600)
    nudge(delivery)
    assert not delivery.flush(timeout=20)  # at once: it is hopeless
    assert delivery.status()["last_error"] == "no end after 30 s"
    assert lost() == {"timeout": 1}
    assert not notifier.begun.acquire(blocking=False)
    notifier.release.release(2)
    until(lambda: delivery.status()["delivered"])
    assert delivery.flush()
    assert notifier.calls == [[A], [B]]


def test_a_dead_notifier_delays_no_other(made: Made) -> None:
    dead, alive = Held(), Notifier()
    deliveries = [made(dead, "dead"), made(alive, "alive")]
    for delivery in deliveries:
        delivery.send([A])
    assert deliveries[1].flush()
    assert alive.calls == [[A]]
    assert deliveries[0].status()["delivered"] == 0


def test_a_full_queue_drops_the_oldest_and_counts_them(
    made: Made, lost: Callable[[], dict[str, int]]
) -> None:
    notifier = Held()
    delivery = made(notifier, capacity=3)
    delivery.send([firing("first")])
    assert notifier.begun.acquire(timeout=20)
    for number in range(5):
        delivery.send([firing(str(number))])
    notifier.release.release(2)
    assert delivery.flush()
    assert [[a.name for a in call] for call in notifier.calls] == [["first"], ["2", "3", "4"]]
    assert delivery.status()["dropped"] == 2
    assert lost() == {"queue_full": 2}


def test_ten_thousand_alerts_are_one_message(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    delivery.send([firing(instance=str(number)) for number in range(10_000)])
    assert delivery.flush(20)
    assert [len(call) for call in notifier.calls] == [10_000]


# --- ends


def test_close_in_the_middle_of_a_call_is_bounded_and_counts_what_is_left(
    made: Made, lost: Callable[[], dict[str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Held()
    delivery = made(notifier, "mine")
    delivery.send([A])
    assert notifier.begun.acquire(timeout=20)
    delivery.send([B])
    assert not delivery.close(timeout=0.01)
    delivery.send([A])
    assert lost() == {"closed": 3}
    assert caplog.messages == ["the notifier mine was closed with 2 alerts not delivered"]


def test_after_close_it_can_be_opened_again(made: Made) -> None:
    notifier = Notifier()
    delivery = made(notifier)
    for alert in (A, B):
        delivery.open()
        delivery.send([alert])
        assert delivery.close()
    assert notifier.calls == [[A], [B]]


def test_close_ends_the_thread(made: Made) -> None:
    delivery = made(Notifier())
    delivery.send([A])
    worker = delivery._worker
    assert worker is not None
    assert delivery.close()
    worker.join(20)
    assert not worker.is_alive()


def test_no_thread_starts_before_the_first_alert(made: Made) -> None:
    delivery = made(Notifier())
    delivery.send([])
    assert delivery.flush()
    assert delivery._worker is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_begins_with_an_empty_queue(tmp_path: Path) -> None:
    out = run(
        """
        from geomon.alerts.delivery import Delivery
        from tests.alerts.made import firing, resolved
        begun, go = threading.Event(), threading.Event()
        def notify(alerts):
            begun.set(); go.wait()
            line = str(sorted(a.name + " " + a.state for a in alerts)) + "\\n"
            os.write(1, line.encode())  # whole: the parent writes there too
        delivery = Delivery("own", notify)
        delivery.restore([firing("old")])
        delivery.send([firing("one")]); begun.wait(); delivery.send([firing("two")])
        pid = os.fork()
        go.set()
        if pid == 0:
            assert delivery.status()["waiting"] == 0
            delivery.send([firing("child"), resolved(firing("old"))])
            os._exit(0 if delivery.flush(20) else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert delivery.flush(20)
        """,
        tmp_path,
        PYTHONPATH=str(Path.cwd()),
    )
    assert sorted(out.splitlines()) == [
        "['child firing', 'old resolved']",
        "['one firing']",
        "['two firing']",
    ]


EXIT = """
from geomon.alerts.delivery import Delivery
from geomon.alerts.alert import DeliveryError
from tests.alerts.made import firing
"""


def test_what_waits_is_sent_at_the_interpreters_exit(tmp_path: Path) -> None:
    out = run(
        EXIT
        + """
failures = [DeliveryError("later", after=1000)]
failed = threading.Event()
def notify(alerts):
    if failures:
        failed.set()
        raise failures.pop()
    print(len(alerts), flush=True)
logging.getLogger("geomon.alerts").disabled = True
delivery = Delivery("own", notify)
delivery.send([firing("first")])
failed.wait()
for number in range(100):
    delivery.send([firing(str(number))])
""",
        tmp_path,
        PYTHONPATH=str(Path.cwd()),
    )
    assert out == "101\n"


def test_a_notifier_that_hangs_holds_the_interpreters_exit_up_for_seconds_only(
    tmp_path: Path,
) -> None:
    run(
        EXIT
        + """
from geomon.alerts import endings
endings.PATIENCE = 0.2
begun = threading.Event()
def notify(alerts):
    begun.set()
    threading.Event().wait()
logging.getLogger("geomon.alerts").disabled = True
deliveries = [Delivery(name, notify) for name in "abc"]
for delivery in deliveries:
    delivery.send([firing("first")])
begun.wait()
""",
        tmp_path,
        PYTHONPATH=str(Path.cwd()),
    )


def test_importing_starts_no_thread(tmp_path: Path) -> None:
    out = run(
        "import geomon.alerts.delivery, geomon.alerts.notifiers\n"
        "print(threading.active_count(), 'apprise' in sys.modules)",
        tmp_path,
    )
    assert out == "1 False\n"


# --- notifiers of the program's own


def test_calls_that_a_notifier_makes_are_not_tracked(made: Made, calls: list[Call]) -> None:
    def notify(alerts: object) -> None:
        with geomon.track_request("POST", "/hook"):
            pass
        with geomon.track_ai("summarize", model="m"):
            pass

    delivery = made(notify)
    delivery.send([A])
    assert delivery.flush()
    assert calls == []


def test_the_program_hears_of_each_attempt(made: Made) -> None:
    heard: list[tuple[list[Alert], str | None]] = []
    error = OSError(111, "refused")
    delivery = made(
        Notifier(error), on_done=lambda alerts, e: heard.append((list(alerts), e and str(e)))
    )
    delivery.send([A])
    until(lambda: delivery.status()["failed"] == 1)
    assert delivery.flush()
    until(lambda: len(heard) == 2)
    assert heard == [([A], str(error)), ([A], None)]


class Lazy:
    async def __call__(self, alerts: object) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lazy, "asyncio.run"),
        (Lazy(), "asyncio.run"),
        (Notifier, r"write Notifier\(\.\.\.\)"),
        ("https://example.com", "write notifiers="),
        (None, "write notifiers="),
    ],
)
def test_what_cannot_be_called_is_an_error_that_says_what_to_write(wrong: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        checked_notifier(wrong)


def test_wrong_numbers_are_errors() -> None:
    for wrong in ({"capacity": 0}, {"deadline": -1}, {"give_up": float("nan")}):
        with pytest.raises(ValueError, match="above zero"):
            Delivery("x", print, **wrong)
    with pytest.raises(TypeError, match="write a number"):
        Delivery("x", print, deadline="soon")  # type: ignore[arg-type]
