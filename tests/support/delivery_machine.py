"""A delivery in any world that hypothesis can think of: what must hold whatever happens.

The simulated world itself raises when a second exam-client is started, an epoch is given twice,
something is destroyed without a verified receipt, or a blank volume takes the place of data.
"""

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exam_contract.delivery import DISCARD_ANNOTATION, DesiredState, ExamDelivery, Phase
from exam_contract.delivery_rules import (
    data_validated,
    delete_allowed,
    effective_phase,
    update_violations,
)
from exam_operator.core import commands as c
from exam_operator.core import planning, recovery
from tests.support import deliveries
from tests.support.authority import Authority
from tests.support.receipts import signer
from tests.support.simulated_world import SimulatedWorld

_ORDER = [
    Phase.ASSIGNED,
    Phase.PREPARING,
    Phase.PREPARED,
    Phase.RUNNING,
    Phase.FINALISING,
    Phase.TRANSFERRING,
    Phase.VALIDATED,
    Phase.CLEANED_UP,
]
_ENDS = {Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED}
_FORGER = signer(Authority())


exists = precondition(lambda self: self.world.stored is not None)


class DeliveryMachine(RuleBasedStateMachine):
    """Rules are what people, networks and machines do; the operator turns in between."""

    def __init__(self, world: SimulatedWorld | None = None) -> None:
        super().__init__()
        self.world = world or SimulatedWorld()
        self.before = self.stored
        self.epoch = 0

    @property
    def stored(self) -> ExamDelivery:
        assert self.world.stored is not None
        return self.world.stored

    @initialize(
        bound=st.sampled_from([DesiredState.RUNNING, *DesiredState]),
        retention=st.sampled_from(["0s", "5m"]),
        policy=st.sampled_from(["Wait", "Replace"]),
        under_way=st.sampled_from([0, 30]),
    )
    def assign(self, bound: DesiredState, retention: str, policy: str, under_way: int) -> None:
        self.world.stored = deliveries.delivery(
            desiredState=bound,
            storage={"retention": retention},
            recovery={"nodeLossPolicy": policy},
        )
        self.world.settle(under_way)
        self.before, self.epoch = self.stored, self.stored.status.epoch

    @rule(seconds=st.sampled_from([0.05, 1, 10, 60, 600, 3600]))
    def time_passes(self, seconds: float) -> None:
        """With the operator down."""
        self.world.now += timedelta(seconds=seconds)

    @exists
    @rule(turns=st.integers(1, 12))
    def operator_works(self, turns: int) -> None:
        for _ in range(turns):
            self._turn()

    @exists
    @rule(lives=st.lists(st.integers(0, 6), min_size=1, max_size=4))
    def operator_is_killed_at_every_step(self, lives: list[int]) -> None:
        """Each life ends after so many commands, the last of which may be half of a plan."""
        for commands in lives:
            self._turn(dies_after=commands)

    def _turn(self, dies_after: int | None = None) -> None:
        wait = self.world.turn(dies_after)
        self._check_step()
        self.world.now += timedelta(seconds=max(wait, 0.01))
        self.world._work()

    @exists
    @rule()
    def operator_is_restarted(self) -> None:
        """All that was only in its memory is gone."""
        self.world.forget()

    @exists
    @rule()
    def exam_client_dies(self) -> None:
        self.world.crash()

    @exists
    @rule(silent=st.booleans())
    def exam_client_falls_silent(self, silent: bool) -> None:
        self.world.hang(silent=silent)

    @exists
    @rule()
    def somebody_begins(self) -> None:
        exam = self.world.exam()
        if exam is not None and self._window_is_open():
            exam.begin_attempt()

    @exists
    @rule()
    def somebody_submits(self) -> None:
        exam = self.world.exam()
        if exam is not None:
            exam.close_attempt()

    @rule(up=st.booleans())
    def coordinator(self, up: bool) -> None:
        self.world.coordinator_up = up

    @rule(forged=st.booleans())
    def receipts_are_forged(self, forged: bool) -> None:
        self.world.forged = _FORGER if forged else None

    @exists
    @rule(state=st.sampled_from(DesiredState))
    def a_person_edits(self, state: DesiredState) -> None:
        changed = deliveries.with_spec(self.stored, desiredState=state)
        if not update_violations(self.stored, changed.spec):
            self.world.stored = changed

    @exists
    @rule(paused=st.booleans())
    def a_person_pauses_the_operator(self, paused: bool) -> None:
        self.world.edit(paused=paused)

    @exists
    @rule(value=st.sampled_from(["1", "2", "3"]))
    def a_person_asks_for_a_restart(self, value: str) -> None:
        self.world.annotate(restart_requested_at=value)

    @exists
    @rule(image=st.sampled_from(["exam-client:2", "exam-client:3"]))
    def a_person_changes_the_image(self, image: str) -> None:
        self.world.edit(client={"image": image})

    @exists
    @rule()
    def a_person_deletes_the_delivery(self) -> None:
        """Where the door lets it pass."""
        discard = self.stored.metadata.annotations.get(DISCARD_ANNOTATION)
        if delete_allowed(self.stored, discard):
            self.world.delete()

    @exists
    @rule(data=st.data())
    def a_person_gives_the_data_up(self, data: st.DataObject) -> None:
        """Seldom: little is left to go wrong afterwards."""
        if data.draw(st.integers(0, 9)) == 0:
            self.world.annotate(discard_untransferred_data=deliveries.UID)

    @exists
    @precondition(lambda self: self.world.exam() is None)
    @rule()
    def the_volume_is_lost(self) -> None:
        self.world.lose_volume()

    @invariant()
    def paused_writes_nothing(self) -> None:
        observed = self.world.look()
        if observed is not None and observed.object.spec.paused:
            assert planning.plan(observed, self.world.now).commands == ()

    @invariant()
    def the_same_look_gives_the_same_plan(self) -> None:
        observed = self.world.look()
        if observed is not None:
            now = self.world.now
            assert planning.plan(observed, now) == planning.plan(observed, now)

    @invariant()
    def recovery_never_stops_while_running(self) -> None:
        """Whatever came before: with file and keys there, a successor is only a delay away."""
        observed = self.world.look()
        if observed is None or observed.object.spec.paused or not self.world.nothing_stands():
            return
        if observed.object.metadata.deletion_timestamp is not None:
            return
        if effective_phase(observed.object) is not Phase.RUNNING or self.world.file is None:
            return
        later = self.world.now + timedelta(seconds=recovery.LONGEST_DELAY_SECONDS)
        kinds = [type(one) for one in planning.plan(observed, later).commands]
        assert c.StartClient in kinds

    def _check_step(self) -> None:
        if self.world.stored is None:
            return
        old, new = self.before, self.stored
        self.before = new
        assert new.status.epoch >= self.epoch
        self.epoch = new.status.epoch
        self._check_forward(effective_phase(old), effective_phase(new))
        if new.status.phase is Phase.VALIDATED and old.status.phase is not Phase.VALIDATED:
            assert data_validated(new)
            assert self.world.forged is None or self._honest_receipt()

    def _check_forward(self, old: Phase, new: Phase) -> None:
        if old in _ENDS:
            assert new is old, "an end is an end"
        elif new in (Phase.ABORTED, Phase.FAILED):
            return
        elif _ORDER.index(new) < _ORDER.index(old):
            assert old in (Phase.FINALISING, Phase.TRANSFERRING)
            assert new is Phase.RUNNING, "the only way back is the rollback"

    def _honest_receipt(self) -> bool:
        observed = self.world.look()
        check = observed.receipt if observed is not None else None
        return check is not None and check.problem is None

    def _window_is_open(self) -> bool:
        window = self.stored.spec.window
        return window.opens_at <= self.world.now <= window.closes_at


def run(machine: type[DeliveryMachine], *, examples: int) -> None:
    """As many lives as that, of up to forty happenings each."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
