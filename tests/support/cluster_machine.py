"""A delivery in any cluster that hypothesis can think of: pods that linger, nodes that are lost.

The simulated cluster raises when a second exam-client might hold the volume of the first, a running
one is ended without need, or a begun delivery is begun anew on an emptied volume.
"""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from exam_contract.delivery import Phase
from exam_contract.delivery_rules import effective_phase
from exam_operator.core.phases import NEEDS_CLIENT, data_lost
from tests.support.delivery_machine import DeliveryMachine, exists
from tests.support.simulated_cluster import SimulatedCluster
from tests.support.simulated_nodes import NODES

_HEALS_WITHIN_SECONDS = 120.0
own_or_any = st.sampled_from(["its own", *NODES])


class ClusterMachine(DeliveryMachine):
    """What happens to pods and nodes, beside all that happens to any delivery."""

    world: SimulatedCluster

    def __init__(self) -> None:
        super().__init__(SimulatedCluster())

    @rule()
    def kubelets_work(self) -> None:
        """With the operator down."""
        self.world._work()

    @exists
    @rule()
    def somebody_deletes_the_pod(self) -> None:
        self.world.delete_pod()

    @rule()
    def the_kubelet_evicts_the_pod(self) -> None:
        self.world.evict()

    @rule(which=own_or_any)
    def a_node_is_cut_off(self, which: str) -> None:
        for name in self._standing(which):
            self.world.cut(name)

    @rule(which=own_or_any)
    def a_node_loses_its_power(self, which: str) -> None:
        for name in self._standing(which):
            self.world.power_off(name)

    @rule(which=own_or_any, evicts=st.booleans())
    def a_node_is_declared_out_of_service(self, which: str, evicts: bool) -> None:
        for name in self._standing(which):
            self.world.declare_out_of_service(name, evicts=evicts)

    @rule(which=own_or_any)
    def a_node_is_deleted(self, which: str) -> None:
        for name in self._standing(which):
            self.world.delete_node(name)

    @rule(name=st.sampled_from(NODES))
    def a_node_comes_back(self, name: str) -> None:
        self.world.bring_back(name)

    def _standing(self, which: str) -> list[str]:
        """That node, where it is there; "its own" is the pod's."""
        pod = self.world.pod
        name = pod["spec"].get("nodeName") if pod is not None and which == "its own" else which
        return [name] if name in self.world.nodes else []

    @rule(full=st.booleans())
    def the_quota(self, full: bool) -> None:
        self.world.quota = full

    @rule(there=st.booleans())
    def the_image(self, there: bool) -> None:
        self.world.pullable = there

    @rule(altered=st.booleans())
    def the_keys(self, altered: bool) -> None:
        self.world.keys_altered = altered

    @exists
    @precondition(lambda self: self.world.volume)
    @rule(going=st.booleans())
    def the_claim_is_deleted_or_made_anew(self, going: bool) -> None:
        if going or self.world.pod is None:
            self.world.claim_going = going

    @rule(data=st.data())
    def the_volume_is_emptied(self, data: st.DataObject) -> None:
        """Seldom: little is left to go wrong afterwards."""
        if data.draw(st.integers(0, 5)) == 0:
            self.world.empty_volume()

    def teardown(self) -> None:
        """Everything is put right: where the data is there, the exam goes on; nothing hangs."""
        if self.world.stored is None:
            return
        self.world.heal()
        self.world.edit(paused=False)
        self.world.settle(_HEALS_WITHIN_SECONDS)
        if self.world.stored is not None:
            self._check_healed()

    def _check_healed(self) -> None:
        phase = effective_phase(self.stored)
        observed = self.world.look()
        assert observed is not None
        if phase not in NEEDS_CLIENT or data_lost(observed, phase, self.world.now):
            return
        emptied = self.world.file is None and phase is not Phase.PREPARING
        if self.world.claim_going or emptied:
            return  # a person must see to it
        assert self.world.exam() is not None, "no exam-client, and nothing in its way"
        assert self.stored.status.phase is not Phase.RECOVERING
