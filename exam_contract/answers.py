"""Is this answer one the question allows? The same check for a browser, a script and a replay.

Returns the answer in its normal form, which is what is stored, digested and scored. ``None`` clears
an answer; a cleared answer is unanswered, which is never the same as wrong.
"""

import re
from typing import Any

from exam_contract.content import Item

Answer = Any
"""JSON by item type: str, list[str], dict[str, bool] or None."""

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}(,[0-9]{3})+")


class AnswerInvalid(ValueError):
    """The answer does not fit the item; the message says what would."""


def normal_answer(item: Item, answer: Answer) -> Answer:
    """The stored form of an answer. Raises AnswerInvalid."""
    return None if answer is None else _normal(item, answer)


def _normal(item: Item, answer: Answer) -> Answer:
    match item.type:
        case "single_best" | "script_concordance":
            return _one_of(_option_ids(item), answer)
        case "multiple_true_false":
            return _truths(_option_ids(item), answer)
        case "pick_n":
            return _some_of(_option_ids(item), answer, item.pick)
        case "numeric":
            return _number(answer)
        case "short_text" | "essay":
            return _text(answer, item.max_length)
        case _:
            return _normal_case(item, answer)


def _normal_case(item: Any, answer: Answer) -> Answer:
    match item.type:
        case "key_feature":
            return _some_of(_option_ids(item), answer, item.max_choices)
        case "hotspot":
            return _some_of([shape.id for shape in item.shapes], answer, item.pick)
        case "ordering":
            return _permutation(_option_ids(item), answer)
        case _:
            return _matches(item, answer)


def is_answered(answer: Answer) -> bool:
    """Whether a stored answer counts as answered (null, blank text, [] and {} do not)."""
    return bool(answer.strip() if isinstance(answer, str) else answer)


def _option_ids(item: Any) -> list[str]:
    return [option.id for option in item.options]


def _one_of(known: list[str], answer: Answer) -> str:
    if not isinstance(answer, str) or answer not in known:
        raise AnswerInvalid(f"send one option id, one of {', '.join(known)}")
    return answer


def _some_of(known: list[str], answer: Answer, most: int) -> list[str]:
    if not isinstance(answer, list) or any(not isinstance(choice, str) for choice in answer):
        raise AnswerInvalid("send a list of option ids")
    if len(set(answer)) != len(answer) or not set(answer) <= set(known):
        raise AnswerInvalid(f"send distinct option ids out of {', '.join(known)}")
    if len(answer) > most:
        raise AnswerInvalid(f"send at most {most} option ids")
    return sorted(answer)


def _truths(known: list[str], answer: Answer) -> dict[str, bool]:
    if not isinstance(answer, dict) or not set(answer) <= set(known):
        ids = ", ".join(known)
        raise AnswerInvalid(f"send an object of option id to true or false, out of {ids}")
    if any(not isinstance(truth, bool) for truth in answer.values()):
        raise AnswerInvalid("each statement is answered by true or false; leave it out otherwise")
    return {option: answer[option] for option in sorted(answer)}


def _permutation(known: list[str], answer: Answer) -> list[str]:
    if not isinstance(answer, list) or any(not isinstance(choice, str) for choice in answer):
        raise AnswerInvalid("send a list of option ids")
    if sorted(answer) != sorted(known):
        raise AnswerInvalid("send every option id exactly once, in order")
    return list(answer)


def _matches(item: Any, answer: Answer) -> dict[str, str]:
    prompts = {prompt.id for prompt in item.prompts}
    if not isinstance(answer, dict) or not set(answer) <= prompts:
        raise AnswerInvalid("send an object of prompt id to option id")
    return {prompt: _one_of(_option_ids(item), answer[prompt]) for prompt in sorted(answer)}


def _number(answer: Answer) -> str:
    if not isinstance(answer, str):
        raise AnswerInvalid('send the number as a string, for example "7.35"')
    text = answer.strip().replace("\N{MINUS SIGN}", "-")
    if text == "":
        return ""
    if _GROUPED.fullmatch(text):
        raise AnswerInvalid(
            f"{text} can be read in two ways; write {text.replace(',', '')} or use a point"
        )
    text = text.replace(",", ".")
    if not _DECIMAL.fullmatch(text):
        raise AnswerInvalid('send a decimal number as a string, for example "7.35"')
    return text


def _text(answer: Answer, most: int) -> str:
    if not isinstance(answer, str):
        raise AnswerInvalid("send text")
    if len(answer) > most:
        raise AnswerInvalid(f"send at most {most} characters; this has {len(answer)}")
    if "\x00" in answer or any(0xD800 <= ord(char) <= 0xDFFF for char in answer):
        raise AnswerInvalid("the text holds a character that cannot be stored")
    return answer
