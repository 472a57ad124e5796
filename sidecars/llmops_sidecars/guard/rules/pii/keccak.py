"""Keccak-256 as Ethereum uses it: SHA-3 before its padding was fixed, which the standard library does not have."""

from __future__ import annotations

RATE = 136
"""Bytes of a block."""

WORD = (1 << 64) - 1
ROUNDS = 24


def keccak_256(data: bytes, padding: int = 1) -> bytes:
    """The digest of 32 bytes; with a padding that begins with 6 it is SHA3-256."""
    padded = data + bytes((padding,)) + bytes(-(len(data) + 1) % RATE)
    padded = padded[:-1] + bytes((padded[-1] | 0x80,))
    state = [0] * 25
    for start in range(0, len(padded), RATE):
        for lane in range(RATE // 8):
            state[lane] ^= int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
        state = _permuted(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def _permuted(state: list[int]) -> list[int]:
    """Keccak-f[1600], FIPS 202, section 3; lane (x, y) stands at x + 5 y."""
    for constant in CONSTANTS:
        columns = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        effects = [columns[x - 1] ^ _turned(columns[(x + 1) % 5], 1) for x in range(5)]
        turned = [0] * 25
        for lane, (target, offset) in enumerate(MOVES):
            turned[target] = _turned(state[lane] ^ effects[lane % 5], offset)
        state = [
            turned[lane] ^ (~turned[lane - lane % 5 + (lane + 1) % 5] & turned[lane - lane % 5 + (lane + 2) % 5])
            for lane in range(25)
        ]
        state[0] ^= constant
    return state


def _turned(lane: int, offset: int) -> int:
    return (lane << offset | lane >> (64 - offset)) & WORD


def _moves() -> tuple[tuple[int, int], ...]:
    """Where each lane goes, and by how many bits it is turned: the steps rho and pi."""
    moves = [(0, 0)] * 25
    x, y = 1, 0
    for step in range(24):
        target = y + 5 * ((2 * x + 3 * y) % 5)
        moves[x + 5 * y] = (target, (step + 1) * (step + 2) // 2 % 64)
        x, y = y, (2 * x + 3 * y) % 5
    return tuple(moves)


def _constants() -> tuple[int, ...]:
    """The step iota: bits of a shift register."""
    register, constants = 1, []
    for _ in range(ROUNDS):
        constant = 0
        for place in range(7):
            constant |= (register & 1) << ((1 << place) - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


MOVES = _moves()
CONSTANTS = _constants()
