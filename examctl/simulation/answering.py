"""How a simulated participant answers: by ability where the key is known, by chance where not.

Pure: the question as the exam-client shows it, a key entry or None, and a random source decide.
Answers have the normal form of ``exam_contract.answers``, so that what is stored is what was sent.
"""

import random
from typing import Any

from exam_contract.answers import Answer
from exam_contract.keys import (
    EssayKey,
    KeyEntry,
    MultipleTrueFalseKey,
    NumericKey,
    PickNKey,
    ShortTextKey,
    SingleBestKey,
)

_ESSAYS = (
    "Erstlinientherapie ist die sofortige Gabe von Sauerstoff; danach wäre die Ursache zu klären.",
    "The β-blocker is stopped first → then fluids; potassium < 3.5 mmol/l is corrected.",
    "First the airway, then breathing and circulation.\nRe-assess every five minutes.",
    "Je commencerais par l'anamnèse, puis l'examen clinique et un ECG à 12 dérivations.",
)
Question = dict[str, Any]
"""A ``QuestionReply``."""


class UnknownQuestionTypeError(ValueError):
    """The exam-client shows a type that this simulator cannot sit."""


def draw_ability(rng: random.Random) -> float:
    """A participant's chance to know an answer: bell-shaped around 0.68."""
    return min(0.98, max(0.15, rng.gauss(0.68, 0.14)))


def choose(rng: random.Random, question: Question, key: KeyEntry | None, ability: float) -> Answer:
    """An answer to a question; right with the chance ``ability`` where the key is known."""
    if key is not None and rng.random() < ability:
        return _right(rng, key)
    return _guess(rng, question, key)


def _right(rng: random.Random, key: KeyEntry) -> Answer:
    match key:
        case SingleBestKey():
            return key.correct
        case MultipleTrueFalseKey():
            return {option: key.truths[option] for option in sorted(key.truths)}
        case PickNKey():
            return sorted(key.correct)
        case NumericKey():
            return key.value
        case ShortTextKey():
            return rng.choice(key.accepted) if key.accepted else rng.choice(_ESSAYS)[:80]
        case EssayKey():
            return rng.choice(_ESSAYS)
        case _:
            raise UnknownQuestionTypeError(key.type)


def _guess(rng: random.Random, question: Question, key: KeyEntry | None) -> Answer:
    options = [option["id"] for option in question.get("options") or []]
    match question["type"]:
        case "single_best":
            return rng.choice(options)
        case "multiple_true_false":
            return {option: rng.random() < 0.5 for option in sorted(options)}
        case "pick_n":
            return sorted(rng.sample(options, question["pick"]))
        case "numeric":
            return _near(rng, key.value if isinstance(key, NumericKey) else "5")
        case "short_text":
            return rng.choice(("", "weiß nicht", "I don’t know", "Ödem?"))
        case "essay":
            return rng.choice(_ESSAYS)[:40]
        case kind:
            raise UnknownQuestionTypeError(kind)


def _near(rng: random.Random, value: str) -> str:
    whole = int(value.split(".")[0] or "0") + rng.randint(1, 9)
    return f"{whole}.{rng.randint(0, 9)}"
