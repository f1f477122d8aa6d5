import pytest
import torch

from generative import ComponentError
from generative.data import load_data
from generative.models.writing.question_generator import QuestionGenerator, QuestionGeneratorConfig
from generative.sampling.decoding import AnswerDecoding


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rough(**options) -> QuestionGenerator:
    torch.manual_seed(0)
    sizes = {"vocabulary": 6, "embedding": 8, "hidden": 16}
    module = QuestionGenerator(QuestionGeneratorConfig(**{**sizes, **options})).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)
    return module


def stories():
    source, target = torch.randint(1, 6, (2, 4, 7), generator=noise(3))
    mask = torch.arange(7) < torch.tensor([[7], [3], [5], [2]])
    marks = torch.tensor([[0, 1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]])
    return source, mask, marks, target, torch.arange(7) < torch.tensor([[2], [7], [4], [5]])


def test_the_question_begins_with_the_features_of_the_answers_words_alone():
    module, (source, mask, marks, *_) = rough(), stories()
    first = module.read(source, mask, marks)[0]
    features = module._features(source, mask)
    for row in range(4):
        words = features[row, marks[row].bool()]
        torch.testing.assert_close(first[row], module.of_answer(words[None])[0][0, -1])


def test_padding_changes_nothing_and_marks_are_no_part_of_what_tags_see():
    module, (source, mask, marks, target, target_mask) = rough(), stories()
    changed = source.where(mask, source % 5 + 1), target.where(target_mask, target % 5 + 1)
    whole, again = (
        module.loss((one, mask, marks, two, target_mask), noise())[0] for one, two in ((source, target), changed)
    )
    assert whole.item() == again.item()
    tags = module.tagged(source, mask)
    assert ((tags > 0) == mask).all() and (tags < 1).all()
    bits = module.loss((source, mask, marks, target, target_mask), noise())[1]["tag_bits"]
    right = tags.where(marks.bool(), 1 - tags)[mask]
    assert bits.item() == pytest.approx(-right.log2().mean().item(), rel=1e-5)


def test_without_a_mark_it_asks_for_the_most_probable_answer():
    module, (source, mask, *_) = rough(), stories()
    best = torch.nn.functional.one_hot(module.tagged(source, mask).argmax(1), 7)
    dials = {"sampling": AnswerDecoding(length=6), "generator": noise()}
    assert torch.equal(module.answer(source, mask, **dials), module.answer(source, mask, best, **dials))


def test_a_decoder_that_looks_back_knows_how_far_words_stand_from_the_answer():
    """Stories of one word again and again, read by an encoder that says nothing: only the distance is left."""
    module = rough(attention="additive")
    with torch.no_grad():
        for weight in module.encoder.parameters():
            weight.zero_()
    source, mask = torch.full((3, 7), 3), torch.ones(3, 7, dtype=torch.bool)
    marks = torch.tensor([[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0], [0, 1, 1, 1, 0, 0, 0]])
    shares = module.maps([source, mask, marks], torch.full((3, 1), 2))[0][:, 0, 0].log()
    early, late, long = (each - each[3 if row == 1 else 1] for row, each in enumerate(shares))
    assert early.unique().numel() == 7
    torch.testing.assert_close(early[:5], late[2:])
    torch.testing.assert_close(long[1:4], torch.zeros(3))  # all within the answer
    assert long.unique().numel() == 5
    assert rough().distance is None


def test_sizes_by_default_are_the_books():
    """A bidirectional GRU of 100, one of 200 over the answer, one of 200 that writes."""
    module = QuestionGenerator(QuestionGeneratorConfig(vocabulary=1000))
    assert module.encoder.forwards.hidden_size == module.encoder.backwards.hidden_size == 100
    assert module.of_answer.hidden_size == module.decoder.cell.hidden_size == 200
    assert module.embedding.weight.shape == (1001, 100)


def test_data_without_marks_are_refused():
    with pytest.raises(ComponentError, match="question-generator needs the field 'answer'"):
        QuestionGenerator.sizes(load_data("copy", {"count": 20}).fields)


@pytest.mark.parametrize("options", [{"vocabulary": 0}, {"hidden": 10}, {"dropout": 1.0}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        QuestionGeneratorConfig(**options)
