"""What fits into an item, in bytes."""

import pytest

from tidegate.control import item_size


@pytest.mark.parametrize(
    ("text", "most", "left"),
    [
        ("abc", 3, "abc"),
        ("abcdef", 5, "ab…"),
        ("漢漢漢", 9, "漢漢漢"),
        ("漢漢漢漢", 10, "漢漢…"),
        ("a\ud800b", 9, "a?b"),
        ("", 5, ""),
    ],
)
def test_a_text_is_cut_between_its_characters(text, most, left):
    assert item_size.cut(text, most) == left
    assert item_size.size(left) <= most


def test_the_newest_are_kept_in_their_order():
    assert item_size.newest(["aaa", "bb", "c"], 3) == ("bb", "c")
    assert item_size.newest(["aaa", "bb", "c"], 6) == ("aaa", "bb", "c")
    assert item_size.newest(["aaa", "bb", "ccc"], 2) == ()


def test_the_first_ones_are_kept_by_their_size_in_json():
    assert item_size.first(["aa", "b", "c"], 9) == ("aa", "b")
    assert item_size.first(["é", "b"], 9) == ("é",)
    assert item_size.first([], 1) == ()


def test_turns_are_kept_before_what_only_waited_and_the_newest_of_each_first():
    turns = [True, False, False, True, False]
    texts = ["T1", "w1", "w2", "T2", "w3"]
    assert item_size.telling(turns, texts, 10) == ("T1", "w1", "w2", "T2", "w3")
    assert item_size.telling(turns, texts, 6) == ("T1", "T2", "w3")
    assert item_size.telling(turns, texts, 2) == ("T2",)
    assert item_size.telling(turns, texts, 1) == ()


def test_words_have_half_of_the_room_at_most_and_a_great_plan_leaves_none():
    assert item_size.for_commands(0) == item_size.MAX_COMMANDS_BYTES
    assert item_size.for_commands(item_size.ITEM_BYTES - item_size.RESERVED_BYTES - 10) == 5
    assert item_size.for_lists(item_size.ITEM_BYTES) == item_size.for_commands(item_size.ITEM_BYTES) == 0
