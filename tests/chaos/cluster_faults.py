"""What people do to a cluster: nodes that come, go and move, settings, tokens, clocks; and strangers at its ports."""

import contextlib
import secrets
import socket
import threading
import time

import namespace
from chaos_cluster import HEAD, SHARED
from cluster import wait_until
from fault import Fault
from network_faults import DOOR, GCS, HTTP
from process_faults import ALL, KillNode

LATER_MS = 3_600_000


class Restarted(Fault):
    """A node whose bridge is started anew in another way while it lasts. All becomes good meanwhile, and again at healing."""

    good_meanwhile = True

    def __init__(self, cluster, rng, head=False):
        super().__init__(cluster, rng)
        self.node = HEAD if head else self.a_node()
        self.chosen = {"node": self.node}
        self.touch(self.node)
        self.may_end = {(self.node, program) for program in ALL}

    def inject(self):
        self.cluster.stop_bridge(self.node)
        self.change()
        self.cluster.start_bridge(self.node)

    def heal(self):
        self.cluster.stop_bridge(self.node)
        self.put_back()
        self.cluster.start_bridge(self.node)

    def change(self):
        raise NotImplementedError

    def put_back(self):
        raise NotImplementedError


class ClockOff(Restarted):
    """A clock that is ahead or behind."""

    def __init__(self, cluster, rng, offset_ms, head=False):
        super().__init__(cluster, rng, head)
        self.offset_ms = offset_ms
        self.chosen["offset_ms"] = offset_ms

    def change(self):
        self.cluster.more_environment[self.node] = {"NETSENSE_CLOCK_OFFSET_MS": str(self.offset_ms)}

    def put_back(self):
        del self.cluster.more_environment[self.node]


class Moved(Restarted):
    """A node that gets another address, and later its old one."""

    def change(self):
        self.move(self.lab.address(self.node), f"10.77.0.{self.node + 100}")

    def put_back(self):
        self.move(f"10.77.0.{self.node + 100}", self.lab.address(self.node))

    def move(self, old, new):
        for command in (["addr", "del", f"{old}/24"], ["addr", "add", f"{new}/24"]):  # the first of a network takes the others along
            self.lab.run(self.node, ["ip", *command, "dev", "e0"], check=True)
        self.cluster.node_ip[self.node] = new


class WrongToken(Restarted):
    """A bridge and its engine with another token: no node of this cluster."""

    good_meanwhile = False

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.absent = {self.node}
        self.cut_off(self.node)

    def change(self):
        self.file = self.cluster.directory / f"token-{self.node}"
        self.right = self.file.read_text()
        self.file.write_text(secrets.token_hex(16) + "\n")

    def put_back(self):
        self.file.write_text(self.right)


class Joined(Fault):
    """A node more, which leaves again at healing."""

    good_meanwhile = True

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.node = cluster.lab.nodes
        self.chosen = {"node": self.node}
        self.nodes = {self.node}
        self.may_end = {(self.node, program) for program in ALL}

    def inject(self):
        self.cluster.start_bridge(self.node)
        self.cluster.present.add(self.node)

    def heal(self):
        self.cluster.stop_bridge(self.node)
        self.cluster.present.discard(self.node)


class Forgotten(KillNode):
    """A node that dies is forgotten by hand, and comes back."""

    def heal(self):
        address = self.cluster.node_ip[self.node]

        def lost():
            return [node["node_id"] for node in (self.cluster.status() or {"lost_nodes": []})["lost_nodes"] if node["address"] == address]

        (node_id,) = wait_until(f"node {self.node} to be lost", lost, every=0.3)
        flags = ["--gcs-address", self.cluster.gcs_address, *self.cluster.gcs_token_flags(HEAD)]
        self.lab.run(HEAD, [self.cluster.bin / "netsense-bridge", "forget", node_id, *flags], env=self.cluster.environment, check=True)
        self.cluster.start_bridge(self.node)


class Setting(Fault):
    """A setting of the whole cluster is another while it lasts."""

    good_meanwhile = True

    def __init__(self, cluster, rng, name, value, whole=False):
        super().__init__(cluster, rng)
        self.setting, self.value = name, value
        self.chosen = {"name": name, "value": value}
        self.whole = whole
        if whole:
            self.good_meanwhile = False

    def inject(self):
        if not self.cluster.configure("set", self.setting, self.value):
            raise RuntimeError(f"the setting {self.setting} was not taken")

    def heal(self):
        words = ("set", self.setting, SHARED[self.setting]) if self.setting in SHARED else ("unset", self.setting)
        wait_until(f"{self.setting} to be as before", lambda: self.cluster.configure(*words))


