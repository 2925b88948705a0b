"""What machine code shows of the processor it was made for."""

from __future__ import annotations

import random

from nix_repro.explain.causes.code import instruction_set


def test_instruction_sets() -> None:
    scalar = bytes.fromhex("f30f5904873bc1f30f58c0488d4001") * 12
    avx = bytes.fromhex("c5fc100407c5fc5901c5fc58c04883c020") * 12
    avx512 = bytes.fromhex("62f17c481004074883c0404839c875f0") * 12
    assert instruction_set(scalar, avx) == "AVX"
    assert instruction_set(avx512, avx) == "AVX-512"
    assert instruction_set(scalar, scalar[15:]) is None
    assert instruction_set(avx, avx + avx) is None
    noise = [random.Random(seed).randbytes(4000) for seed in (1, 2)]  # noqa: S311
    assert instruction_set(*noise) is None
