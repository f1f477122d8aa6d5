import pytest

from generative import ComponentError
from generative.core.strict_yaml import read_yaml, write_yaml


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: `a` is there twice, first in line 1"),
        ("a: {b: 1, b: 1}", "`b` is there twice"),
        ("1: a\n'1': b", "`1` is there twice"),
        ("a: no", 'line 1: `no` may be a word or false; write false, or "no" for the word'),
        ("a: yes", 'line 1: `yes` may be a word or true; write true, or "yes" for the word'),
        ("a: Off", 'line 1: `Off` may be a word or false; write false, or "Off" for the word'),
        ("a: [1, on]", "`on` may be a word or true"),
        ("Yes: 1", "`Yes` may be a word or true"),
        ("a: 010", 'read in different ways; write 10, or "010"'),
        ("a: -007", "write -7"),
        ("a: 1_000", "write 1000"),
        ("a: " + "9" * 5000, "too many digits"),
        ("a: [", "x.yaml, line 1"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: !!python/object/apply:os.system [ls]", "constructor"),
        ("a: !!int many", "is no number"),
        ("a: !!bool maybe", "neither true nor false"),
        ("a: !!binary aGk=", "constructor"),
        ("[" * 3000, "nested too deeply"),
        (b"a: \xff", "no valid YAML"),
        ("a: \x00", "no valid YAML"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_line(text, message):
    with pytest.raises(ComponentError) as caught:
        read_yaml(text, "x.yaml")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("-0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("True", True),
        ("~", None),
        ("'no'", "no"),
        ('"010"', "010"),
        ("novel", "novel"),
    ],
)
def test_words_and_numbers_are_what_they_look_like(text, value):
    found = read_yaml(f"a: {text}", "x.yaml")["a"]
    assert found == value and type(found) is type(value)


def test_a_merged_key_may_be_set_again():
    assert read_yaml("a: &a {b: 1, c: 2}\nd: {<<: *a, b: 3}", "x.yaml")["d"] == {"b": 3, "c": 2}


def test_what_was_read_can_be_changed_and_is_read_anew():
    read_yaml("a: [1, {b: 2}]", "x.yaml")["a"][1]["b"] = 3
    assert read_yaml("a: [1, {b: 2}]", "x.yaml") == {"a": [1, {"b": 2}]}


def test_what_is_written_is_read_as_the_same():
    plain = {
        "words": ["no", "on", "y", "010", "1e3", "12:30", "1_000", "null", "~", "", "0x1f", ".5", "<<", "2024-01-01"],
        "numbers": [0, -3, 1e-5, 1e300, 1e16, 0.1, float("inf")],
        "others": [True, False, None],
        "no": {"on": 1},
    }
    assert read_yaml(write_yaml(plain), "x.yaml") == plain


def test_texts_are_quoted_for_other_readers_too():
    assert "'12:30'" in write_yaml({"a": "12:30"}) and "'2024-01-01'" in write_yaml({"a": "2024-01-01"})
