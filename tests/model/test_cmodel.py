"""Tests of :mod:`minimac.model.cmodel`: the model in C against the one in Python."""

import dataclasses
import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import chains
from minimac.model import matmul
from minimac.model.cmodel import c_dpi, c_model
from minimac.spec import BlockFormat, SpecError, load_design

CC = shutil.which("cc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
MAC = {"name": "mine", "unit": "mac"}
FP8 = MAC | {"a": "e4m3fn", "b": "e4m3fn", "out": "bf16"}

pytestmark = pytest.mark.skipif(CC is None, reason="there is no cc")


# --- Running models ----------------------------------------------------------------------------

# Words of a case: how long it is, random bits, scales of tensors; then codes and scales.
LONGEST = 128
A, B, SCALES_A, SCALES_B, WORDS = (8 + LONGEST * part for part in range(5))

MAIN = """
static uint32_t word[{words}];

int main(void)
{{
    while (fread(word, sizeof word, 1, stdin) == 1) {{
        uint32_t out = 0;
        switch (word[0]) {{
        {cases}
        }}
        fwrite(&out, sizeof out, 1, stdout);
    }}
    return 0;
}}
"""


def call(design):
    """Return how a model is called with the words of a case."""
    arguments = []
    for at, fmt in enumerate((design.a, design.b)):
        arguments.append(f"word + {(A, B)[at]}")
        if isinstance(fmt, BlockFormat):
            arguments.append(f"word + {(SCALES_A, SCALES_B)[at]}")
            arguments += [f"word[{4 + at}]"] if fmt.tensor_scale else []
    arguments.append("word[1]")
    if design.out_round.stochastic:
        arguments += ["word[2]", "(int)word[3]"]
    return f"{design.name}_dot({', '.join(arguments)})"


class Runner:
    """Models of several designs, compiled into one program that reads cases and prints codes."""

    def __init__(self, folder, headers, flags=("-O0",)):
        """Compile; ``headers`` are pairs of a design and its header."""
        lines = ["#include <stdio.h>"]
        for design, header in headers:
            (folder / f"{design.name}_model.h").write_text(header)
            lines.append(f'#include "{design.name}_model.h"')
        cases = [
            f"case {at}: out = {call(design)}; break;" for at, (design, _) in enumerate(headers)
        ]
        lines.append(MAIN.format(words=WORDS, cases="\n        ".join(cases)))
        self.source = folder / "main.c"
        self.source.write_text("\n".join(lines))
        self.program = folder / "main"
        subprocess.run([CC, *STRICT, *flags, str(self.source), "-o", str(self.program)], check=True)

    def run(self, words):
        """Return the codes that the models give for cases."""
        found = subprocess.run(
            [str(self.program)], input=words.astype(np.uint32).tobytes(), capture_output=True
        )
        assert found.returncode == 0, found.stderr.decode()
        return np.frombuffer(found.stdout, np.uint32)


def draw_cases(rng, design, number):
    """Draw operands; return them as words for the model in C, and the codes that must come out."""
    terms = rng.choice([1, 2, 3, 5, 8, 12, 20, 33])
    a, b = chains.draw_operands(rng, design, 8, terms, 8)
    bits = chains.draw_random_bits(rng, design, (8, 8))
    arguments = chains.as_argument(design.a, a, -1), chains.as_argument(design.b, b, -2)
    wanted = matmul(design, *arguments, bits).ravel()
    words = np.zeros((8, 8, WORDS), np.int64)
    words[..., 0], words[..., 1] = number, terms
    if bits is not None:
        words[..., 2], words[..., 3] = bits
    sides = [(design.a, a, A, SCALES_A, 4), (design.b, b, B, SCALES_B, 5)]
    for axis, (fmt, codes, place, scales, tensor) in enumerate(sides):
        turned = np.moveaxis(words, axis, 0)
        turned[..., place : place + terms] = np.array(codes.elements)[:, None]
        if codes.scales:
            turned[..., scales : scales + len(codes.scales[0])] = np.array(codes.scales)[:, None]
        if codes.scales and fmt.tensor_scale:
            turned[..., tensor] = np.float32(codes.tensor).view(np.uint32)
    return words.reshape(64, WORDS), wanted


def assert_agree(folder, designs, seed, sets, flags=("-O0",)):
    """Hold the models of designs to ``matmul``: ``sets`` times 64 dot products each."""
    designs = [dataclasses.replace(design, name=f"d{at}") for at, design in enumerate(designs)]
    runner = Runner(folder, [(design, c_model(design)) for design in designs], flags)
    rng = random.Random(seed)
    drawn = [draw_cases(rng, design, at) for at, design in enumerate(designs) for _ in range(sets)]
    words, wanted = map(np.concatenate, zip(*drawn, strict=True))
    got = runner.run(words)
    assert len(got) == len(wanted)
    for at in np.flatnonzero(got != wanted)[:1]:
        design = designs[words[at, 0]]
        raise AssertionError(
            f"got {got[at]:#x}, not {wanted[at]:#x} (seed {seed})\n"
            f"design = {json.dumps(design.as_dict())}\nwords = {words[at].tolist()}"
        )
    return designs, wanted


def draw_designs(rng, count):
    """Draw designs of all kinds of accumulation with all kinds of product."""
    kinds = [(kind, product) for kind in chains.KINDS for product in ["exact", *chains.PRODUCTS]]
    kinds += [(kind, "exact") for kind in chains.KINDS] * 2
    drawn = [chains.draw_design(rng, *kinds[at % len(kinds)]) for at in range(count)]
    return [load_design(tree) for tree in drawn]


# --- Attributes --------------------------------------------------------------------------------


def test_header_of_a_design():
    design = load_design(FP8 | {"accumulate": {"kind": "float", "width": 12}})
    text = c_model(design)
    assert text.startswith("/* mine: e4m3fn x e4m3fn -> bf16, float 12 exact.\n")
    assert "uint32_t mine_dot(const uint32_t *a, const uint32_t *b, size_t k)\n" in text
    # Pieces of other kinds, and words that are still to be replaced, would stand out.
    assert "limb" not in text
    for word in ("NAME", "ACC_", "RANDOM", "MAX_TERMS", "_STEP", "float ", "double", "malloc"):
        assert word not in text.partition("*/")[2], word


def test_equal_designs_have_equal_headers():
    tree = FP8 | {"accumulate": {"kind": "exact"}}
    assert c_model(load_design(tree)) == c_model(load_design(tree))
    assert c_model(load_design(tree)) != c_model(load_design(tree | {"out": "fp32"}))


def test_arguments_follow_from_the_design():
    tree = MAC | {"a": "nvfp4", "b": "mxfp4:size=16", "out": "bf16", "out_round": "sr_a"}
    text = c_model(load_design(tree))
    assert (
        "uint32_t mine_dot(const uint32_t *a, const uint32_t *a_scales, uint32_t a_tensor, "
        "const uint32_t *b, const uint32_t *b_scales, size_t k, uint32_t random, int random_bits)"
    ) in text
    assert "void mine_close(mine_state *state, uint32_t a_scale, uint32_t b_scale)" in text
    interface = c_dpi(load_design(tree))["mine_dpi.sv"]
    assert "model_close(" in interface
    assert "input int unsigned a_tensor, input int unsigned random, input int" in interface


# --- Wrong arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"accumulate": {"kind": "fused", "group": 4097, "frac_bits": 8}}, "accumulate"),
        (
            {
                "accumulate": {"kind": "fixed", "format": "int32", "chunk": 4}
                | {"outer": {"kind": "fused", "group": 4097, "frac_bits": 8}}
            },
            "accumulate.outer",
        ),
        (
            {"a": "mxfp4:size=4097", "b": "mxfp4:size=4097"}
            | {"within": {"kind": "fused", "group": 4097, "frac_bits": 8}},
            "within",
        ),
    ],
)
def test_groups_that_are_too_long(tree, key):
    with pytest.raises(SpecError, match=rf"^{key}\.group: must be at most 4096 .*, not 4097$"):
        c_model(load_design(FP8 | tree))


