#!/usr/bin/env python3
"""Forwards packets between two devices, and does to some of them what a bad network does: this kernel has no netem.

    packet_relay.py DEVICE DEVICE [--delay-ms 20] [--jitter-ms 5] [--lose 0.05] [--reorder 0.1] [--duplicate 0.1] [--corrupt 0.05]

Runs in the namespace of both devices, whose offloads the caller has taken off: what comes is what goes over a wire, with checksums. Each
share is of the IPv4 packets of each way; ARP passes as it is. A corrupted packet has a bit of its payload turned round, and its checksum
is as it was: a kernel drops it. With --repair the checksum is made right again, as by a switch whose memory is bad. Says READY when
packets are forwarded, and at SIGTERM how many it forwarded and spoiled.
"""

import argparse
import heapq
import itertools
import random
import select
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
PACKET_OUTGOING = 4
HELD_BACK_S = 0.005  # a packet that is overtaken


def open_device(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((name, ETH_P_ALL))
    s.setblocking(False)
    return s


def ones_complement_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def transport_part(packet):
    """Of an IPv4 packet of TCP or UDP that is whole: (begin of its transport header, of its payload, place of its checksum); else None."""
    if len(packet) < 34 or packet[12:14] != b"\x08\x00" or packet[20] & 0x3F or packet[21]:
        return None
    begin = 14 + 4 * (packet[14] & 15)
    protocol = packet[23]
    if protocol == socket.IPPROTO_TCP and len(packet) >= begin + 20:
        return begin, begin + 4 * (packet[begin + 12] >> 4), begin + 16
    if protocol == socket.IPPROTO_UDP and len(packet) >= begin + 8:
        return begin, begin + 8, begin + 6
    return None


def corrupted(packet, rng, repair):
    """The packet with one bit of its payload changed; None where it carries none."""
    where = transport_part(packet)
    end = 14 + struct.unpack_from(">H", packet, 16)[0] if where else 0
    if where is None or end > len(packet) or where[1] >= end:
        return None
    begin, payload, checksum = where
    changed = bytearray(packet)
    changed[rng.randrange(payload, end)] ^= 1 << rng.randrange(8)
    if repair:
        changed[checksum : checksum + 2] = b"\0\0"
        pseudo = bytes(changed[26:34]) + struct.pack(">BBH", 0, changed[23], end - begin)
        value = ~ones_complement_sum(pseudo + bytes(changed[begin:end])) & 0xFFFF
        struct.pack_into(">H", changed, checksum, value or 0xFFFF)
    return bytes(changed)


class Relay:
    def __init__(self, devices, arguments):
        self.sockets = [open_device(name) for name in devices]
        self.arguments = arguments
        self.rng = random.Random(arguments.seed)
        self.waiting = []  # (when, number, packet, socket)
        self.numbers = itertools.count()
        self.counts = dict.fromkeys(("forwarded", "lost", "reordered", "duplicated", "corrupted"), 0)

    def chance(self, share):
        return share > 0 and self.rng.random() < share

    def take(self, packet, out, now):
        a = self.arguments
        if packet[12:14] != b"\x08\x00":
            return self.send_at(now, packet, out)
        if self.chance(a.lose):
            self.counts["lost"] += 1
            return None
        if self.chance(a.corrupt) and (changed := corrupted(packet, self.rng, a.repair)):
            self.counts["corrupted"] += 1
            packet = changed
        when = now + (a.delay_ms + a.jitter_ms * self.rng.random()) / 1000
        if self.chance(a.reorder):
            self.counts["reordered"] += 1
            when += HELD_BACK_S
        if self.chance(a.duplicate):
            self.counts["duplicated"] += 1
            self.send_at(when, packet, out)
        return self.send_at(when, packet, out)

    def send_at(self, when, packet, out):
        heapq.heappush(self.waiting, (when, next(self.numbers), packet, out))

    def send_due(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            _, _, packet, out = heapq.heappop(self.waiting)
            try:
                out.send(packet)
                self.counts["forwarded"] += 1
            except OSError:
                self.counts["lost"] += 1  # the device is down, or its queue full: as a wire would

    def run(self):
        poll = select.poll()
        other = {}
        for here, there in (self.sockets, self.sockets[::-1]):
            poll.register(here, select.POLLIN)
            other[here.fileno()] = here, there
        print("READY", flush=True)
        while True:
            wait = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            for fd, _ in poll.poll(None if wait is None else wait * 1000):
                here, there = other[fd]
                for _ in range(64):
                    try:
                        packet, address = here.recvfrom(1 << 16)
                    except OSError:
                        break
                    if address[2] != PACKET_OUTGOING:
                        self.take(packet, there, time.monotonic())
            self.send_due(time.monotonic())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devices", nargs=2)
    for name in ("delay-ms", "jitter-ms", "lose", "reorder", "duplicate", "corrupt"):
        parser.add_argument(f"--{name}", type=float, default=0)
    parser.add_argument("--repair", action="store_true", help="make the checksum of a corrupted packet right")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    relay = Relay(arguments.devices, arguments)

    def end(*_):
        print(relay.counts, flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    relay.run()


if __name__ == "__main__":
    main()
