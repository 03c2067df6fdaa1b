"""Links, routes and addresses that are cut, filtered, slowed down or wrong."""

from chaos_cluster import HEAD
from fault import Fault
from netlab import LabError

DOOR, HTTP, GCS = 18590, 18591, 18592


class LinkDown(Fault):
    """A node's link is taken down, as when its cable is pulled."""

    def __init__(self, cluster, rng, head=False):
        super().__init__(cluster, rng)
        self.node = HEAD if head else self.a_node()
        self.chosen = {"node": self.node}
        self.cut_off(self.node)

    def inject(self):
        self.lab.cut(self.node)

    def heal(self):
        self.lab.mend(self.node)


class Flap(Fault):
    """A link that goes down and up again, twice a second."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.node = self.a_node()
        self.chosen = {"node": self.node}
        self.touch(self.node)
        self.settles_s = 45.0  # what TCP sent again meanwhile counts for 64 pings

    def inject(self):
        device = f"v{self.node}"
        loop = f"while :; do ip link set {device} down; sleep 0.2; ip link set {device} up; sleep 0.3; done"
        self.process = self.lab.in_the_middle(["bash", "-c", loop])

    def heal(self):
        self.process.kill()
        self.process.wait()
        self.lab.mend(self.node)


class Firewall(Fault):
    """Rules of nftables at nodes: {node: ["in|out MATCH drop|reject..."]}."""

    rules: dict[int, list[str]]

    def inject(self):
        for node, rules in self.rules.items():
            text = "table inet chaos {\n"
            for chain, hook in (("in", "input"), ("out", "output")):
                mine = [rule.partition(" ")[2] for rule in rules if rule.startswith(chain + " ")]
                text += f"chain {chain}_ {{ type filter hook {hook} priority 0;\n" + "\n".join(mine) + "\n}\n"
            done = self.lab.run(node, ["nft", text + "}"])
            if done.returncode != 0:
                raise LabError(f"nft: {done.stderr.strip()}\n{text}")

    def heal(self):
        for node in self.rules:
            self.lab.run(node, ["nft", "delete table inet chaos"])


class Cut(Firewall):
    """Packets from and to a node are lost without a word: both ways, or one."""

    def __init__(self, cluster, rng, ways=("in", "out"), head=False):
        super().__init__(cluster, rng)
        node = HEAD if head else self.a_node()
        self.chosen = {"node": node, "ways": ways}
        self.cut_off(node)
        self.rules = {node: [f'{way} meta {"i" if way == "in" else "o"}ifname "e0" drop' for way in ways]}


class CutPair(Firewall):
    """Two nodes that do not hear each other, or one of them the other."""

    def __init__(self, cluster, rng, ways=("in", "out"), head=False):
        super().__init__(cluster, rng)
        a, b = self.a_pair()
        if head:
            a = HEAD
            self.touch(b)  # its bridge cannot reach the GCS
            self.unreported = {b}
        self.chosen = {"pair": [a, b], "ways": ways}
        self.edges = {(a, b), (b, a)}
        self.block_edges(self.edges)
        self.rules = {b: [f"{way} ip {'saddr' if way == 'in' else 'daddr'} {self.lab.address(a)} drop" for way in ways]}


class Halves(Firewall):
    """The cluster in two halves that do not hear each other, or one of them the other."""

    def __init__(self, cluster, rng, ways=("in", "out")):
        super().__init__(cluster, rng)
        nodes = sorted(cluster.present)
        far = set(rng.sample(nodes[1:], len(nodes) // 2))  # without the head
        near = cluster.present - far
        self.chosen = {"far": sorted(far), "ways": ways}
        self.whole = True
        self.unreported = far
        self.block_edges({(x, y) for a, b in ((near, far), (far, near)) for x in a for y in b})
        matches = ", ".join(self.lab.address(i) for i in sorted(near))
        self.rules = {i: [f"{way} ip {'saddr' if way == 'in' else 'daddr'} {{ {matches} }} drop" for way in ways] for i in far}


class Bridge(Firewall):
    """Two halves that a third node joins: it hears both."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        nodes = sorted(cluster.present)
        far = set(rng.sample(nodes[1:], (len(nodes) - 1) // 2))
        near = cluster.present - far - {HEAD}  # the head is the one between
        self.chosen = {"far": sorted(far), "near": sorted(near)}
        self.edges = {(x, y) for a, b in ((near, far), (far, near)) for x in a for y in b}
        self.nodes = set(nodes) - {HEAD}  # half of the others may call a node unreachable
        self.block_edges(self.edges)
        matches = ", ".join(self.lab.address(i) for i in sorted(near))
        self.rules = {i: [f"in ip saddr {{ {matches} }} drop", f"out ip daddr {{ {matches} }} drop"] for i in far}


class Port(Firewall):
    """One port of a node is filtered, or refuses; new connections only, or every packet."""

    def __init__(self, cluster, rng, port, verdict="drop", only="", head=False):
        super().__init__(cluster, rng)
        node = HEAD if head else self.a_node()
        self.chosen = {"node": node, "port": port, "verdict": verdict, "only": only}
        if port == GCS:
            self.whole = True
            self.unreported = self.others(node)
        elif port == DOOR:
            self.touch(node)
            if not only:
                self.block_edges({(other, node) for other in self.others(node)}, "tcp")
        self.rules = {node: [f'in meta iifname "e0" tcp dport {port} {only} {verdict}']}


class BlackHole(Firewall):
    """Long packets are lost at a node and short ones pass."""

    settles_s = 60.0  # the bandwidth rests some rounds after it failed

    def __init__(self, cluster, rng, ways=("in", "out")):
        super().__init__(cluster, rng)
        node = self.a_node()
        self.chosen = {"node": node, "ways": ways}
        self.touch(node)
        self.rules = {node: [f'{way} meta {"i" if way == "in" else "o"}ifname "e0" meta length > 1000 drop' for way in ways]}


class Shaped(Fault):
    """A slow link: a node's, a node's sending, or a pair's; or one that loses what is long between two."""

    settles_s = 60.0

    def __init__(self, cluster, rng, what):
        super().__init__(cluster, rng)
        self.what = what
        self.pair = self.a_pair()
        self.node = self.pair[0]
        self.rate = f"{rng.choice([1, 4, 16])}mbit"
        self.chosen = {"what": what, "pair": self.pair, "rate": self.rate}
        if what in ("node", "sending"):
            self.touch(self.node)
        else:
            self.edges = {tuple(self.pair), tuple(self.pair[::-1])}
        if what == "long":
            self.no_stream = self.edges
            self.at_least_s = 45.0  # some rounds of bandwidth
            self.settles_s = 100.0  # what failed so often rests for seven more

    def inject(self):
        if self.what == "node":
            self.lab.shape(self.node, self.rate)
        elif self.what == "sending":
            self.lab.shape_sending(self.node, self.rate)
        elif self.what == "pair":
            self.lab.slow_down(*self.pair, self.rate)
        else:
            self.lab.lose_long(*self.pair, 1000)

    def heal(self):
        for node in self.pair:
            self.lab.unshape(node)


class Ip(Fault):
    """Commands of ip(8) in a node, and those that put it back."""

    def __init__(self, cluster, rng, commands, back, cuts=True, both=False, **more):
        super().__init__(cluster, rng)
        self.node, other = self.a_pair()
        names = {"mine": self.lab.address(self.node), "other": self.lab.address(other), "spare": f"10.77.0.{self.node + 100}"}
        self.commands = [command.format(**names).split() for command in commands]
        self.back = [command.format(**names).split() for command in back]
        self.chosen = {"node": self.node, "other": other, "commands": [" ".join(command) for command in self.commands]}
        if cuts == "pair":
            self.edges = {(self.node, other), (other, self.node)}
            self.block_edges(self.edges)
        elif cuts:
            self.cut_off(self.node)
        else:
            self.touch(self.node)
        if both:
            self.nodes = {self.node, other}
        for name, value in more.items():
            setattr(self, name, value)

    def inject(self):
        for command in self.commands:
            self.ip(command)

    def heal(self):
        for command in self.back:
            self.ip(command)

    def ip(self, command):
        done = self.lab.run(self.node, ["ip", *command])
        if done.returncode != 0:
            raise LabError(f"ip {' '.join(command)}: {done.stderr.strip()}")


NEW = "ct state new"  # and what goes on passes
KINDS = {
    "link-down": (LinkDown, {}),
    "link-down-head": (LinkDown, {"head": True}),
    "link-flaps": (Flap, {}),
    "cut": (Cut, {}),
    "cut-in": (Cut, {"ways": ["in"]}),
    "cut-out": (Cut, {"ways": ["out"]}),
    "cut-head": (Cut, {"head": True}),
    "cut-pair": (CutPair, {}),
    "cut-pair-one-way": (CutPair, {"ways": ["in"]}),
    "cut-from-head": (CutPair, {"head": True}),
    "halves": (Halves, {}),
    "halves-one-way": (Halves, {"ways": ["in"]}),
    "bridged-halves": (Bridge, {}),
    "door-filtered": (Port, {"port": DOOR}),
    "door-refuses": (Port, {"port": DOOR, "verdict": "reject with tcp reset"}),
    "door-admits-nobody-new": (Port, {"port": DOOR, "only": NEW}),
    "gcs-filtered": (Port, {"port": GCS, "head": True}),
    "gcs-refuses": (Port, {"port": GCS, "verdict": "reject with tcp reset", "head": True}),
    "http-filtered": (Port, {"port": HTTP}),
    "black-hole": (BlackHole, {}),
    "black-hole-one-way": (BlackHole, {"ways": ["in"]}),
    "black-hole-pair": (Shaped, {"what": "long"}),
    "slow-node": (Shaped, {"what": "node"}),
    "slow-sending": (Shaped, {"what": "sending"}),
    "slow-pair": (Shaped, {"what": "pair"}),
    "no-address": (Ip, {"commands": ["addr del {mine}/24 dev e0"], "back": ["addr add {mine}/24 dev e0"]}),
    # Whoever asks who has it hears two answers.
    "duplicate-address": (Ip, {"commands": ["addr add {other}/32 dev e0"], "back": ["addr del {other}/32 dev e0"], "cuts": "pair", "both": True}),
    "no-route": (Ip, {"commands": ["route add unreachable {other}/32"], "back": ["route del unreachable {other}/32"], "cuts": "pair"}),
    "route-into-nowhere": (Ip, {"commands": ["route add blackhole {other}/32"], "back": ["route del blackhole {other}/32"], "cuts": "pair"}),
    "wrong-neighbour": (
        Ip,
        {"commands": ["neigh replace {other} lladdr 02:00:00:00:00:99 dev e0 nud permanent"], "back": ["neigh del {other} dev e0"], "cuts": "pair"},
    ),
    "smaller-mtu": (Ip, {"commands": ["link set e0 mtu 600"], "back": ["link set e0 mtu 1500"], "cuts": False, "settles_s": 60.0}),
}
