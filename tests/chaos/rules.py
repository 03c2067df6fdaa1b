"""What must be so of every record. Each rule gives what violates it, in words that say when."""

from record import Edge, edges_of, number

# What a reader may add to an age without knowing: the document of a second before, and a tick on either side of the GCS.
READ_LATE_S = 1.0
# Of an edge that is not OK, none of these may be a number.
FIGURES = "rtt_ms rtt_p50_ms jitter_ms bw_mbps bw_p50_mbps bw_best_mbps network_rtt_ms network_rtt_p50_ms network_rtt_jitter_ms".split()
FAULTLESS = ("OK", "DEGRADED")  # of an edge that answers: a busy machine may lose a ping, and says so
# Of a process that lived all the time, from calm to calm.
MAX_MORE_DESCRIPTORS, MAX_MORE_THREADS, MAX_MORE_KB = 10, 10, 32 * 1024
LEAST_CALM_LOOKS = 40  # a younger process still grows to its size
# At any time: the limits that a service gets (docs/kubernetes.md, raylet_bridge/systemd).
MOST_DESCRIPTORS, MOST_KB = 1024, 512 * 1024

# An engine whose bridge was killed waits for the next one (deadlines::kNextBridge), and ends.
NEXT_BRIDGE_S = 13.0

# A stream fails three times, in a round each, before it counts; a figure's life is three rounds. What each try may take is on top.
ROUNDS_UNTIL_TOLD, FAILED_TRIES_S = 1.5, 8.0

# A ping is answered within that, or lost.
ANSWER_S = 1.0

# What can be read whatever is done to the cluster, and after how long at the latest.
NEVER_SILENT, LONGEST_GAP_S = ("processes",), 20.0

# A UCX child that crashed is started again after half a second, and one that crashes again after the double.
BLINK_S = 8.0

# Beyond this a clock is off (raylet_bridge/cluster/topology.cc), with two ticks to spare.
CLOCK_OFF_MS = 15_000

RULES: list = []


def rule(function):
    RULES.append(function)
    return function


def late(record, begin, end):
    """By how much a look may be behind: the readers' part, and as long as the machine stood still."""
    tick = int(record.begin["settings"]["tick_ms"]) / 1000
    return READ_LATE_S + 2 * tick + 0.5 * record.scale + record.still_between(begin, end)


def seen_blocked(record):
    """(fault, edge, since): each look at an edge whose answers cannot come, and the moment from which that is so."""
    for fault in record.faults:
        unreported = set(fault.says["unreported"])
        for line in record.documents + record.of("engine"):
            # One that was asked while it lasted, and answered when it was over, may say either.
            if not fault.injected < line["t"] <= line["t"] + line["took"] < fault.heal:
                continue
            of_engine = line["kind"] == "engine"
            for edge in edges_of_engine(record, line) if of_engine else edges_of(line):
                after = fault.blocked_after(edge.src, edge.dst, edge.transport)
                if edge.src in unreported and not of_engine:
                    after = 0.0
                if after is not None and edge.t > fault.injected + after * record.scale:
                    yield fault, edge, fault.injected + after * record.scale


def edges_of_engine(record, line):
    """As the engine itself has them; of nodes whose number is known."""
    for path in line["paths"]:
        node_id, _, rest = path["path_id"].partition("/")
        dst = record.node_of_id.get(node_id)
        if dst is None:
            continue
        age = path["last_ok_age_ms"]
        values = {"last_ok_age_ms": None if age is None or int(age) < 0 else int(age)}
        yield Edge(line["t"], "engine", line["node"], dst, rest.partition("/")[0], path["state"].removeprefix("PATH_STATE_"), values)


def words(edge):
    return f"{edge.t:.1f} s: {edge.source} says {edge.src} -> {edge.dst} over {edge.transport} {edge.state}"


@rule
def ok_implies_an_answer(record):
    """OK implies an answer of that node within the edge's life."""
    life = record.begin["ttl_ms"] / 1000
    for fault, edge, since in seen_blocked(record):
        allowed = life + late(record, since, edge.t)
        if edge.state == "OK" and edge.t - since > allowed:
            yield f"{words(edge)}, {edge.t - since:.1f} s after {fault.name} ({fault.id}) took every answer away; a life is {allowed:.1f} s"


