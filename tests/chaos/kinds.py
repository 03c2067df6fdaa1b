"""All kinds of fault by name: KINDS of a cluster without Ray, RAY_KINDS of one beside it."""

import cluster_faults
import network_faults
import packet_faults
import process_faults
import ray_faults
import shortage_faults

KINDS: dict = {
    **process_faults.KINDS,
    **network_faults.KINDS,
    **packet_faults.KINDS,
    **shortage_faults.KINDS,
    **cluster_faults.KINDS,
}


RAY_KINDS = ray_faults.KINDS


def make(name, cluster, rng):
    kind, options = (KINDS | RAY_KINDS)[name]
    return kind(cluster, rng, **options)
