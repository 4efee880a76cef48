"""Entries come out of their columns as they went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan.data.sources.entries import Entries, Entry

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
PLACE = st.one_of(TEXT, st.tuples(st.integers(0, 2**50), st.integers(0, 2**40)))
NUMBER = st.integers(0, 2**62)
ENTRY = st.builds(Entry, TEXT, st.integers(0, 9), PLACE, NUMBER, NUMBER, st.none() | PLACE)


@given(st.lists(ENTRY | st.builds(lambda e: e._replace(place=e.name), ENTRY)), st.slices(9))
def test_they_are_as_they_were(entries: list[Entry], some: slice) -> None:
    ours = Entries(entries)
    assert list(ours) == entries and len(ours) == len(entries)
    assert ours[some] == tuple(entries[some])
    assert [ours.name(i) for i in range(len(ours))] == [entry.name for entry in entries]
    assert ours == Entries(iter(entries)) and ours != Entries([*entries, Entry("", 0, "", 0, 0)])


@given(st.lists(ENTRY, min_size=1, max_size=4), st.lists(ENTRY, max_size=3), st.data())
def test_a_digest_stands_for_all_of_some_entries(entries, before, data) -> None:
    whole = Entries(entries).digest(0, 9)
    # Neither those before nor those after count.
    n = len(before)
    assert Entries([*before, *entries, *before]).digest(n, n + len(entries)) == whole
    at = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(Entry._fields))
    other = entries[at]._replace(**{field: getattr(data.draw(ENTRY), field)})
    changed = [*entries[:at], other, *entries[at + 1 :]]
    assert (Entries(changed).digest(0, 9) == whole) == (changed == entries)


def test_beyond_the_end_there_is_nothing() -> None:
    with pytest.raises(IndexError):
        Entries([])[0]
