"""What happens to Ray's own tables: its GCS and the Redis behind it are killed, stopped, and started again."""

import signal

import cluster_faults
import network_faults
import packet_faults
import process_faults
from fault import Fault
from process_faults import send


class Tables(Fault):
    """While it lasts nobody reads or writes what the nodes report; what is measured goes on."""

    settles_s = 40.0  # Ray's own clients come back at their own pace

    def __init__(self, cluster, rng, what, how):
        super().__init__(cluster, rng)
        self.what, self.how = what, how
        self.chosen = {"what": what, "how": how}
        self.whole = True
        # Redis is asked for what changes, and the GCS answers the rest by itself.
        self.unreported = set(cluster.present) if what == "gcs" else set()

    def inject(self):
        pids = self.cluster.gcs_pids() if self.what == "gcs" else self.cluster.redis_pids()
        send(pids, signal.SIGKILL if self.how == "kill" else signal.SIGSTOP)
        if self.how == "kill" and self.what == "redis":
            self.cluster.redis.wait()

    def heal(self):
        if self.how == "stop":
            send(self.cluster.gcs_pids() if self.what == "gcs" else self.cluster.redis_pids(), signal.SIGCONT)
        elif self.what == "redis":
            self.cluster.start_redis()
        self.cluster.start_gcs()  # a GCS whose Redis was away may have ended


# Of the others those that leave Ray itself alone.
SHARED_KINDS = {
    **{name: process_faults.KINDS[name] for name in ("kill-bridge", "kill-engine", "kill-ucx", "stop-bridge", "stop-engine", "stop-ucx")},
    **{name: network_faults.KINDS[name] for name in ("black-hole-pair", "slow-pair")},
    **{name: packet_faults.KINDS[name] for name in ("delay", "loss", "reorder", "duplicates")},
    **{name: cluster_faults.KINDS[name] for name in ("setting-tick", "setting-no-bandwidth", "setting-disabled")},
}
KINDS = {
    "kill-gcs": (Tables, {"what": "gcs", "how": "kill"}),
    "stop-gcs": (Tables, {"what": "gcs", "how": "stop"}),
    "kill-redis": (Tables, {"what": "redis", "how": "kill"}),
    "stop-redis": (Tables, {"what": "redis", "how": "stop"}),
    **SHARED_KINDS,
}
