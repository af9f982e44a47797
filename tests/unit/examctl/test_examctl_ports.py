"""Ports of our own services lie where the kernel gives nobody else one by itself."""

import socket

from examctl import ports

LINUX_GIVES_FROM = 32_768


def test_free_ports_are_different_and_not_the_kernels_to_give() -> None:
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    assert max(found) < LINUX_GIVES_FROM
    assert all(ports.is_free(port) for port in found)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        assert not ports.is_free(server.getsockname()[1])