class Rotated(Fault):
    """The token is changed on every node, and stays so; once, for soon after that it may not be. Nothing may be called bad for it."""

    good_meanwhile = True

    def inject(self):
        if self.cluster.rotated:
            return
        self.cluster.rotated = True
        for i in sorted(self.cluster.present):
            flags = [] if i == HEAD else ["--next", self.cluster.directory / f"token-{HEAD}"]
            command = [self.cluster.bin / "netsense-bridge", "token", "rotate", "--token-file", self.cluster.directory / f"token-{i}", *flags]
            self.lab.run(i, command, env=self.cluster.environment, check=True)

    def heal(self):
        pass


class Strangers(Fault):
    """Connections to a port from a node, all the time: silent, slow, of garbage, or closed at once. Nobody else may notice."""

    AT_ONCE = 120

    def __init__(self, cluster, rng, port, how, head=False):
        super().__init__(cluster, rng)
        self.port, self.how = port, how
        self.target = HEAD if head else self.a_node()
        self.source = rng.choice(sorted(self.others(self.target)))
        self.noise = rng.randbytes(400)
        self.chosen = {"target": self.target, "source": self.source, "port": port, "how": how}
        self.ended = threading.Event()
        self.made = 0

    def inject(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def heal(self):
        self.ended.set()
        self.thread.join()
        self.chosen["connections"] = self.made

    def run(self):
        namespace.enter(self.lab.namespace(self.source))
        address = (self.cluster.node_ip[self.target], self.port)
        opened: list[socket.socket] = []
        while not self.ended.is_set():
            if len(opened) >= self.AT_ONCE:
                opened.pop(0).close()
            with contextlib.suppress(OSError):
                opened.append(self.connect(address))
            for s in opened[::10] if self.how == "slow" else []:
                with contextlib.suppress(OSError):
                    s.send(b"G")
            time.sleep(0.01)
        for s in opened:
            s.close()

    def connect(self, address):
        s = socket.create_connection(address, timeout=1)
        self.made += 1
        first = {
            "garbage": self.noise,
            "http": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + self.noise,
            "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.noise,
        }.get(self.how, b"")
        s.send(first)
        return s


KINDS = {
    "clock-hour-ahead": (ClockOff, {"offset_ms": LATER_MS}),
    "clock-day-behind": (ClockOff, {"offset_ms": -24 * LATER_MS}),
    "clock-little-off": (ClockOff, {"offset_ms": 700}),
    "clock-head-behind": (ClockOff, {"offset_ms": -LATER_MS, "head": True}),
    "clock-head-ahead": (ClockOff, {"offset_ms": LATER_MS, "head": True}),
    "address-changed": (Moved, {}),
    "wrong-token": (WrongToken, {}),
    "node-joins": (Joined, {}),
    "node-forgotten": (Forgotten, {}),
    "token-rotated": (Rotated, {}),
    "setting-window": (Setting, {"name": "rtt_m", "value": "9"}),
    "setting-payload": (Setting, {"name": "rtt_payload_bytes", "value": "1024"}),
    "setting-tick": (Setting, {"name": "tick_ms", "value": "800"}),
    "setting-detail": (Setting, {"name": "metrics_detail", "value": "true"}),
    "setting-no-bandwidth": (Setting, {"name": "bw_enabled", "value": "false"}),
    "setting-disabled": (Setting, {"name": "enabled", "value": "false", "whole": True}),
    "setting-transports": (Setting, {"name": "transports", "value": "tcp", "whole": True}),
    "strangers-http-silent": (Strangers, {"port": HTTP, "how": "silent", "head": True}),
    "strangers-http-slow": (Strangers, {"port": HTTP, "how": "slow", "head": True}),
    "strangers-http-bodies": (Strangers, {"port": HTTP, "how": "http"}),
    "strangers-door-silent": (Strangers, {"port": DOOR, "how": "silent"}),
    "strangers-door-garbage": (Strangers, {"port": DOOR, "how": "garbage"}),
    "strangers-gcs-silent": (Strangers, {"port": GCS, "how": "silent", "head": True}),
    "strangers-gcs-http2": (Strangers, {"port": GCS, "how": "http2", "head": True}),
}
