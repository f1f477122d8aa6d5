import datetime
import math
import re

import numpy as np
import pytest

from generative.data import DATA, check_data, load_data
from generative.data.text.brackets import balanced
from generative.data.text.padded import END, MASK, padded, until_end
from generative.data.text.stories import PEOPLE, PLACES

PAIRS = ("copy", "reverse", "dates", "recall", "stories", "questions")


def texts(data, name, count=None):
    rows = data.get(name, np.arange(len(data) if count is None else count))
    return [until_end(data.names(name), row) for row in rows.tolist()]


def test_what_is_behind_an_end_is_masked():
    rows, mask = padded([["a"], ["b", "a"]], [END, "a", "b"])
    assert rows.tolist() == [[1, 0, 0], [2, 1, 0]] and mask.tolist() == [[True, True, False], [True, True, True]]


@pytest.mark.parametrize("name", [*PAIRS, "brackets"])
def test_it_is_sound_and_no_source_is_in_both_parts(name):
    data = load_data(name, {"count": 400})
    check_data(data, batch=8, names=tuple(data.fields))
    held = data.held_out()
    assert len(data) + len(held) == 400 and 20 < len(held) < 60
    assert not {tuple(each) for each in texts(data, data.main)} & {tuple(each) for each in texts(held, data.main)}
    for each in [each for each in data.fields if each + MASK in data.fields]:
        rows, mask = data.get(each, np.arange(50)), data.get(each + MASK, np.arange(50))
        assert (mask.sum(1) == [len(text) + 1 for text in texts(data, each, 50)]).all() and not rows[~mask].any()
        whole = [part.get(each + MASK, np.arange(len(part))) for part in (data, held)]
        assert np.concatenate(whole).any(0).all()  # no longer than need be
    more = load_data(name, {"count": 400, "seed": 1})
    assert not np.array_equal(more.get(more.main, np.arange(20)), data.get(data.main, np.arange(20)))
    with pytest.raises(ValueError, match="count=3"):
        DATA.find(name)(count=3)
    with pytest.raises(ValueError, match="seed=-1"):
        DATA.find(name)(seed=-1)


