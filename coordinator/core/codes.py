"""Access and takeover codes: drawn with full entropy, easy to read aloud, forgiving to type.

Twelve characters of Crockford's base 32 (60 bits) in three groups. What is hashed is the printed
form; what people type is brought to that form first.
"""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = 12, 4
RANDOM_BYTES = 8
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


def code(random_bytes: bytes) -> str:
    """The code of eight random bytes, such as ``7K2M-Q9XD-03VB``."""
    number = int.from_bytes(random_bytes[:RANDOM_BYTES], "big")
    drawn = "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_LENGTH))
    return _grouped(drawn)


def normal_code(typed: str) -> str:
    """The printed form of what somebody typed: case, spaces, hyphens and look-alikes forgiven."""
    bare = "".join(char for char in typed.upper() if char.isalnum()).translate(_LOOKALIKES)
    return _grouped(bare) if len(bare) == _LENGTH else typed


def _grouped(bare: str) -> str:
    return "-".join(bare[i : i + _GROUP] for i in range(0, len(bare), _GROUP))
