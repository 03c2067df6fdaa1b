"""A node's packets delayed, lost, reordered, doubled or corrupted, by a relay in its link."""

from fault import Fault


class Relayed(Fault):
    settles_s = 60.0  # what TCP sent again counts for 64 pings, and a bandwidth that failed rests some rounds

    def __init__(self, cluster, rng, **flags):
        super().__init__(cluster, rng)
        self.node = self.a_node()
        self.flags = [f"--{name.replace('_', '-')}={value}" if value is not True else f"--{name}" for name, value in flags.items()]
        self.flags.append(f"--seed={rng.randrange(1 << 30)}")
        self.chosen = {"node": self.node, "flags": self.flags}
        self.touch(self.node)
        if flags.get("repair"):  # UCX may end of such bytes, and wherever they come: that is why it is a process of its own
            self.may_end = {(node, "ucx") for node in cluster.present}
            self.blinks = {"ucx"}

    def inject(self):
        self.relay = self.lab.open_link(self.node, *self.flags)

    def heal(self):
        self.chosen["relay"] = self.lab.close_link(self.node, self.relay)


KINDS = {
    "delay": (Relayed, {"delay_ms": 30}),
    "long-delay": (Relayed, {"delay_ms": 1500}),
    "jitter": (Relayed, {"delay_ms": 5, "jitter_ms": 40}),
    "loss": (Relayed, {"lose": 0.03}),
    "heavy-loss": (Relayed, {"lose": 0.4}),
    "reorder": (Relayed, {"reorder": 0.1}),
    "duplicates": (Relayed, {"duplicate": 0.3}),
    "corruption": (Relayed, {"corrupt": 0.05}),
    "corruption-with-good-checksums": (Relayed, {"corrupt": 0.02, "repair": True}),
    "bad-line": (Relayed, {"delay_ms": 10, "jitter_ms": 20, "lose": 0.02, "reorder": 0.02, "duplicate": 0.02, "corrupt": 0.01}),
}
