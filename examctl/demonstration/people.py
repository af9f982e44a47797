"""A roster of invented people, the same for the same seed; some of them have more time.

Addresses end in ``example.org``, which nobody can own.
"""

import random

from exam_contract.people import Accommodation, RosterEntry

_GIVEN = (
    "Amélie", "Björn", "Chloé", "Deniz", "Elif", "Fátima", "Giorgos", "Hanna", "Ígor", "Jürgen",
    "Katarzyna", "Léa", "Mỹ Linh", "Noor", "Ólafur", "Paweł", "Quentin", "Renée", "Søren", "Tomáš",
    "Ürsel", "Vera", "Wanjiru", "Xiomara", "Yusuf", "Zoë", "Αλεξάνδρα", "Дмитро", "Անի", "Nguyễn",
)  # fmt: skip
_FAMILY = (
    "Aguilar", "Björnsdóttir", "Çelik", "Dąbrowska", "Eßer", "Fjeldstad", "García Núñez",
    "Håkansson", "Ivanova", "Jankowski", "Køhler", "Lefèvre", "Müller", "Nowak", "O’Brien",
    "Papadopoulos", "Quiñones", "Różycki", "Šimek", "Theodorou", "Uzun", "Vaughan-Smith", "Weiß",
    "Ximénez", "Yılmaz", "Żukowska", "van der Berg", "Mc Carthy", "d’Angelo", "Okonkwo",
)  # fmt: skip


def invent_roster(count: int, seed: int) -> list[RosterEntry]:
    """``count`` participants with distinct identifiers; every 25th has accommodations."""
    rng = random.Random(f"roster/{seed}")  # noqa: S311 - invented names need no cryptography
    return [_invent(number, rng) for number in range(1, count + 1)]


def _invent(number: int, rng: random.Random) -> RosterEntry:
    identifier = f"MX{100_000 + number * 37:06d}"
    accommodation = Accommodation()
    if number % 25 == 0:
        accommodation = Accommodation(time_multiplier="5/4", extra_seconds=300)
    return RosterEntry(
        identifier=identifier,
        name=f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}",
        email=f"{identifier.lower()}@example.org",
        accommodation=accommodation,
    )