# --- Against the golden model ------------------------------------------------------------------


def test_scalars(tmp_path, seed):
    designs = draw_designs(random.Random(seed), 36)
    designs, wanted = assert_agree(tmp_path, designs, seed, sets=3)
    assert len(wanted) == 36 * 3 * 64
    assert {design.accumulate.kind for design in designs} == {
        *("exact", "fixed", "float", "rounded", "fused")
    }


def test_blocks(tmp_path, seed):
    rng = random.Random(seed)
    designs = [load_design(chains.draw_block_design(rng)) for _ in range(12)]
    assert_agree(tmp_path, designs, seed, sets=3)


def test_undefined_behaviour(tmp_path, seed):
    """Neither codes nor what is no code of its format make a model do what C leaves undefined."""
    flags = ["-O0", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    if subprocess.run([CC, *flags, str(probe), "-o", str(tmp_path / "probe")]).returncode:
        pytest.skip("cc has no sanitizers")
    rng = random.Random(f"{seed} undefined")
    designs = [*draw_designs(rng, 8), load_design(chains.draw_block_design(rng))]
    designs, _ = assert_agree(tmp_path, designs, seed, 1, flags)
    words = np.random.default_rng(seed).integers(1 << 32, size=(2000, WORDS))
    words[:, 0], words[:, 1] = np.arange(2000) % len(designs), LONGEST
    words[:, 3] = words[:, 2] % 33
    words[:, 2] >>= 32 - words[:, 3]
    runner = Runner(tmp_path, [(design, c_model(design)) for design in designs], flags)
    assert len(runner.run(words)) == 2000


def test_cplusplus_and_optimised(tmp_path, seed):
    cxx = shutil.which("c++")
    rng = random.Random(f"{seed} c++")
    designs = [*draw_designs(rng, 10), *(load_design(chains.draw_block_design(rng)) for _ in "ab")]
    lines = []
    for at, design in enumerate(designs):
        named = dataclasses.replace(design, name=f"d{at}")
        lines.append(c_model(named))
        if design.accumulate.kind != "float":  # the interface of each, without its simulator
            lines.append(c_dpi(named)[f"d{at}_dpi.c"].replace(f'#include "d{at}_model.h"', ""))
    source = tmp_path / "all.c"
    source.write_text("\n".join(lines))
    out = str(tmp_path / "all.o")
    subprocess.run([CC, *STRICT, "-O2", "-c", str(source), "-o", out], check=True)
    if cxx:
        strict = [flag for flag in STRICT if flag != "-std=c99"]
        subprocess.run([cxx, *strict, "-x", "c++", "-c", str(source), "-o", out], check=True)


def test_no_terms_are_plus_zero(tmp_path):
    designs = [
        load_design(FP8 | {"name": f"d{at}", "accumulate": accumulate})
        for at, accumulate in enumerate(
            [
                {"kind": "exact"},
                {"kind": "fixed", "format": "s8.8"},
                {"kind": "float", "width": 12},
                {"kind": "rounded", "format": "bf16", "round": "down"},
                {"kind": "fused", "group": 4, "frac_bits": 8, "round": "down"},
            ]
        )
    ]
    runner = Runner(tmp_path, [(design, c_model(design)) for design in designs])
    words = np.zeros((len(designs), WORDS), np.int64)
    words[:, 0] = np.arange(len(designs))
    assert runner.run(words).tolist() == [0] * len(designs)


def test_results_on_the_way(tmp_path):
    """A result may be asked for after each step, and does not disturb those that follow."""
    accumulate = {"kind": "fixed", "format": "s8.8", "chunk": 3}
    accumulate |= {"outer": {"kind": "fused", "group": 2, "frac_bits": 5}}
    design = load_design(FP8 | {"accumulate": accumulate})
    rng = random.Random(1)
    a, b = ([chains.finite_code(rng, design.a) for _ in range(20)] for _ in "ab")
    steps = "\n".join(
        f'mine_step(&state, {x}, {y}); printf("%x\\n", (unsigned)mine_result(&state));'
        for x, y in zip(a, b, strict=True)
    )
    source = tmp_path / "steps.c"
    source.write_text(
        "#include <stdio.h>\n" + c_model(design)
        + f"int main(void) {{ mine_state state; mine_init(&state); {steps} return 0; }}\n"
    )  # fmt: skip
    program = str(tmp_path / "steps")
    subprocess.run([CC, *STRICT, str(source), "-o", program], check=True)
    got = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(code, 16) for code in got] == [
        int(matmul(design, [a[:k]], np.array(b[:k])[:, None])[0, 0]) for k in range(1, 21)
    ]


