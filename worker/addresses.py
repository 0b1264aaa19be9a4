"""Which internet addresses a stranger's link may lead to: public ones, and nothing of the operator's own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

# IANA's special-purpose registries, and what else is named. `ipaddress.is_global` is not used: on Python 3.11
# it lets NAT64 and 6to4 through, which lead back to IPv4 addresses.
IPV4_NOT_PUBLIC = [
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform, public only by its looks
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4, RFC 7526
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
# All that is allocated for the internet; outside are loopback, link-local, unique local, multicast, IPv4 in
# IPv6 (::/96, ::ffff:0:0/96) and NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_IPV6_PUBLIC = IPv6Network("2000::/3")
IPV6_NOT_PUBLIC = [
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3ffe::/16",  # the 6bone, given back: RFC 3701
        "3fff::/20",
    )
]
# ISATAP, RFC 5214: under any prefix, the interface 0:5efe or 200:5efe is a tunnel to an IPv4 address.
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}


def is_address(host: str) -> bool:
    """Whether a host is no name, but an IP address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether a resolved address belongs to the public internet.

    Raises:
        ValueError: It is no IP address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return not any(parsed in block for block in IPV4_NOT_PUBLIC)
    # A scope ("fe80::1%eth0") names an interface of this machine.
    return (
        parsed.scope_id is None
        and parsed in _IPV6_PUBLIC
        and not any(parsed in block for block in IPV6_NOT_PUBLIC)
        and int(parsed) >> 32 & 0xFFFF_FFFF not in _ISATAP
    )
