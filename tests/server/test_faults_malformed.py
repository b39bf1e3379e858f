"""A few hundred broken requests to all methods; `python -m bench.faults malformed` sends 10,000."""

from __future__ import annotations

from server_process import Server

from bench.faults import malformed
from bench.faults.serving import Server as Watched


def test_no_broken_request_is_the_servers_fault(server: Server) -> None:
    found = malformed.attack(Watched(server.address, server.process, server.log), 200, seed=1)
    assert found.done == 200
    assert found.forbidden == []
    assert len(found.codes) > 20  # methods
    assert malformed.good_call(server.address) == ["USED"] * 3
