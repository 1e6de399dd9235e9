"""Tests of :mod:`minimac.cost.boolean`."""

import itertools

import numpy as np
import pytest

from minimac.cost.boolean import decompose, support, truth_table


def evaluate(operations, variables, row):
    values = [row >> i & 1 for i in range(variables)]
    for o in operations:
        x, y = values[o.x] ^ o.invert_x, values[o.y] ^ o.invert_y
        values.append((x ^ y if o.xor else x & y) ^ o.invert)
    return values[-1]


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("A", "a"),
        ("!A", "not a"),
        ("A'", "not a"),
        ("(A)'", "not a"),
        ("!(A*B)+C", "not (a and b) or c"),
        ("A & B | C", "(a and b) or c"),
        ("A ^ B & C", "(a != b) and c"),  # so says Liberty, and so does Yosys
        ("A B | C'", "(a and b) or not c"),
        ("A (B + C)!A'", "a and (b or c)"),
        ("(!A&!B) | (A&B)", "a == b"),
        ("!!A * 1 + 0", "a"),
    ],
)
def test_truth_table_follows_precedence(text, python):
    table = truth_table(text, ["A", "B", "C"])
    for c, b, a in itertools.product([False, True], repeat=3):
        assert table >> (a + 2 * b + 4 * c) & 1 == eval(python, {"a": a, "b": b, "c": c})


@pytest.mark.parametrize("text", ["", "A &", "(A", "A D", "D", "A)", "A $ B"])
def test_bad_expression(text):
    message = r"function must be an expression of pins \(A, B\), not "
    with pytest.raises(ValueError, match=message):
        truth_table(text, ["A", "B"])


def test_too_many_names():
    with pytest.raises(ValueError, match="names must be 16 at most, not 17"):
        truth_table("A", [f"A{i}" for i in range(17)])


@pytest.mark.parametrize("variables", [1, 2, 3])
def test_decompose_every_function(variables):
    rows = 1 << variables
    for table in range(1 << rows):
        operations = decompose(table, variables)
        assert [evaluate(operations, variables, row) for row in range(rows)] == [
            table >> row & 1 for row in range(rows)
        ]


def test_decompose_samples_of_five_variables():
    rng = np.random.default_rng(0)
    for bits in rng.integers(2, size=(40, 32)):
        table = sum(int(bit) << row for row, bit in enumerate(bits))
        operations = decompose(table, 5)
        assert [evaluate(operations, 5, row) for row in range(32)] == bits.tolist()


def test_decompose_is_short():
    aoi = "(!A1&!B1&!C1) | (!A1&!B2&!C1) | (!A2&!B1&!C1) | (!A2&!B2&!C1)"
    assert len(decompose(truth_table(aoi, ["A1", "A2", "B1", "B2", "C1"]), 5)) == 4
    assert len(decompose(truth_table("A&B | A&C | B&C", "ABC"), 3)) == 4
    assert len(decompose(truth_table("A&!S | B&S", "ABS"), 3)) == 3


def test_support():
    assert support(truth_table("A ^ C", "ABC"), 3) == (0, 2)
    assert support(truth_table("A | !A", "ABC"), 3) == ()
