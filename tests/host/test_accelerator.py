"""Tests of :mod:`minimac.host.accelerator`, on simulated boards."""

import dataclasses
import os
import pty
import time
import tty

import numpy as np
import pytest

from boarddesigns import DESIGNS, MORE
from minimac.host import Accelerator, HostError
from minimac.host.simulation import SimulatedBoard, build_board
from minimac.model import decode, encode, matmul
from minimac.soc.core import CoreParameters
from minimac.soc.registers import REGISTERS, Control, Space
from minimac.spec import SpecError, load_design

#: Shapes (M, K, N): one, less than an array, more than it, more than the buffers in M and in K.
SHAPES = [(1, 1, 1), (2, 2, 2), (5, 7, 9), (530, 3, 2), (3, 1100, 4)]


def operands(design, m, k, n, seed):
    """Draw codes, all alike, that are codes of the formats."""
    rng = np.random.default_rng(seed)
    codes = []
    for fmt, shape in ((design.a, (m, k)), (design.b, (k, n))):
        known = np.arange(1 << fmt.width)
        if fmt.name == "tern":
            known = np.array([0, 1, 3])
        codes.append(rng.choice(known, shape))
    return codes


@pytest.mark.parametrize("name", [*DESIGNS, *MORE])
def test_products_are_those_of_the_model(name, opened, seed, pytestconfig, tally):
    if name in MORE and not pytestconfig.option.exhaustive:
        pytest.skip("needs --exhaustive")
    accelerator = opened(name)
    assert accelerator.design == (DESIGNS | MORE)[name]
    for m, k, n in SHAPES:
        if name == "one":  # a run for each of k and n
            m, k, n = min(m, 30), min(k, 30), min(n, 3)
        a, b = operands(accelerator.design, m, k, n, seed)
        expected = matmul(accelerator.design, a, b)
        got = accelerator.matmul(a, b)
        assert got.dtype == expected.dtype
        assert np.array_equal(got, expected), (m, k, n)
        tally("results of boards", expected.size)
    counters = accelerator.counters()
    assert counters["moved"] > 0
    wrong = ("damaged", "short", "long", "line", "overrun", "repeated")
    assert [counters[name] for name in wrong] == [0] * len(wrong)


def test_numbers_are_rounded_to_the_formats(opened, seed):
    accelerator = opened("bf16")
    design = accelerator.design
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(4, 9)), rng.normal(size=(9, 5)).astype(np.float32)
    codes = matmul(design, encode(design.a, a), encode(design.b, b))
    assert np.array_equal(accelerator.matmul(a, b), decode(design.out, codes))


def test_stacks_and_empty_matrices(opened, seed):
    accelerator = opened("int8")
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (2, 1, 3, 4)), rng.integers(0, 256, (3, 4, 2))
    got = accelerator.matmul(a, b)
    assert np.array_equal(got, matmul(accelerator.design, a, b))
    for shape in [(0, 4, 2), (3, 0, 2), (3, 4, 0)]:
        m, k, n = shape
        empty = accelerator.matmul(np.zeros((m, k), int), np.zeros((k, n), int))
        assert np.array_equal(empty, np.zeros((m, n)))


