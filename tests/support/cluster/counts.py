"""How often recovery tests do what they do: few times by default, more for a proof."""

import os


def kills() -> int:
    """SIGKILLs of one exam-client's process."""
    return _count("MEDXAMION_E2E_KILLS", 5)


def pod_deletes() -> int:
    """Deletions of an exam-client's pod."""
    return _count("MEDXAMION_E2E_POD_DELETES", 2)


def operator_restarts() -> int:
    return _count("MEDXAMION_E2E_OPERATOR_RESTARTS", 5)


def applies() -> int:
    """Deliveries that are applied one after the other."""
    return _count("MEDXAMION_E2E_APPLIES", 3)


def every_transfer_state() -> bool:
    """Whether a transfer is interrupted in all of its states, and not in two."""
    return bool(os.environ.get("MEDXAMION_E2E_TRANSFER_STATES"))


def _count(name: str, few: int) -> int:
    return int(os.environ.get(name) or few)
