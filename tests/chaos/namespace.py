"""A thread that enters a network namespace, and what it does to a device there."""

import array
import contextlib
import ctypes
import fcntl
import socket
import struct
import threading

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
# Segments and checksums that the sender leaves to the device: rx and tx checksums, scatter/gather, TSO, GSO, GRO (linux/ethtool.h).
_OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)


def enter(name):
    """This thread alone, until it enters another."""
    with open(f"/run/netns/{name}") as handle:
        if _libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {name}")


def inside(name, function):
    """What `function` gives, called in a thread that is in the namespace; with its exception."""
    result: list = []

    def run():
        try:
            enter(name)
            result.append((function(), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value


def set_offloads(device, on):
    """Called in the device's namespace. Without them, what leaves by it are packets as on a wire."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
        for command in _OFFLOADS:
            value = array.array("B", struct.pack("II", command, on))
            request = struct.pack("16sP", device.encode(), value.buffer_info()[0]).ljust(40, b"\0")
            with contextlib.suppress(OSError):  # one that this device does not have
                fcntl.ioctl(s.fileno(), _SIOCETHTOOL, request)
