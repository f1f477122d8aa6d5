import re

import pytest

from generative.data.text.english import LICENCES, english


@pytest.mark.slow
def test_every_package_that_is_named_gives_prose_and_no_other_does():
    documents = english()
    sizes = dict.fromkeys(LICENCES, 0)
    for name, text in documents.items():
        sizes[name.partition("/")[0]] += len(text)
    assert sizes.keys() == LICENCES.keys() and all(size > 100_000 for size in sizes.values())


@pytest.mark.slow
def test_it_is_sentences_and_none_comes_twice():
    paragraphs = [line for text in english().values() for line in text.splitlines()]
    assert len(set(paragraphs)) == len(paragraphs)
    assert all(each.endswith(".") and each[0].isupper() and ">>>" not in each for each in paragraphs)
    words = re.findall("[a-z]+", " ".join(paragraphs).lower())
    assert 0.04 < words.count("the") / len(words) < 0.12  # as in English
