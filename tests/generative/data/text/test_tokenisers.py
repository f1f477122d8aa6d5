import builtins

import numpy as np
import pytest

from generative import ComponentError
from generative.data import load_data
from generative.data.text import tokenisers
from generative.data.text.tokenisers import UNKNOWN, Tokeniser

TEXT = "The cat sat, the cats sat; a caterpillar sat on the mat.\nThe mats sat on cats.\n" * 20
KINDS = ("characters", "words", "byte-pair", "word-piece")
every = pytest.mark.parametrize("kind", KINDS)


@every
def test_a_text_comes_back(kind):
    tokeniser = Tokeniser.of(kind, TEXT, 60)
    numbers = tokeniser.encode(TEXT)
    back = tokeniser.decode(numbers.tolist())
    assert len(tokeniser.names) == len(set(tokeniser.names)) <= 60 and numbers.max() < len(tokeniser.names)
    if kind == "word-piece":  # it does not keep how words are spaced
        assert back.split() == TEXT.replace(",", " ,").replace(";", " ;").replace(".", " .").split()
    else:
        assert back == TEXT


@every
def test_names_alone_are_the_tokeniser(kind):
    learnt = Tokeniser.of(kind, TEXT, 60)
    again = Tokeniser(kind, learnt.names)
    other = "the catamaran sat on a mat"
    assert again.encode(other).tolist() == learnt.encode(other).tolist()


def test_pairs_are_joined_as_the_library_joins_them(monkeypatch):
    """What is read off the names is what was learnt, pair by pair."""
    trained = []
    make = tokenisers._byte_pair
    monkeypatch.setattr(tokenisers, "_byte_pair", lambda names: trained.append(make(names)) or trained[-1])
    tokeniser = Tokeniser.of("byte-pair", TEXT, 60)
    assert trained[0].encode(TEXT).ids == tokeniser.encode(TEXT).tolist() and len(trained) == 2
    assert max(map(len, tokeniser.names)) > 3


def test_parts_of_words_are_shared():
    pairs, pieces = (Tokeniser.of(kind, TEXT, 60) for kind in ("byte-pair", "word-piece"))
    assert len(pairs.encode(TEXT)) < len(TEXT) / 2
    parts = [pieces.names[each] for each in pieces.encode("catsat")]
    assert parts[0] == " cats" and len(parts) > 1 and "".join(parts) == " catsat"


def test_what_is_unknown_has_a_token_of_its_own():
    words = Tokeniser.of("words", TEXT, 5)
    assert len(words.names) == 5 and words.decode(words.encode("the zebra").tolist()).endswith(UNKNOWN)
    with pytest.raises(ValueError, match="the model knows no 'ß'; leave these characters out"):
        Tokeniser.of("characters", TEXT, 60).encode("ß")


def test_too_small_a_vocabulary_and_a_missing_package_are_refused(monkeypatch):
    with pytest.raises(ComponentError, match="vocabulary=5: the text has 19 different characters"):
        Tokeniser.of("byte-pair", TEXT, 5)
    whole = builtins.__import__

    def without(name, *arguments, **options):
        if name == "tokenizers":
            raise ImportError(name)
        return whole(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ComponentError, match=r"pip install 'worldmodels-dream\[text\]'"):
        Tokeniser.of("byte-pair", TEXT, 60)


@every
def test_a_corpus_is_read_by_each(kind, tmp_path):
    (tmp_path / "mine.txt").write_text(TEXT)
    data = load_data("text", {"path": str(tmp_path / "mine.txt"), "length": 8, "tokens": kind, "vocabulary": 60})
    rows = data.get("tokens", np.arange(len(data)))
    read = "".join(data.names("tokens")[each] for each in rows.ravel())
    assert read.split()[:3] == TEXT.replace(",", " ,").split()[:3] if kind == "word-piece" else TEXT.startswith(read)
    assert data.item.sizes == (len(data.names("tokens")),) and len(data.held_out())