@rule
def no_figure_without_ok(record):
    """What is not OK has no figure."""
    for edge in record.edges():
        if edge.state != "OK":
            figures = [name for name in FIGURES if edge.values.get(name) is not None]
            if figures:
                yield f"{words(edge)}, with {', '.join(figures)}"


@rule
def ok_has_a_figure(record):
    """What is OK has a round trip, and says how old it is."""
    for edge in record.edges():
        if edge.state == "OK" and (edge.values["rtt_p50_ms"] is None or edge.values["rtt_age_ms"] is None):
            yield f"{words(edge)}, without a round trip or its age"


@rule
def no_figure_is_older_than_it_says(record):
    """A figure is never older than it says: none is from after the moment when its answers were taken away."""
    for fault, edge, since in seen_blocked(record):
        if "at least" in edge.values.get("reason", ""):
            continue  # who reads the GCS itself, once, knows no more, and says so
        for name in ("rtt_age_ms", "last_ok_age_ms", "bw_age_ms"):
            age = edge.values.get(name)
            if age is None:
                continue
            least = edge.t - since - late(record, since, edge.t)
            if age / 1000 < least:
                yield f"{words(edge)}, {name} {age}; since {fault.name} ({fault.id}) took every answer away it is {edge.t - since:.1f} s"


@rule
def no_figure_outlives_its_life(record):
    """A bandwidth is shown for as long as it counts, and no longer: also where nobody measures any more."""
    for edge in record.edges():
        if edge.values.get("bw_p50_mbps") is not None:
            age, life = edge.values["bw_age_ms"], edge.values["bw_life_ms"] or 0
            if age is None or age > life + 1000 * READ_LATE_S:
                yield f"{words(edge)}, a bandwidth of {age} ms ago, which counts for {life} ms"


@rule
def a_stream_that_cannot_pass_is_told(record):
    """Where pings pass and streams do not, the edge is not OK once some rounds of bandwidth have failed."""
    for fault in record.faults:
        for line in record.topologies:
            t = line["t"]
            if not fault.injected < t < fault.heal:
                continue
            for edge in edges_of(line):
                if [edge.src, edge.dst] not in fault.says.get("no_stream", ()) or edge.transport != "tcp":
                    continue
                told_within = ROUNDS_UNTIL_TOLD * (edge.values["bw_life_ms"] or 0) / 1000 + FAILED_TRIES_S * record.scale
                if edge.state == "OK" and t - fault.injected > told_within + late(record, fault.injected, t):
                    yield f"{words(edge)}, {t - fault.injected:.1f} s after {fault.name} ({fault.id}) took all long packets away"


@rule
def a_node_that_is_gone_is_told(record):
    """A node that ended without saying so stays in the list of nodes, or of those that are lost."""
    for fault in record.faults:
        for line in record.topologies:
            if fault.injected < line["t"] < fault.heal:
                value = line["value"]
                told = {number(node["address"]) for node in value["nodes"] + value["lost_nodes"]}
                for node in set(fault.says.get("vanished", ())) - told:
                    yield f"{line['t']:.1f} s: nothing is told of node {node}, which {fault.name} ({fault.id}) ended"


@rule
def no_figure_grows_younger(record):
    """A figure that nobody measured anew is as old as before and the time since."""
    last: dict = {}
    for edge in record.edges():
        values = edge.values
        if edge.source != "topology" or values.get("pings_sent") is None or values.get("last_ok_age_ms") is None:
            continue
        key = (values["src_node_id"], edge.engine, values["dst_node_id"], edge.transport, values.get("rail"))
        count, born = values["pings_sent"], edge.t - values["last_ok_age_ms"] / 1000
        if key not in last or last[key][0] != count:
            last[key] = (count, born, edge.t)
        elif born - last[key][1] > late(record, last[key][2], edge.t) + ANSWER_S * record.scale:  # the last one sent may be answered yet
            yield f"{words(edge)}, last_ok_age_ms {values['last_ok_age_ms']}: {born - last[key][1]:.1f} s younger than before, without a ping"
        elif born < last[key][1]:
            last[key] = (count, born, edge.t)


