"""The store: its bytes, its ids, what is left behind; and the one thread."""

import threading

import pytest

from koala_face.web.store import ABANDONED, GoneError, StorageError, Store
from koala_face.web.work import ARRIVAL, RESULT, Work


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    return Store(tmp_path, 1000, clock)


def filled(store, album, count):
    entry = store.new_entry("a.jpg")
    store.reserve(entry, count)
    store.add(album, entry)
    return entry


def test_no_more_than_the_limit_and_removal_gives_it_back(store):
    album = store.new_album()
    entry = filled(store, album, 900)
    with pytest.raises(StorageError, match="full"):
        store.reserve(store.new_entry("b.jpg"), 101)
    store.remove(entry, album)
    assert (store.used, entry.folder.exists()) == (0, False)
    store.reserve(store.new_entry("b.jpg"), 1000)


def test_an_album_that_was_left_makes_room(store, clock):
    left, used = store.new_album(), store.new_album()
    entry, other = filled(store, left, 500), filled(store, used, 500)
    clock.now = ABANDONED + 1
    store.album(used.id)
    store.reserve(store.new_entry("c.jpg"), 400)
    assert (entry.folder.exists(), other.folder.exists()) == (False, True)
    with pytest.raises(GoneError):
        store.album(left.id)


def test_a_photograph_is_of_its_album_alone(store):
    mine, other = store.new_album(), store.new_album()
    entry = filled(store, mine, 1)
    assert store.entry(mine.id, entry.id) is entry
    for ids in ((other.id, entry.id), (mine.id, "x"), (mine.id, ".."), ("", "")):
        with pytest.raises(GoneError):
            store.entry(*ids)
    assert len({store.new_album().id for _ in range(100)}) == 100
    assert len(mine.id) >= 22


def test_folders_are_private_and_what_lies_there_is_never_followed(store, tmp_path, monkeypatch):
    entry = store.new_entry("a.jpg")
    assert entry.folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "known").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: "known")
    with pytest.raises(FileExistsError):
        store.new_entry("b.jpg")


def test_a_job_on_a_removed_photograph_counts_nothing(store):
    album = store.new_album()
    entry = filled(store, album, 10)
    store.remove(entry, album)
    with pytest.raises(GoneError):
        store.reserve(entry, 5)
    store.reserve(entry, -5)
    assert store.used == 0


def test_the_order_of_those_that_wait(store):
    album = store.new_album()
    first, second, third = (filled(store, album, 1) for _ in range(3))
    assert store.ahead() == {first.id: 0, second.id: 1, third.id: 2}
    store.arrived(first)
    store.remove(second, album)
    assert store.ahead() == {third.id: 0}


def test_jobs_run_one_by_one_results_first():
    begun, done = threading.Event(), []
    work = Work(lambda: begun.wait(30) and "networks")
    futures = [work.submit(ARRIVAL, lambda loaded, n=n: done.append((n, loaded))) for n in range(3)]
    futures.append(work.submit(RESULT, lambda loaded: done.append(("result", loaded))))
    work.start()
    begun.set()
    for future in futures:
        future.result(30)
    assert [name for name, _ in done] == ["result", 0, 1, 2]
    assert {loaded for _, loaded in done} == {"networks"}
    work.stop(30)


def test_an_error_ends_its_job_alone_and_that_of_loading_all():
    work = Work(lambda: 1)
    work.start()
    bad, good = work.submit(ARRIVAL, lambda one: one / 0), work.submit(ARRIVAL, lambda one: one)
    assert good.result(30) == 1
    assert isinstance(bad.exception(30), ZeroDivisionError)
    work.stop(30)
    work = Work(lambda: 1 / 0)
    work.start()
    assert isinstance(work.submit(ARRIVAL, lambda one: one).exception(30), ZeroDivisionError)
    work.stop(30)


def test_the_end_waits_for_the_job_that_runs_and_cancels_the_others():
    running, end = threading.Event(), threading.Event()
    work = Work(lambda: None)
    first = work.submit(ARRIVAL, lambda _: running.set() or end.wait(30))
    second = work.submit(ARRIVAL, lambda _: None)
    work.start()
    running.wait(30)
    threading.Timer(0.1, end.set).start()
    work.stop(30)
    assert first.result(0) is True
    assert second.cancelled()
