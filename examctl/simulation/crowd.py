"""A crowd of participants on one event loop, with one ledger and one tally.

Everything a participant decides comes from ``seed`` and the identifier, never from the order in
which the event loop wakes people up.
"""

import asyncio
import random

from examctl.simulation.answering import UnknownQuestionTypeError
from examctl.simulation.ledger import Begin, End, Ledger
from examctl.simulation.line import OutOfPatienceError
from examctl.simulation.notes import now
from examctl.simulation.sitting import Behaviour, Credentials, GaveUpError, Sitting, Venue
from examctl.simulation.tally import Tally


async def sit(
    venue: Venue,
    people: list[Credentials],
    behaviour: Behaviour,
    seed: int,
    ledger: Ledger,
    tally: Tally,
) -> None:
    """Return when everybody has submitted or given up; the tally is current all the time."""
    ledger.write(Begin(now(), venue.delivery_id, seed, len(people)))
    async with asyncio.TaskGroup() as background:
        syncing = background.create_task(ledger.sync_for_ever())
        try:
            async with asyncio.TaskGroup() as crowd:
                for who in people:
                    rng = random.Random(f"{seed}/{who.identifier}")  # noqa: S311 - not a secret
                    one = Sitting(venue, who, behaviour, rng, ledger, tally)
                    crowd.create_task(_sit_one(one, tally))
            ledger.write(End(now(), "complete"))
        except asyncio.CancelledError:
            ledger.write(End(now(), "stopped"))
            raise
        finally:
            syncing.cancel()


async def _sit_one(sitting: Sitting, tally: Tally) -> None:
    try:
        await sitting.run()
    except GaveUpError as error:
        tally.gave_up[str(error)] += 1
    except OutOfPatienceError as error:
        tally.gave_up[f"out of patience: {error}"[:120]] += 1
    except UnknownQuestionTypeError as error:
        tally.gave_up[f"unknown question type {error}"] += 1
    tally.moved()
