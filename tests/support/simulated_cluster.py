"""The operator in a simulated cluster: what it sees of it, and what it may ask for.

It looks at the raw objects with its own eyes, so that what it sees may differ from what really
runs. What it must never do is an AssertionError, at once.
"""

import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

from exam_contract.delivery import END_PHASES, EndpointStatus, Phase
from exam_operator.cluster.looking import Looking
from exam_operator.cluster.memory import Known
from exam_operator.core import commands as c
from exam_operator.core import names, planning, sightings
from exam_operator.core.manifests import GRACE_SECONDS
from exam_operator.core.recovery import HUNG_GRACE_SECONDS
from exam_operator.core.world import (
    Child,
    Observed,
    Secret,
    SecretState,
    Trouble,
    Volume,
    VolumeState,
)
from tests.support.pretend_exam import PretendExam
from tests.support.simulated_nodes import NODES, SimulatedNodes

Json = dict[str, Any]
SUSPICION = timedelta(seconds=10)
_NOTHING = cast("Any", None)


@dataclass
class SimulatedCluster(SimulatedNodes):
    """``quota``: whether no pod can be made just now."""

    quota: bool = False
    _known: Known = field(init=False)
    _pods: int = 0

    def __post_init__(self) -> None:
        self.forget()

    # what happens to it

    def forget(self) -> None:
        super().forget()
        if self.stored is not None:
            self._known = Known({}, self.stored)

    def heal(self) -> None:
        """Whatever stood in the way is gone."""
        for name in NODES:
            self.bring_back(name)
        self.hang(silent=False)
        self.quota = self.keys_altered = False
        self.pullable = self.coordinator_up = True
        self.forged = None

    # the truth

    def nothing_stands(self) -> bool:
        going = self.claim_going or self.quota or self.keys_altered
        return self.pod is None and not going and self._known.unstarted is None

    # what the operator sees

    def look(self) -> Observed | None:
        if self.stored is None:
            return None
        self._known.stored = self.stored
        seen = copy.deepcopy(self.pod)
        Looking(*(_NOTHING,) * 6, now=lambda: self.now).note_pod(self._known, seen)
        silent = sightings.is_running(self.pod) and self._answering() is None
        since = self._known.silent_since or self.now
        self._known.silent_since = since if silent else None
        self.exits = self._known.exits
        found = super().look()
        assert found is not None
        refused = self._known.refusal(self.now)
        return replace(found, unstarted=self._known.unstarted, refused=refused)

    def _answering(self) -> PretendExam | None:
        process, pod = self.process, self.pod
        if process is None or not process.runs or process.hangs or process.node in self.cut_off:
            return None
        shown = pod is not None and pod["metadata"]["uid"] == process.pod_uid
        return process.exam if shown and sightings.is_running(pod) else None

    def _seen_child(self) -> Child | None:
        if self.pod is None:
            return None
        since = self._known.silent_since
        suspect = since is not None and self.now - since >= SUSPICION
        name = self.pod["spec"].get("nodeName")
        asked = name is not None and (suspect or "deletionTimestamp" in self.pod["metadata"])
        trouble, lost = sightings.node_trouble(self.nodes.get(name)) if asked else (None, False)
        around = sightings.Around(EndpointStatus(), since, suspect, trouble, lost)
        return sightings.child(self.pod, around)

    def _seen_secret(self) -> Secret:
        if self.secret and self.keys_altered:
            return Secret(SecretState.DAMAGED, problem="other keys than the volume was made with")
        return super()._seen_secret()

    def _seen_volume(self) -> Volume:
        """What lies on it is not seen from outside."""
        state = VolumeState.PENDING_DELETION if self.claim_going else VolumeState.PRESENT
        return Volume(state, "exam-u") if self.volume else Volume()

    # what the operator asks for

    def _tell_child(self, command: c.Command) -> None:
        match command:
            case c.StartClient():
                self._create(command)
            case c.PutDesired(desired):
                exam = self._answering()
                if exam is not None:
                    exam.obey(desired)
            case c.StopClient(_, hung) if self.pod is not None:
                self._assert_may_stop(self.pod)
                self._ask_to_end(HUNG_GRACE_SECONDS if hung else GRACE_SECONDS)
            case _:
                pass

    def _create(self, wanted: c.StartClient) -> None:
        assert self.stored is not None
        if self.quota:
            self._known.unstarted = wanted.epoch
            told = Trouble("QuotaExceeded", "raise the quota")
            self._known.refused["StartClient"] = (told, self.now)
            return
        assert self.pod is None, "two pods of one delivery"
        assert self.exam() is None, "a second exam-client may hold the volume of the first"
        assert self.secret, "started without its keys"
        assert self.volume, "started without its volume"
        assert wanted.epoch > self.last_epoch, "an epoch was given twice"
        assert self.stored.status.epoch == wanted.epoch, "the epoch was not written before"
        assert wanted.expects_data or not self.begun, "a begun delivery is started as a new one"
        self.last_epoch, self._pods = wanted.epoch, self._pods + 1
        self._known.unstarted = self._known.silent_since = None
        self._known.refused.clear()
        self.pod = {
            "metadata": {
                "name": names.of(self.stored),
                "uid": f"pod-{self._pods}",
                "labels": {
                    names.EPOCH_LABEL: str(wanted.epoch),
                    names.DELIVERY_LABEL: self.stored.metadata.uid,
                },
                "annotations": {
                    names.TEMPLATE_ANNOTATION: planning.template_digest(self.stored.spec)
                },
            },
            "spec": {"expects": wanted.expects_data},
            "status": {"phase": "Pending"},
        }

    def _assert_may_stop(self, pod: Json) -> None:
        """What is seen to run ends by a person's wish, at the end of the data, or with its node."""
        assert self.stored is not None
        if not sightings.is_running(pod) or "deletionTimestamp" in pod["metadata"]:
            return
        status, there = self.stored.status, self.nodes.get(pod["spec"]["nodeName"])
        erased = status.phase is Phase.VALIDATED and self.file is not None
        assert (
            planning.restart_wanted(self.stored)
            or self.stored.metadata.deletion_timestamp is not None
            or status.phase in END_PHASES
            or (erased and self.file is not None and self.file.transfer == "erased")
            or sightings.node_trouble(there)[1]
        ), "a running exam-client was ended without need"

    def _destroy(self, command: c.DeleteSecret | c.DeleteVolume) -> None:
        """The edge refuses while a pod is there."""
        if self.pod is None:
            super()._destroy(command)
            self.claim_going = self.claim_going and self.volume
