"""A NetLab whose links can be taken apart: a relay of packets in a node's link, and what is in the middle."""

import contextlib
import subprocess
import sys
from pathlib import Path

import namespace
from netlab import LabError, NetLab, _ip, die_with_parent

RELAY = Path(__file__).with_name("packet_relay.py")


class ChaosLab(NetLab):
    @property
    def middle(self):
        """The namespace of the bridge, which all links of nodes end in."""
        return self._bridge

    def in_the_middle(self, arguments, **options):
        command = ["ip", "netns", "exec", self._bridge, *map(str, arguments)]
        return subprocess.Popen(command, preexec_fn=die_with_parent, **options)

    def unshape(self, i):
        """What any of shape, shape_sending, slow_down and lose_long did at node i."""
        for where, device in ((self.namespace(i), "e0"), (self._bridge, f"v{i}")):
            with contextlib.suppress(LabError):  # it had none
                self._tc(where, "qdisc", "del", "dev", device, "root")

    def open_link(self, i, *flags):
        """Puts a relay of packets into node i's link (packet_relay.py has the flags); close_link() takes it out."""
        self._offloads(i, False)
        _ip("-n", self._bridge, "link", "add", f"w{i}", "mtu", self.mtu, "type", "veth", "peer", "name", f"x{i}", "mtu", self.mtu)
        for device in (f"w{i}", f"x{i}"):
            _ip("-n", self._bridge, "link", "set", device, "addrgenmode", "none")
            _ip("-n", self._bridge, "link", "set", device, "up")
        namespace.inside(self._bridge, lambda: namespace.set_offloads(f"w{i}", False))
        command = [sys.executable, RELAY, f"v{i}", f"x{i}", *flags]
        relay = self.in_the_middle(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        if relay.stdout.readline() != "READY\n":
            raise LabError(f"the relay of node {i} did not begin")
        _ip("-n", self._bridge, "link", "set", f"v{i}", "nomaster")
        _ip("-n", self._bridge, "link", "set", f"w{i}", "master", "br0")
        return relay

    def close_link(self, i, relay):
        """What the relay counted."""
        _ip("-n", self._bridge, "link", "del", f"w{i}")
        _ip("-n", self._bridge, "link", "set", f"v{i}", "master", "br0")
        self._offloads(i, True)
        relay.terminate()
        return relay.communicate()[0].strip()

    def _offloads(self, i, on):
        namespace.inside(self.namespace(i), lambda: namespace.set_offloads("e0", on))