@rule
def totals_are_of_what_is_listed(record):
    """The totals of a document are of its own edges and nodes, and each pair of nodes has an edge."""
    for line in record.documents:
        value, edges = line["value"], line["value"]["edges"]
        ok = sum(edge["state"] == "OK" for edge in edges)
        if value["num_ok_edges"] != ok or value["num_edges"] != len(edges):
            yield f"{line['t']:.1f} s: {line['kind']} counts {value['num_ok_edges']} of {value['num_edges']} edges OK, and lists {ok} of {len(edges)}"
        pairs = {(edge["src_node_id"], edge["dst_node_id"]) for edge in edges}
        alive = [node["node_id"] for node in value["nodes"] if node["alive"]]
        missing = [(src, dst) for src in alive for dst in alive if src != dst and (src, dst) not in pairs]
        if missing:
            yield f"{line['t']:.1f} s: {line['kind']} has no edge for {len(missing)} pairs of nodes"


@rule
def no_budget_is_exceeded(record):
    """No more pings than one a tick on a path, no more bandwidth probes than one a slot; descriptors and memory within a service's limits."""
    settings = record.begin["settings"]
    first: dict = {}
    tick, slot = int(settings["tick_ms"]) / 1000, int(settings["bw_slot_ms"]) / 1000
    for line in record.of("engine"):
        for path in line["paths"]:
            key = (line["node"], line["pid"], path["path_id"])
            for name, every in (("pings_sent", tick), ("bandwidth_probes", slot)):
                count = int(path[name] or 0)
                begun, before = first.setdefault((key, name), (line["t"], count))
                if count < before:  # the path was taken away and came back
                    first[(key, name)] = line["t"], count
                    continue
                most = 1.1 * (line["t"] + line["took"] - begun) / every + 3
                if count - before > most:
                    yield f"{line['t']:.1f} s: node {line['node']} sent {count - before} {name} on {path['path_id'][:8]} in {line['t'] - begun:.1f} s: {most:.0f} at most"
    for line in record.of("processes"):
        for node, program, pid, _, kb, _, descriptors in line["alive"]:
            if descriptors > MOST_DESCRIPTORS or kb > MOST_KB:
                yield f"{line['t']:.1f} s: {program} {pid} of node {node} has {descriptors} descriptors and {kb} kB"


@rule
def who_is_not_touched_stays_good(record):
    """One node that is cut off blackens no other: what no fault touches answers, is reachable, and is not lost. Where a process that
    sessions share may end of what another node sends, they may stop for a moment, once at either end."""
    bad_since: dict = {}
    for line in record.topologies:
        t, begin = line["t"], line["t"] - 10 * record.scale
        if t < record.good_at or record.still_between(begin, t) > record.begin["ttl_ms"] / 1000:
            continue
        for edge in edges_of(line):
            name = (edge.src, edge.dst, edge.transport)
            if edge.state in FAULTLESS or record.excused(edge.src, edge.dst, t):
                bad_since.pop(name, None)
            elif t - bad_since.setdefault(name, t) > BLINK_S * record.scale or not record.may_blink(edge.transport, t):
                yield f"{words(edge)}: {edge.values['reason']}; no fault touches it"
        for node in line["value"]["nodes"]:
            i = number(node["address"])
            if (node["state"] != "OK" or not node["reachable"]) and not record.excused_node(i, t):
                yield f"{t:.1f} s: node {i} is {node['state']}, reachable {node['reachable']}: {node['reason']}; no fault touches it"
        for node in line["value"]["lost_nodes"]:
            if not record.excused_node(number(node["address"]), t):
                yield f"{t:.1f} s: node {number(node['address'])} is LOST: {node['reason']}; no fault touches it"


@rule
def the_head_answers(record):
    """The head's API answers whenever no fault touches the head."""
    for line in record.of("topology"):
        moments = (line["t"], line["t"] + line["took"])  # a fault may begin while it is asked
        if "error" in line and line["t"] > record.good_at and not any(record.excused_node(1, t) for t in moments):
            yield f"{line['t']:.1f} s: no topology: {line['error']}"


