"""A whole world around one delivery in memory: the third edge, under a clock that tests move.

It watches itself: whatever the operator must never do is an AssertionError here, at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    END_PHASES,
    EndpointStatus,
    ExamDelivery,
    ExamDeliveryStatus,
    Phase,
    PodStatus,
)
from exam_contract.delivery_rules import data_validated, delete_allowed
from exam_contract.registration import RegistrationReply
from exam_contract.results import Receipt
from exam_contract.trust import Signed
from exam_operator.adapters.signatures import check_receipt
from exam_operator.core import commands as c
from exam_operator.core import planning
from exam_operator.core.world import (
    Child,
    Exit,
    Key,
    Observed,
    Registered,
    Secret,
    SecretState,
    Volume,
    VolumeState,
)
from tests.support import deliveries
from tests.support.authority import Authority
from tests.support.pretend_exam import File, PretendExam
from tests.support.receipts import signer

KEY = Key("default", "morning")


@dataclass
class Running:
    """The exam-client that runs."""

    exam: PretendExam
    uid: str
    template: str
    ready: bool = False
    stopping_since: datetime | None = None
    silent_since: datetime | None = None


@dataclass
class SimulatedWorld:
    """``observe`` and ``apply`` for the core; everything else for tests."""

    stored: ExamDelivery | None = field(default_factory=deliveries.delivery)
    now: datetime = deliveries.NOON
    authority: Authority = field(default_factory=Authority)
    coordinator_up: bool = True
    client_starts_ready: bool = True
    signs: bool = True
    forged: Callable[[Receipt], Signed] | None = None
    child: Running | None = None
    last_epoch: int = 0
    dead_child: Child | None = None
    file: File | None = None
    secret: bool = False
    volume: bool = False
    answers_lost: bool = False
    exits: list[Exit] = field(default_factory=list)
    registered: Registered = field(default_factory=Registered)
    applied: list[c.Command] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)

    # the edge

    def all_keys(self) -> Iterable[Key]:
        return [KEY] if self.stored is not None else []

    async def observe(self, key: Key) -> Observed | None:
        return self.look()

    async def apply(self, key: Key, command: c.Command) -> None:
        self.obey(command)

    # a turn of the loop without a loop

    def turn(self, dies_after: int | None = None) -> float:
        """Look, plan, obey; returns when to look again. ``dies_after``: so many commands."""
        observed = self.look()
        if observed is None:
            return 60.0
        plan = planning.plan(observed, self.now)
        for command in plan.commands[:dies_after]:
            self.obey(command)
        if dies_after is not None:
            self.forget()
        return plan.requeue_seconds

    def forget(self) -> None:
        """The operator is restarted: all that was only in its memory is gone."""
        self.registered = Registered()

    def settle(self, seconds: float = 30.0) -> None:
        """Let the clock run, with a turn whenever the plan asks for one."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            wait = self.turn()
            self.now = min(end, self.now + timedelta(seconds=max(wait, 0.01)))
            self._work()

    def until(self, phase: Phase, seconds: float = 300.0) -> None:
        """Let the clock run until the phase is reached."""
        end = self.now + timedelta(seconds=seconds)
        while self.stored is None or self.stored.status.phase is not phase:
            assert self.now < end, f"still {self.stored and self.stored.status.phase}"
            wait = self.turn()
            self.now += timedelta(seconds=max(wait, 0.01))
            self._work()

    # what happens to it

    def crash(self, *, reason: str = "Signal:SIGKILL") -> None:
        if self.child is not None:
            self._end(reason)

    def hang(self, *, silent: bool) -> None:
        """It answers nobody, or does so again."""
        if self.child is not None:
            self.child.silent_since = self.now if silent else None

    def exam(self) -> PretendExam | None:
        """The exam-client that really runs, whoever knows of it."""
        return None if self.child is None else self.child.exam

    def nothing_stands(self) -> bool:
        """Whether a successor has its place free."""
        return self.child is None

    def edit(self, **spec: object) -> None:
        assert self.stored is not None
        self.stored = deliveries.with_spec(self.stored, **spec)

    def annotate(self, **annotations: str) -> None:
        assert self.stored is not None
        self.stored = deliveries.with_annotations(self.stored, **annotations)

    def delete(self) -> None:
        assert self.stored is not None
        meta = self.stored.metadata.model_copy(update={"deletion_timestamp": self.now})
        self.stored = self.stored.model_copy(update={"metadata": meta})

    def lose_volume(self) -> None:
        self.answers_lost = self.file is not None and self.file.started > 0
        self.volume, self.file = False, None

    def look(self) -> Observed | None:
        if self.stored is None:
            return None
        exam = self._answering()
        client = None if exam is None else exam.status(self.now)
        shown = client.transfer.receipt if client is not None else None
        return Observed(
            object=self.stored,
            child=self._seen_child(),
            client=client,
            secret=self._seen_secret(),
            volume=self._seen_volume(),
            registered=self.registered,
            receipt=check_receipt(shown, self.authority.trust) if shown is not None else None,
            exits=tuple(self.exits[-16:]),
        )

    def obey(self, command: c.Command) -> None:
        self.applied.append(command)
        assert self.stored is not None
        match command:
            case c.WriteStatus(status):
                self._write(status)
            case c.RegisterDelivery(body):
                self.registered = replace(self.registered, sent=body, sent_at=self.now)
                self._coordinator_answers()
            case c.EnsureSecret():
                self.secret = True
            case c.EnsureVolume():
                assert not self.answers_lost, "a blank volume in place of answers"
                assert self.file is None, "a blank volume in place of data"
                self.volume = True
            case c.ReleaseObject():
                left = (self.secret, self.volume, self.exam())
                assert not any(left), "something is left behind"
                self.stored = None
            case c.DeleteSecret() | c.DeleteVolume():
                self._destroy(command)
            case _:
                self._tell_child(command)

    def _answering(self) -> PretendExam | None:
        child = self.child
        return None if child is None or child.silent_since is not None else child.exam

    def _tell_child(self, command: c.Command) -> None:
        if isinstance(command, c.StartClient):
            self._start(command.epoch)
            return
        child = self.child
        match command:
            case c.PutDesired(desired) if child is not None:
                child.exam.obey(desired)
            case c.StopClient() if child is not None:
                child.stopping_since = child.stopping_since or self.now
            case c.KillClient():
                assert child is not None
                assert child.silent_since is not None, "a living client was killed"
                self._end("Signal:SIGKILL")
            case _:
                pass

    def _write(self, status: ExamDeliveryStatus) -> None:
        assert self.stored is not None
        assert status.epoch >= self.stored.status.epoch, "the epoch went back"
        if status.phase in END_PHASES and self.stored.status.phase not in END_PHASES:
            self._assert_may_end()
        self.stored = self.stored.model_copy(update={"status": status})
        if not self.phases or self.phases[-1] is not status.phase:
            self.phases.append(status.phase)

    def _destroy(self, command: c.DeleteSecret | c.DeleteVolume) -> None:
        self._assert_may_destroy()
        if isinstance(command, c.DeleteSecret):
            self.secret = False
        else:
            self.volume, self.file = False, None

    # inside

    def _work(self) -> None:
        """Time passes for the exam-client and for a stop that was asked for."""
        child = self.child
        if child is None:
            return
        if child.stopping_since is not None and child.silent_since is None:
            self._end("Exit0", asked=True)
            return
        child.exam.content_ready = child.exam.content_ready or self.coordinator_up
        child.ready = child.ready or child.exam.content_ready
        sign = self.forged or signer(self.authority)
        child.exam.work(sign if self.coordinator_up and self.signs else None)

    def _start(self, epoch: int) -> None:
        assert self.child is None, "two exam-clients of one delivery"
        assert self.secret, "started without its keys"
        assert self.volume, "started without its volume"
        assert epoch > self.last_epoch, "an epoch was given twice"
        assert self.stored is not None
        assert self.stored.status.epoch == epoch, "the epoch was not written before the start"
        self.last_epoch = epoch
        fresh = self.file is None
        self.file = self.file or File()
        exam = PretendExam(1, self.stored.metadata.uid or "", epoch, self.file)
        exam.content_ready = (not fresh) and self.client_starts_ready
        exam.open_file()
        template = planning.template_digest(self.stored.spec)
        self.child = Running(exam, f"pod-{epoch}", template)
        self.dead_child = None

    def _end(self, reason: str, *, asked: bool = False) -> None:
        assert self.child is not None
        self.exits.append(Exit(self.now, self.child.ready, asked, reason))
        seen = self._seen_child()
        assert seen is not None
        self.dead_child = replace(seen, alive=False)
        self.child = None

    def _assert_may_destroy(self) -> None:
        assert self.stored is not None
        assert self.exam() is None, "deleted under a running exam-client"
        if data_validated(self.stored):
            return
        asked = self.stored.metadata.deletion_timestamp is not None
        assert asked, "erased without a verified receipt"
        discard = self.stored.metadata.annotations.get(DISCARD_ANNOTATION)
        assert delete_allowed(self.stored, discard), "erased without a verified receipt"

    def _assert_may_end(self) -> None:
        """With the coordinator's own receipt in the file, without an attempt, or given up."""
        assert self.stored is not None
        if self.stored.metadata.annotations.get(DISCARD_ANNOTATION) == self.stored.metadata.uid:
            return
        if self.file is None or not self.file.started:
            assert not self.answers_lost, "the loss of answers was passed over"
            return
        assert self.file.receipt is not None, "ended without a receipt"
        assert check_receipt(self.file.receipt, self.authority.trust).problem is None

    def _coordinator_answers(self) -> None:
        if not self.coordinator_up:
            self.registered = replace(self.registered, answers=False)
            return
        seen = self.registered.reply.epoch if self.registered.reply else 0
        sent = self.registered.sent.epoch if self.registered.sent else 0
        reply = RegistrationReply(delivery_id=1, epoch=max(seen, sent), trust=self.authority.trust)
        self.registered = replace(self.registered, reply=reply, answers=True)

    def _seen_child(self) -> Child | None:
        child = self.child
        if child is None:
            return self.dead_child
        return Child(
            epoch=child.exam.epoch,
            pod=PodStatus(name="client", uid=child.uid),
            endpoint=EndpointStatus(internal="http://client", public="http://client"),
            alive=True,
            template=child.template,
            stopping_since=child.stopping_since,
            unanswered_since=child.silent_since,
            live_probe_failed=child.silent_since is not None,
        )

    def _seen_secret(self) -> Secret:
        state = SecretState.PRESENT if self.secret else SecretState.ABSENT
        return Secret(state, "sha256:" + "0" * 64 if self.secret else None)

    def _seen_volume(self) -> Volume:
        if not self.volume:
            return Volume()
        return Volume(VolumeState.PRESENT, "volume", holds_data=self.file is not None)