# --- Against silicon ---------------------------------------------------------------------------

RECORDINGS = Path(__file__).parents[3] / "shared/vectors/hopper_tensor_core.npz"


@pytest.mark.skipif(not RECORDINGS.parents[1].exists(), reason="no ../shared: no recordings")
def test_every_recording_of_a_tensor_core(tmp_path):
    with np.load(RECORDINGS) as stored:
        recorded = dict(stored)
    cases = sorted({name.rsplit(".", 1)[0] for name in recorded})
    designs = []
    for case in cases:
        a, b = ({"e4m3": "e4m3fn"}.get(name, name) for name in case.split(".")[:2])
        preset = "hopper_fp8" if a == "e4m3fn" else "hopper_fp16"
        tree = {"name": f"d{len(designs)}", "a": a, "b": b, "out": "fp32", "accumulate": preset}
        designs.append(load_design(MAC | tree))
    runner = Runner(tmp_path, [(design, c_model(design)) for design in designs])
    for number, (case, design) in enumerate(zip(cases, designs, strict=True)):
        a, b, y = (recorded[f"{case}.{part}"].astype(np.int64) for part in "aby")
        words = np.zeros((*y.shape, WORDS), np.int64)
        words[..., 0], words[..., 1] = number, a.shape[1]
        words[..., A : A + a.shape[1]] = (a % (1 << design.a.width))[:, None]
        words[..., B : B + b.shape[1]] = (b % (1 << design.b.width))[None]
        got = runner.run(words)
        np.testing.assert_array_equal(got, y.astype(np.uint32).ravel(), case)


