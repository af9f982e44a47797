"""A short exam with every delivered item type, a shared vignette, an image and awkward texts."""

import base64
from typing import Any

from exam_contract.canonical import digest_bytes

IMAGE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 240" width="600" height="240">'
    b'<rect width="600" height="240" fill="#fdf3f3"/>'
    b'<path d="M0 150h90l12-18 14 18h24l8 10 12-110 14 134 10-34h40l22-34 24 34h330"'
    b' fill="none" stroke="#222" stroke-width="3"/></svg>'
)
DIGEST = digest_bytes(IMAGE)
MARKUP = "<img src=x onerror=\"document.title='broken'\"> & <b>not bold</b>"


def exam(**changes: Any) -> dict[str, Any]:
    """The exam as its author writes it; ``changes`` replace members."""
    return {
        "id": "page-test",
        "version": "1",
        "language": "en",
        "title": "Clinical reasoning, winter sitting",
        "instructions": "Answer every question.\nThere is no penalty for a wrong answer.",
        "review": {"show_score": "at_end"},
        "sections": [
            {"id": "ward", "title": "On the ward", "items": [1, 2, 3, 4]},
            {
                "id": "clinic",
                "title": "In the clinic",
                "instructions": "Write in short sentences.",
                "items": [5, 6, 7],
            },
        ],
        "stimuli": _STIMULI,
        "media": [
            {
                "digest": DIGEST,
                "media_type": "image/svg+xml",
                "data": base64.b64encode(IMAGE).decode(),
            }
        ],
        "items": _ITEMS,
    } | changes


def key() -> list[dict[str, Any]]:
    """The answer key of the exam."""
    return [
        {"type": "single_best", "item_id": 1, "correct": "B"},
        {
            "type": "multiple_true_false",
            "item_id": 2,
            "truths": {"A": True, "B": False, "C": True},
        },
        {"type": "pick_n", "item_id": 3, "correct": ["A", "D"]},
        {"type": "numeric", "item_id": 4, "value": "7.35", "tolerance": "0.01"},
        {"type": "short_text", "item_id": 5, "accepted": ["atrial fibrillation"]},
        {"type": "essay", "item_id": 6},
        {"type": "single_best", "item_id": 7, "correct": "A"},
    ]


def _options(*texts: str) -> list[dict[str, str]]:
    return [{"id": "ABCDEFG"[place], "text": text} for place, text in enumerate(texts)]


_STIMULI: list[dict[str, Any]] = [
    {
        "id": "collapse",
        "title": "A woman who collapsed",
        "text": "A 78-year-old woman collapsed in her kitchen without warning. She takes "
        "amlodipine only. Blood pressure 92/50 mmHg, oxygen saturation 97 % on air. A "
        "rhythm strip is taken.",
        "media": DIGEST,
        "alt": "Rhythm strip: one wide complex after a P wave, then a long flat line",
    }
]
_ITEMS: list[dict[str, Any]] = [
    {
        "type": "single_best",
        "id": 1,
        "stem": "Which is the most appropriate next step in her management?",
        "stimuli": ["collapse"],
        "options": _options(
            "Adenosine by rapid intravenous injection",
            "Transcutaneous pacing while transvenous pacing is arranged",
            "Amiodarone 300 mg over 20 minutes",
            "Observation and a 24-hour recording",
            "Thrombolysis with alteplase",
        ),
    },
    {
        "type": "multiple_true_false",
        "id": 2,
        "stem": "Which of these statements about complete heart block are true?",
        "stimuli": ["collapse"],
        "max_points": "3",
        "options": _options(
            "Atria and ventricles beat independently of each other.",
            "The QRS complex is always narrow.",
            "Inferior myocardial infarction can cause it, and it then often resolves by itself.",
        ),
    },
    {
        "type": "pick_n",
        "id": 3,
        "pick": 2,
        "stem": "Choose the two drugs that most often slow conduction through the AV node.",
        "max_points": "2",
        "options": _options("Verapamil", "Salbutamol", "Furosemide", "Bisoprolol", "Amoxicillin"),
    },
    {
        "type": "numeric",
        "id": 4,
        "stem": "A blood gas shows pCO₂ 40 mmHg and HCO₃⁻ 22 mmol/L. What is the pH, "
        "to two decimal places?",
        "unit": "pH units",
    },
    {
        "type": "short_text",
        "id": 5,
        "stem": "Which arrhythmia shows an irregularly irregular pulse and no P waves?",
    },
    {
        "type": "essay",
        "id": 6,
        "stem": "Explain to the patient’s daughter what a pacemaker does.",
        "max_points": "5",
        "max_length": 400,
    },
    {
        "type": "single_best",
        "id": 7,
        "stem": f"Text is shown as it is: {MARKUP}\nα → β ≥ 3",
        "options": _options(
            "As it is", "As markup", "ما هو العلاج الأنسب لهذه المريضة؟", f"Not like {MARKUP}"
        ),
    },
]
