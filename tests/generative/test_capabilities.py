import pytest
from torch import nn

from generative import ComponentError, Registry, offers, require
from generative.capabilities import having, refusal


class Dreamer(nn.Module):
    type_name = "dreamer"
    refusals = {"sample": "it is awake"}  # noqa: RUF012

    def sample(self, n, sampling, generator):
        raise NotImplementedError

    def decode(self, z):
        return z


def test_a_refusal_says_why_and_who_else():
    with pytest.raises(ComponentError, match=r"dreamer cannot `sample`: it is awake \(models that can: .*vae"):
        require(Dreamer(), "sample")
    with pytest.raises(ComponentError, match=r"cannot `translate`: this kind of model.*models that can: none"):
        require(Dreamer(), "translate", Registry("model"))
    require(Dreamer(), "decode")


def test_an_unknown_capability_is_no_silent_refusal():
    with pytest.raises(ComponentError, match=r"did you mean 'sample'"):
        offers(Dreamer(), "smaple")


def test_what_needs_a_preparation_counts_for_its_class():
    assert refusal(Dreamer, "sample") == "it is awake"
    assert "autoencoder" in having("sample")
    assert not {"vq-vae", "random-convolutions"} & set(having("sample"))
    counting = {"naive-bayes", "multinomial", "toy-distribution"}
    step_by_step = {"lstm", "gpt-2", "music-lstm", "music-transformer", "muse-net"}
    assert set(having("log_prob")) == {"pca", "pixel-cnn", "real-nvp", *step_by_step, *counting}
