"""Who is using the program: distinct, bounded, and forgotten after five minutes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import geomon
from geomon import Call, dispatch, losses
from geomon.health import ActiveUsers
from geomon.testing import MovableClock, capture_calls
from tests.health.trees import Tree
from tests.programs import run


def call(**bound: Any) -> Call:
    with capture_calls(only=True) as calls, geomon.bind(**bound), geomon.track_request("GET", "/"):
        pass
    return calls[0]


ANY = call()


def seen(users: ActiveUsers, *ids: Any) -> int:
    for user in ids:
        users(ANY._replace(context={"user_id": user}))
    return users.count()


def test_each_user_counts_once() -> None:
    assert seen(ActiveUsers(), "a", "b", "a", 7, 7) == 3


def test_a_call_without_a_user_counts_nobody() -> None:
    users = ActiveUsers()
    users(call(request_id="r-1"))
    assert seen(users, None, "") == 0


def test_it_is_a_sink_of_tracked_calls() -> None:
    users = ActiveUsers()
    dispatch.install(dispatch.Pipeline([users]))
    with geomon.bind(user_id="u-7"), geomon.track_ai("chat"):
        pass
    assert users.count() == 1


def test_a_user_is_forgotten_five_minutes_after_the_last_call(clock: MovableClock) -> None:
    users = ActiveUsers()
    seen(users, "a", "b")
    clock.move(200)
    seen(users, "a")
    clock.move(101)
    only_a = users.count()
    clock.move(200)
    assert (only_a, users.count()) == (1, 0)


def test_past_the_limit_it_stays_there_and_says_so(clock: MovableClock) -> None:
    users = ActiveUsers(limit=3)
    before = losses.counts().get(("health", "active_users_limit"), 0)
    assert seen(users, *"abcde") == 3
    assert losses.counts()["health", "active_users_limit"] == before + 2


def test_at_the_limit_those_who_are_past_the_window_make_room(clock: MovableClock) -> None:
    users = ActiveUsers(limit=3)
    before = losses.counts().get(("health", "active_users_limit"), 0)
    seen(users, *"abc")
    clock.move(301)
    assert seen(users, *"de") == 2
    assert losses.counts().get(("health", "active_users_limit"), 0) == before


def test_an_id_that_cannot_be_hashed_is_a_counted_loss() -> None:
    before = losses.counts().get(("health", "user_id"), 0)
    assert seen(ActiveUsers(), ["a"], "b") == 1
    assert losses.counts()["health", "user_id"] == before + 1


def test_ids_are_not_kept() -> None:
    users = ActiveUsers()
    seen(users, "alice@example.org")
    assert "alice" not in repr(vars(users))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 200))))
def test_the_count_is_that_of_the_users_within_the_window(visits: list[tuple[str, int]]) -> None:
    users, last, now = ActiveUsers(), dict[str, int](), 0
    with MovableClock() as clock:
        for user, pause in visits:
            clock.move(pause)
            now += pause
            seen(users, user)
            last[user] = now
        assert users.count() == sum(now - at <= 300 for at in last.values())


def test_a_forked_child_has_seen_nobody(tree: Tree) -> None:
    code = """
    import geomon
    from geomon import dispatch
    from geomon.health import ActiveUsers
    users = ActiveUsers()
    dispatch.install(dispatch.Pipeline([users]))
    def call(user):
        with geomon.bind(user_id=user), geomon.track_ai("chat"): pass
    call("a"), call("b")
    child = os.fork()
    if child == 0:
        call("c")
        os._exit(users.count())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), users.count())
    """
    assert run(code, tree.root) == "1 2\n"


def test_who_wants_to_know_hears_of_the_first_user_only(clock: MovableClock) -> None:
    users, woken = ActiveUsers(), list[int]()
    users.woken = lambda: woken.append(1)
    seen(users, "a", "b")
    clock.move(301)
    users.count()
    seen(users, "a", "b")
    assert len(woken) == 2


def test_users_of_many_threads_are_all_counted() -> None:
    users = ActiveUsers()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda t: seen(users, *range(t * 500, t * 500 + 600)), range(8)))
    assert users.count() == 8 * 500 + 100