@pytest.mark.parametrize(
    ("name", "options"),
    [("copy", {"length": 1}), ("copy", {"letters": 27}), ("recall", {"pairs": 0}), ("brackets", {"pairs": 1}),
     ("brackets", {"kinds": 5}), ("stories", {"sentences": 0})],
)  # fmt: skip
def test_a_senseless_option_is_refused(name, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        DATA.find(name)(**options)


def test_answers_are_right():
    for name, expected in (("copy", lambda each: each), ("reverse", lambda each: each[::-1])):
        data = load_data(name, {"count": 100})
        for source, target in zip(texts(data, "source"), texts(data, "target"), strict=True):
            assert target == expected(source) and 6 <= len(source) <= 12
    data = load_data("recall", {"count": 100, "pairs": 3})
    lags = data.get("lag", np.arange(len(data)))
    for source, target, lag in zip(texts(data, "source"), texts(data, "target"), lags, strict=True):
        assert target == [source[-1 - lag]]
        known = dict(zip(source[0:6:2], source[1:6:2], strict=True))
        assert len(known) == 3 and target == [known[source[6]]]


def test_dates_are_written_as_people_do():
    data, forms = load_data("dates", {"count": 300}), set()
    for source, target in zip(texts(data, "source"), texts(data, "target"), strict=True):
        date, said = datetime.date.fromisoformat("".join(target)), "".join(source)
        assert str(date.year) in said and str(date.day) in said
        assert date.strftime("%b") in said or f".{date.month:02}." in said
        assert ("day" not in said.split(" ")[0]) or date.strftime("%A") in said
        forms.add(re.sub(r"[A-Za-z]+", "w", re.sub(r"\d+", "1", said)))
    assert len(forms) == 5  # with the month in full or short


def test_brackets_are_balanced_and_as_likely_as_is_said():
    data = load_data("brackets", {"count": 4000, "pairs": 3, "kinds": 1})
    held = data.held_out()
    items = np.concatenate([part.get("tokens", np.arange(len(part))) for part in (data, held)])
    strings = ["".join(until_end(data.names("tokens"), each)) for each in items.tolist()]
    assert all(balanced(each) for each in strings)
    everything = {each: strings.count(each) for each in set(strings)}
    said = {each: math.exp(data.log_prob(items[[strings.index(each)]])[0]) for each in everything}
    assert len(said) == 2 + 5 and sum(said.values()) == pytest.approx(1)
    for each, share in said.items():  # a whole kind may be held out, so shares are not those of all
        assert everything[each] / len(strings) == pytest.approx(share, abs=0.03)
    wrong = items[:1].copy()
    wrong[0, 0] = 2  # closes what nobody opened
    assert data.log_prob(wrong)[0] == -np.inf
    assert [balanced(each) for each in ("", "([])", "([)]", "(", ")")] == [True, True, False, False, False]


def answers(told, question):
    """Who is where and has what, worked out again from the words alone."""
    place, owner, at = {}, {}, {}
    for sentence in " ".join(told).replace(" .", ".").split(".")[:-1]:
        person, *rest = sentence.split()
        thing = rest[-1]
        if rest[0] == "went":
            place[person] = thing
        elif rest[0] == "took":
            owner[thing] = person
        else:
            at[owner.pop(thing)] = None
            at[thing] = place[person]
    asked = question[-2]
    if question[0] == "Who":
        return owner.get(asked, "nobody")
    return place[asked] if asked in place else place[owner[asked]] if asked in owner else at[asked]


def test_stories_say_what_is_asked():
    data, seen = load_data("stories", {"count": 400}), set()
    for source, target in zip(texts(data, "source"), texts(data, "target"), strict=True):
        words = [each.strip() for each in source]
        border = len(words) - words[::-1].index(".")
        assert answers(words[:border], words[border:]) == target[0].strip()
        seen.add(target[0])
    assert len(seen) > 10 and " nobody" in seen


def test_halves_of_a_tale_share_people_and_places_and_labels_say_where_they_do_not():
    tales, halves = load_data("tales", {"count": 300}), load_data("halves", {"count": 300, "trained": 50})
    assert len(halves) == 50 and len(halves.held_out()) > 10 and tales.item.shape == (32,)
    for data, told in ((tales, np.zeros(len(tales), int)), (halves, halves.get("label", np.arange(50)))):
        names = data.item.names
        seen = set()
        for row, label in zip(data.get("tokens", np.arange(len(data))), told, strict=True):
            words = [names[each].strip() for each in row]
            for kind, number in ((PEOPLE, 1), (PLACES, 2)):
                first, second = (set(each) & set(kind) for each in (words[:16], words[16:]))
                assert not first & second if label == number else len(first | second) <= 2
            seen.add(int(label))
        assert seen == ({0} if data is tales else {0, 1, 2})
    rows = {tuple(row) for row in tales.get("tokens", np.arange(len(tales)))}
    assert not rows & {tuple(row) for row in tales.held_out().get("tokens", np.arange(len(tales.held_out())))}
    with pytest.raises(ValueError, match="length=7: give 8 or more"):
        load_data("tales", {"length": 7})


def test_a_marked_word_answers_its_question():
    data = load_data("questions", {"count": 200})
    marks = data.get("answer", np.arange(len(data)))
    assert (marks.sum(1) == 1).all()
    for row, source, target in zip(marks, texts(data, "source"), texts(data, "target"), strict=True):
        place = int(row.argmax())
        start = max([0, *(spot + 1 for spot in range(place) if source[spot] == ".")])
        sentence = [each.strip() for each in source[start : source.index(".", place)]]
        question = [each.strip() for each in target]
        if place == start:
            assert question == ["Who", *sentence[1:], "?"]
        else:
            verb = {"went": "go", "took": "take", "dropped": "drop"}[sentence[1]]
            assert question == ["Where" if verb == "go" else "What", "did", sentence[0], verb, "?"]
