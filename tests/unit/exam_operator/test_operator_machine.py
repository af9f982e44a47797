"""Whatever happens to a delivery, on one machine and in a cluster: what must hold always does."""

from tests.support import delivery_machine
from tests.support.cluster_machine import ClusterMachine
from tests.support.delivery_machine import DeliveryMachine


def test_whatever_happens_to_a_delivery() -> None:
    delivery_machine.run(DeliveryMachine, examples=100)


def test_whatever_happens_to_a_delivery_in_a_cluster() -> None:
    """And once everything that stood in the way is gone, the exam goes on."""
    delivery_machine.run(ClusterMachine, examples=100)