# --- Faults ------------------------------------------------------------------------------------

FLOAT = {"kind": "float", "width": 9, "guard": 1, "sticky": True, "round": "rne"}
ROUNDED = {"kind": "rounded", "format": "e5m2"}
FUSED = {"kind": "fused", "group": 4, "frac_bits": 6, "sticky": True, "format": "fp16"}
CHUNKED = {"kind": "fixed", "format": "s6.4", "chunk": 3, "outer": {"kind": "exact"}}
FAULTS = [  # a design, what is right in its header, and what is put there
    ({}, FLOAT, "(mine_sum_STICKY && lost)", "(0 && lost)"),
    ({"out": "fp32"}, FLOAT | {"round": "up"}, "(mine_sum_STICKY & total)", "0"),
    ({}, FLOAT, "entering > exponent", "entering >= exponent + 2"),
    ({}, FLOAT, "total >>= 1;\n        exponent++;", "total >>= 1;"),
    ({}, FLOAT, "same || x >= y ?", "same || x < y ?"),
    ({}, FLOAT, "rest > half || (rest == half && odd)", "rest >= half"),
    ({}, FLOAT | {"normalize": "approx(1,2)"}, "mine_sum_TOP - mine_sum_NEXT", "mine_sum_NEXT"),
    ({}, ROUNDED, "parts.rest = mine_bits_from(magnitude, place - 64) |", "parts.rest ="),
    ({}, ROUNDED, ": mine_sum_ROUND == mine_DOWN", ": true"),
    ({}, ROUNDED, "carry = negative", "carry = 0"),
    ({}, ROUNDED, "+ format->has_infinity)", ")"),
    ({}, FUSED, "mine_sum_STICKY && parts.rest != 0", "0"),
    ({}, FUSED, "largest = mine_sum_leading_one(state->sum)", "largest += 0"),
    ({}, FUSED, "term.exponent + 8 - 2", "term.exponent + 8 - 1"),
    ({}, FUSED, "if (last.count > 0)", "if (last.count > 1)"),
    ({}, CHUNKED, "++state->count == mine_sum_CHUNK", "state->count++ == mine_sum_CHUNK"),
    ({"a": "bf16", "b": "bf16"}, CHUNKED, "parts.beyond || rounded", "rounded"),
    ({"product": "lmul"}, FLOAT, "+ mine_OFFSET", ""),
    ({"product": "lmul_add"}, FLOAT, "code >= hidden", "code > 0"),
    ({"out": "e5m2", "out_overflow": "infinity"}, FLOAT, "stays ? largest", "!stays ? largest"),
    ({"out": "e4m3fn:ftz"}, ROUNDED | {"format": "fp32"}, "format->flushes && code", "0 && code"),
    ({"out": "e5m2", "out_round": "sr_c"}, {"kind": "exact"}, "(kept & 1) != 0", "(kept & 1) == 0"),
    ({"a": "mxfp4:size=4"}, {"kind": "exact"}, "field - 127", "field - 126"),
    ({"a": "nvfp4:size=4", "out": "fp32"}, ROUNDED, "if (i % size == size - 1 ||", "if ("),
    (
        {"a": "nvfp4:size=4", "out": "fp32"},
        FUSED,
        "leading_one(wide) - 63",
        "leading_one(wide) - 3",
    ),
]


def test_faults_are_seen(tmp_path, seed):
    """Each fault that is put into a header is seen in some of its results."""
    rng = random.Random(seed)
    headers = []
    for at, (fields, accumulate, right, wrong) in enumerate(FAULTS):
        design = load_design(FP8 | fields | {"accumulate": accumulate})
        text = c_model(design)
        assert right in text, right
        changed = text.replace(right, wrong).replace("mine", f"d{at}")
        headers.append((dataclasses.replace(design, name=f"d{at}"), changed))
    runner = Runner(tmp_path, headers, ["-O0", "-w"])
    for at, (design, _) in enumerate(headers):
        for _ in range(160):
            words, wanted = draw_cases(rng, design, at)
            if (runner.run(words) != wanted).any():
                break
        else:
            raise AssertionError(f"not seen: {FAULTS[at]} (seed {seed})")