def test_progress_ends_at_one(opened):
    told = []
    codes = np.ones((4, 9), int)
    opened("int8").matmul(codes, codes.T, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_wrong_operands(opened):
    accelerator = opened("int8")
    with pytest.raises(ValueError, match=r"a must be 0 to 255 to be of int8, not 256"):
        accelerator.matmul([[256]], [[0]])
    with pytest.raises(ValueError, match=r"shapes \(\.\.\., M, K\) and \(\.\.\., K, N\)"):
        accelerator.matmul(np.zeros((2, 3), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="K must be max_terms, 65536, at most, not 65537"):
        accelerator.matmul(np.zeros((1, 65537), int), np.zeros((65537, 1), int))


def test_refused_requests_are_clear_errors_and_do_nothing(opened):
    link = opened("int8").link
    before = opened("int8").counters()
    with pytest.raises(HostError, match="READ of 1 words at 0 of WEIGHTS was refused: SPACE"):
        link.read(Space.WEIGHTS, 0, 1, 2)
    with pytest.raises(HostError, match="WRITE of 2 words at 511 of WEIGHTS was refused: RANGE"):
        link.write(Space.WEIGHTS, 511, bytes(4), 2)
    with pytest.raises(HostError, match=r"WRITE of 1 words at 0 of ACTIVATIONS was .*: LENGTH"):
        link.write(Space.ACTIVATIONS, 0, bytes(4), 4)
    with pytest.raises(HostError, match="WRITE of 1 words at 0 of RESULTS was refused: SPACE"):
        link.write(Space.RESULTS, 0, bytes(8), 8)
    after = opened("int8").counters()
    assert after["refused"] - before["refused"] == 4
    assert after["frames"] - before["frames"] == 5


def test_a_write_that_is_sent_twice_is_done_once(opened, monkeypatch):
    """The chains would take the products twice."""
    accelerator = opened("int8")
    link = accelerator.link
    a, b = np.array([[1, 2, 3]]), np.array([[4, 5], [6, 7], [8, 9]])
    assert np.array_equal(accelerator.matmul(a, b), [[40, 46]])
    go_on = 1 << Control.START | 1 << Control.LAST
    before = accelerator.counters()
    send = link.port.write

    def send_twice(sent):
        send(sent)
        time.sleep(0.2)  # its answer is there, as if the host had waited too short
        send(sent)

    with monkeypatch.context() as patched:
        patched.setattr(link.port._serial, "write", send_twice)
        link.set_registers("vectors", 1, 1, go_on)
    # The answer to the second is not taken for that to another request.
    assert link.registers("status", 1) == {"status": 0}
    results = np.frombuffer(link.read(Space.RESULTS, 0, 1, 8), "<u4")
    assert results.tolist() == [80, 92]
    assert accelerator.counters()["repeated"] - before["repeated"] == 1


def test_counters_of_cycles(opened):
    accelerator = opened("int8")
    before = accelerator.counters()
    accelerator.matmul(np.ones((100, 30), int), np.ones((30, 2), int))
    after = accelerator.counters()
    assert after["moved"] - before["moved"] == 100 * 10
    # A pass takes the weights in, and the last one leaves the array.
    assert 0 < after["stalled"] - before["stalled"] < 10 * 30


def test_another_design_is_refused(opened):
    board = opened("int8").design
    other = dataclasses.replace(board, pipeline=1)
    with pytest.raises(HostError, match=f"has design {board.digest}, not board"):
        Accelerator(opened("int8").link, other)


def test_another_version_is_refused(opened, monkeypatch):
    monkeypatch.setattr("minimac.host.accelerator.VERSION", 2)
    with pytest.raises(HostError, match="the board speaks version 1, and this is for 2; build"):
        Accelerator(opened("int8").link)


def test_no_port_and_no_answer():
    with pytest.raises(HostError, match=r"^/dev/no_such_port: cannot be opened: "):
        Accelerator.open("/dev/no_such_port")
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        with pytest.raises(HostError, match="no answer; is the board there"):
            Accelerator.open(os.ttyname(slave), timeout_s=0.05, tries=2)
    finally:
        os.close(master)
        os.close(slave)


def test_only_arrays_go_on_boards():
    mac = load_design(
        {
            "name": "x",
            "unit": "mac",
            "a": "int8",
            "b": "int8",
            "out": "int32",
            "accumulate": {"kind": "exact"},
        }
    )
    with pytest.raises(SpecError, match="unit: a board takes systolic, not mac"):
        Accelerator.open("sim:", mac)
    with pytest.raises(SpecError, match=r"array\.rows: 2 rows need buffers of 2 to 32768 words"):
        CoreParameters(DESIGNS["bf16"], depth=1)


def test_a_terminal_is_opened_as_any_port(seed):
    """The same code as for a board, by the name of a port alone."""
    board = SimulatedBoard(build_board(CoreParameters(DESIGNS["int8"])))
    try:
        with Accelerator.open(board.terminal) as accelerator:
            a, b = operands(accelerator.design, 4, 5, 6, seed)
            assert np.array_equal(accelerator.matmul(a, b), matmul(accelerator.design, a, b))
        # A host that goes in the middle of a frame leaves a board that the next one can use.
        import serial

        with serial.Serial(board.terminal) as port:
            port.write(b"\x7e\x02\x01\x01\x00\x00")
        with Accelerator.open(board.terminal, timeout_s=1.0) as accelerator:
            assert np.array_equal(accelerator.matmul(a, b), matmul(accelerator.design, a, b))
            assert accelerator.counters()["short"] == 1
    finally:
        board.stop()


def test_registers_have_names_of_their_own():
    names = [register.name for register in REGISTERS]
    assert len(set(names)) == len(names)
