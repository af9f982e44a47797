"""How short texts compare: what a reader would call the same words is the same text."""

import unicodedata


def normal_text(text: str) -> str:
    """NFKC, case-folded, white space collapsed, outer punctuation dropped.

    Folding can undo NFKC (and the other way round), so both are applied until nothing changes.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).strip(" .,;:!?\"'")
