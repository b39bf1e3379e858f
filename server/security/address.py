"""Whether an address is of this machine alone."""

from __future__ import annotations

import ipaddress


def is_local(address: str) -> bool:
    """Of a host, or of a gRPC target such as ``127.0.0.1:50051``, ``[::1]:50051``, ``unix:PATH``.

    A name other than localhost is not: what it resolves to may change.
    """
    address = address.removeprefix("dns:///").removeprefix("ipv4:").removeprefix("ipv6:")
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address
    if address.startswith("["):
        host = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        host = address.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
