"""A small network of namespaces on one machine, for the demo and for the tests.

    with NetLab(nodes=3) as lab:
        lab.slow_down(2, 3, "200mbit")
        lab.run(1, ["ip", "addr"])

Node i is a network namespace with one device `e0`, address 10.77.0.i, joined to the others by a bridge in a namespace of its
own: nothing is added to the host's. With `rails`, it has devices r0, r1, ... too, address 10.78.R.i on rail R, each rail with a bridge
of its own and no way from one to another. Everything started in a node is killed, and every namespace removed, when the lab is closed,
also by an exception or a signal; processes die with the lab's own process even if that is killed.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import time

import pace

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For preexec_fn: the child gets SIGKILL when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class LabError(RuntimeError):
    pass


def _ip(*arguments):
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"ip {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def namespaces_allowed():
    """None when this process may make network namespaces, else why not."""
    name = f"netsense-try-{os.getpid()}"
    try:
        _ip("netns", "add", name)
        try:
            _ip("-n", name, "link", "set", "lo", "up")  # entering one needs more rights than making one
        finally:
            _ip("netns", "del", name)
        return None
    except (LabError, FileNotFoundError) as error:
        return str(error)


class NetLab:
    _made = 0

    def __init__(self, nodes=3, mtu=1500, rails=0):
        NetLab._made += 1
        self.rails = rails
        self.nodes = nodes
        self.mtu = mtu
        self._prefix = f"netsense-{os.getpid()}-{NetLab._made}"
        self._bridge = f"{self._prefix}-br"
        self._made_namespaces = []

    # ---- life

    def __enter__(self):
        try:
            self._make(self._bridge)
            for i in range(1, self.nodes + 1):
                self._make(self.namespace(i))
            self._join("br0", "e0", "v", self.address)
            for rail in range(self.rails):
                self._join(f"rail{rail}", f"r{rail}", f"r{rail}v", lambda i, rail=rail: self.rail_address(i, rail))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _join(self, bridge, device, far_end, address):
        """A device in each node, with an address, all on one bridge."""
        _ip("-n", self._bridge, "link", "add", bridge, "mtu", self.mtu, "type", "bridge")
        _ip("-n", self._bridge, "link", "set", bridge, "addrgenmode", "none")
        _ip("-n", self._bridge, "link", "set", bridge, "up")
        for i in range(1, self.nodes + 1):
            _ip("link", "add", device, "mtu", self.mtu, "netns", self.namespace(i), "type", "veth",
                "peer", "name", f"{far_end}{i}", "mtu", self.mtu, "netns", self._bridge)  # fmt: skip
            for namespace, end in ((self.namespace(i), device), (self._bridge, f"{far_end}{i}")):
                _ip("-n", namespace, "link", "set", end, "addrgenmode", "none")  # no IPv6, which would say things of its own accord
            _ip("-n", self._bridge, "link", "set", f"{far_end}{i}", "master", bridge, "up")
            _ip("-n", self.namespace(i), "addr", "add", f"{address(i)}/24", "dev", device)
            _ip("-n", self.namespace(i), "link", "set", device, "up")

    def _make(self, namespace):
        _ip("netns", "add", namespace)
        self._made_namespaces.append(namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")

    def close(self):
        deadline = time.monotonic() + pace.hangs_after(10)
        while self._pids() and time.monotonic() < deadline:
            for pid in self._pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
        for namespace in self._made_namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)
        self._made_namespaces = []

    def _pids(self, namespaces=None):
        pids = []
        for namespace in namespaces or self._made_namespaces:
            pids += [int(pid) for pid in _ip("netns", "pids", namespace).split()]
        return [pid for pid in pids if not self._is_zombie(pid)]

    @staticmethod
    def _is_zombie(pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    @staticmethod
    def _reap():
        """Leaves the exit codes of our own children to their Popen objects; only gives the killed ones a moment."""
        time.sleep(0.02)

    # ---- nodes

    def namespace(self, i):
        return f"{self._prefix}-{i}"

    @staticmethod
    def address(i):
        return f"10.77.0.{i}"

    @staticmethod
    def rail_address(i, rail):
        return f"10.78.{rail}.{i}"

    def packets(self, i, device):
        """That left node i by `device`, and that came."""
        stats = json.loads(_ip("-n", self.namespace(i), "-s", "-j", "link", "show", "dev", device))[0]["stats64"]
        return stats["tx"]["packets"], stats["rx"]["packets"]

    def route(self, i, *arguments):
        _ip("-n", self.namespace(i), "route", *arguments)

    def command(self, i, arguments):
        return ["ip", "netns", "exec", self.namespace(i), *map(str, arguments)]

    def popen(self, i, arguments, **options):
        """Starts a program in node i. Its pid is the program's own (`ip netns exec` becomes it)."""
        return subprocess.Popen(self.command(i, arguments), preexec_fn=die_with_parent, **options)

    def run(self, i, arguments, **options):
        options.setdefault("capture_output", True)
        options.setdefault("text", True)
        options.setdefault("timeout", 2 * pace.hangs_after())  # what runs there may have a limit of its own
        return subprocess.run(self.command(i, arguments), preexec_fn=die_with_parent, **options)

    def pids(self, i):
        return self._pids([self.namespace(i)])

    # ---- links

    def shape(self, i, rate, bucket_ms=4):
        """Everything into and out of node i at `rate` (tc syntax: "1gbit")."""
        self._tc(self.namespace(i), "qdisc", "replace", "dev", "e0", "root", *self._tbf(rate, bucket_ms))
        self._tc(self._bridge, "qdisc", "replace", "dev", f"v{i}", "root", *self._tbf(rate, bucket_ms))

    def stop_shaping(self, i):
        for namespace, device in ((self.namespace(i), "e0"), (self._bridge, f"v{i}")):
            self._tc(namespace, "qdisc", "del", "dev", device, "root")

    def slow_down(self, a, b, rate, others=None):
        """Only what passes between nodes a and b, both ways, at `rate`; what they send to others at `others`, if given."""
        self._between(a, b, self._tbf(rate), others and self._tbf(others))

    def _between(self, a, b, what, others):
        for src, dst in ((a, b), (b, a)):
            namespace = self.namespace(src)
            subprocess.run(["tc", "-n", namespace, "qdisc", "del", "dev", "e0", "root"], capture_output=True)  # of shape()
            self._tc(namespace, "qdisc", "add", "dev", "e0", "root", "handle", "1:", "htb", "default", "1")
            for number in ("1:1", "1:2"):
                self._tc(namespace, "class", "add", "dev", "e0", "parent", "1:", "classid", number, "htb", "rate", "100gbit", "quantum", "60000")
            self._tc(namespace, "qdisc", "add", "dev", "e0", "parent", "1:2", *what)
            self._tc(namespace, "filter", "add", "dev", "e0", "parent", "1:", "protocol", "ip", "u32",
                     "match", "ip", "dst", f"{self.address(dst)}/32", "flowid", "1:2")  # fmt: skip
            if others is not None:
                self._tc(namespace, "qdisc", "add", "dev", "e0", "parent", "1:1", *others)

    def shape_sending(self, i, rate):
        """What node i sends at `rate`; what it gets is left as it is."""
        self._tc(self.namespace(i), "qdisc", "replace", "dev", "e0", "root", *self._tbf(rate))

    def lose_long(self, a, b, longer_than):
        """Between nodes a and b, both ways, packets longer than so many bytes are lost, as where something on the way has a smaller MTU; shape() ends it."""
        self._between(a, b, ["tbf", "rate", "10gbit", "burst", longer_than, "limit", 1 << 20], None)

    def drop(self, i, match):
        """What comes in at node i and matches (nftables syntax: "meta length > 1500") is lost; stop_dropping() ends it."""
        for command in ("add table inet lab", "add chain inet lab in { type filter hook input priority 0; }", f"add rule inet lab in {match} drop"):
            done = self.run(i, ["nft", command])
            if done.returncode != 0:
                raise LabError(f"nft {command}: {done.stderr.strip()}")

    def stop_dropping(self, i):
        self.run(i, ["nft", "delete table inet lab"])

    def cut(self, i, rail=None):
        """Takes node i's link down, or the one to a rail; mend() brings it back."""
        self._set_link(i, rail, "down")

    def mend(self, i, rail=None):
        self._set_link(i, rail, "up")

    def _set_link(self, i, rail, state):
        _ip("-n", self._bridge, "link", "set", f"v{i}" if rail is None else f"r{rail}v{i}", state)

    def _tbf(self, rate, bucket_ms=4):
        # A timer that is later than the bucket is long loses tokens, and the link is slower than named. A bucket must hold a packet, and the
        # queue the longest ping: what is shaped is late, and not lost.
        number, unit = re.fullmatch(r"([\d.]+)([kmg]bit)", rate).groups()
        bytes_a_second = float(number) * {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}[unit] / 8
        bucket = max(round(bytes_a_second * bucket_ms / 1000), 2 * (self.mtu + 14))
        return ["tbf", "rate", rate, "burst", bucket, "limit", bucket + max(round(bytes_a_second * 0.05), 256 * 1024)]

    @staticmethod
    def _tc(namespace, *arguments):
        done = subprocess.run(["tc", "-n", namespace, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise LabError(f"tc {' '.join(map(str, arguments))}: {done.stderr.strip()}")
