from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from cache.lru import LRU


def test_keeps_the_recently_used() -> None:
    made = []
    lru: LRU[int] = LRU(3, lambda _: 1)
    for key in (1, 2, 3, 1, 4, 1, 2):
        lru.get(key, lambda key=key: made.append(key) or key)  # type: ignore[misc,func-returns-value]
    assert made == [1, 2, 3, 4, 2]  # 4 pushed 2 out, not 1
    assert len(lru) == 3


def test_is_bounded_by_weight_but_keeps_one() -> None:
    lru: LRU[int] = LRU(10, lambda value: value)
    lru.get("a", lambda: 6)
    lru.get("b", lambda: 6)
    assert len(lru) == 1
    lru.get("c", lambda: 100)
    assert len(lru) == 1
    assert lru.get("c", lambda: 0) == 100


def test_threads_get_the_same_value() -> None:
    lru: LRU[object] = LRU(2, lambda _: 1)
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda i: lru.get(i % 2, object), range(4000)))
    assert len(set(map(id, values))) == 2


def test_a_fork_while_a_thread_holds_the_lock_does_not_hang() -> None:
    lru: LRU[int] = LRU(2, lambda _: 1)
    lru.get("a", lambda: 1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lru._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if lru.get("a", lambda: 2) == 1 else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_threads_that_push_each_other_s_values_out() -> None:
    """A value may be dropped while another thread has just found it."""
    lru: LRU[int] = LRU(3, lambda _: 1)

    def use(start: int) -> bool:
        keys = ((start + i) % 7 for i in range(5000))
        return all(lru.get(key, lambda key=key: key) == key for key in keys)  # type: ignore[misc]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(8)))
    assert len(lru) == 3
    assert lru.find("never made") is None
