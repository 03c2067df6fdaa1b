"""Reads the document of GET /api/v0/network_matrix, apart from the page's own reader."""

import json
import struct
import urllib.request
from array import array

import pace

TYPES = {"u8": "B", "u16": "H", "f32": "f"}


class Matrix:
    def __init__(self, data):
        magic, size = struct.unpack_from("<4sI", data)
        assert magic == b"NSM1"
        self.header = json.loads(data[8 : 8 + size])
        self.nodes = self.header["nodes"]
        self.layer = next(layer for layer in self.header["layers"] if layer["columns"])
        self.columns = {}
        for column in self.layer["columns"]:
            values = array(TYPES[column["type"]])
            begin = column["offset"]
            values.frombytes(data[begin : begin + values.itemsize * len(self.nodes) ** 2])
            self.columns[column["name"]] = values

    def edges(self, column):
        """(source, destination, state, reason, value) by node index, of every pair that has an edge."""
        n = len(self.nodes)
        for cell, value in enumerate(self.columns[column]):
            if (state := self.columns["state"][cell]) != 255:
                yield cell // n, cell % n, self.header["states"][state], self.header["reasons"][self.columns["reason"][cell]], value


def fetch(url, token, layer=0):
    request = urllib.request.Request(f"{url}api/v0/network_matrix?layer={layer}", headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=pace.hangs_after()) as answer:
        return Matrix(answer.read())