@rule
def all_is_good_again(record):
    """All is good again within the stated time after a fault has ended, by answers from after that; or, where the fault says so, meanwhile."""
    for fault in record.faults:
        # Of two at once all is good when both are over, and their limits pass.
        beside = [other for other in record.faults if other.inject <= fault.healed and fault.inject <= other.healed]
        begin = max(other.healed for other in [fault, *beside] if other.healed < float("inf") or other is fault)
        settles_s = max(other.says["settles_s"] for other in [fault, *beside])
        for what, since, until, good, asked in (
            ("again", begin, float("inf"), fault.good_again, fault.healed < float("inf")),
            ("meanwhile", fault.injected, fault.heal, fault.good_meanwhile, fault.says["good_meanwhile"]),
        ):
            if not asked:
                continue
            last = min(until, record.lines[-1]["t"])
            limit = settles_s * record.scale + record.still_between(since, min(good, last))
            if min(good, last) - since > limit or good == float("inf"):
                shown = "never" if good == float("inf") else f"after {good - since:.1f} s"
                yield f"{since:.1f} s: all good {what} {shown}, with {fault.name} ({fault.id}) {fault.says['chosen']}; {limit:.1f} s are allowed"


@rule
def a_clock_that_is_off_is_told(record):
    """A node's reason says that its clock is off where it is, and no node's does otherwise."""
    for line in record.topologies:
        t = line["t"]
        off = [fault for fault in record.faults if abs(fault.says["chosen"].get("offset_ms", 0)) > CLOCK_OFF_MS]
        told = [number(node["address"]) for node in line["value"]["nodes"] if "clock" in node["reason"]]
        named = {fault.says["chosen"]["node"] for fault in off if fault.in_force(t)}
        wrongly = [] if 1 in named else sorted(set(told) - named)  # of a head that is off it is told of the others
        for node in wrongly:
            yield f"{t:.1f} s: the clock of node {node} is called off, and is not"
        # Of a head it is told of the others.
        for fault in off if not told else []:
            if fault.good_meanwhile <= t < fault.heal:
                yield f"{t:.1f} s: nobody tells of a clock that is off, with {fault.name} ({fault.id}) {fault.says['chosen']}"


@rule
def nobody_ends_unasked(record):
    """No process ended but those that were killed, or that follow from a fault."""
    before: dict = {}
    seen: dict = {}
    for line in record.of("processes"):
        t, alive = line["t"], {(node, program, pid, begun) for node, program, pid, begun, *_ in line["alive"]}
        for process in before.get("alive", set()) - alive:
            node, program, pid, _ = process
            if seen[process] < 2:
                continue  # a child that had not become what it was started for
            asked = [fault for fault in record.faults if [node, program] in fault.says["may_end"]]
            last = NEXT_BRIDGE_S * record.scale
            if not any(fault.inject <= t and before["t"] <= max(fault.good_again, fault.healed + last) for fault in asked):
                yield f"{before['t']:.1f} to {t:.1f} s: {program} {pid} of node {node} ended, which no fault asked for"
        for process in alive:
            seen[process] = seen.get(process, 0) + 1
        before = {"t": t, "alive": alive}


@rule
def nothing_leaks(record):
    """What lived from the first half of the calm moments to the last quarter never again had as little there as at its most before."""
    looks: dict = {}
    for line in record.of("processes"):
        if line["t"] > record.good_at and record.calm(line["t"]):
            for node, program, pid, begun, *counts in line["alive"]:
                looks.setdefault((node, program, pid, begun), []).append(counts)
    for (node, program, pid, _), counts in looks.items():
        if len(counts) < LEAST_CALM_LOOKS:
            continue
        half, quarter = len(counts) // 2, len(counts) // 4
        for place, name, most in ((0, "kB", MAX_MORE_KB), (1, "threads", MAX_MORE_THREADS), (2, "descriptors", MAX_MORE_DESCRIPTORS)):
            first, last = max(count[place] for count in counts[:half]), min(count[place] for count in counts[-quarter:])
            if last - first > most:
                yield f"{program} {pid} of node {node}: {first} {name} at most in the first half, {last} at least in the last quarter"


@rule
def the_record_is_whole(record):
    """There is something to judge: the nemesis came to its end, and each reader was answered."""
    if not record.ended:
        yield "the record has no end"
    for kind in ("topology", "status", "engine", "metrics", "healthz", "processes"):
        times = [line["t"] for line in record.of(kind) if "error" not in line]
        if not times:
            yield f"nothing of {kind} was ever read"
            continue
        last = record.lines[-1]["t"]
        for before, after in zip(times, [*times[1:], last], strict=True):
            if after - before > LONGEST_GAP_S * record.scale + record.still_between(before, after) and kind in NEVER_SILENT:
                yield f"nothing of {kind} was read from {before:.1f} to {after:.1f} s"
