"""The ring through n of some nodes whose worst link is best: the bottleneck travelling salesman problem, by thresholds.

A ring whose links are all worth at least t exists if and only if the directed graph of those links has a cycle of n nodes (Edmonds and
Fulkerson, "Bottleneck extrema", 1970; Garfinkel and Gilbert, "The bottleneck traveling salesman problem", 1978). So the best t is found
by halving the sorted list of all worths, and each question is a depth-first search for a cycle that remembers its dead ends.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

# Links that one search may look at. With m nodes beside the start, paths end in k * C(m, k) states, each with m - k links on: m * (m - 1) * 2**(m - 2)
# together, and 95,000 over all starts for 12 nodes, whose searches therefore all end by themselves.
_STEPS = 120_000


@dataclass(frozen=True, slots=True)
class Ring:
    order: tuple[int, ...]  # each sends to the next, the last to the first
    worst: float  # the least worth among its links
    exact: bool  # no ring has a better worst link; False = none was found within the search's limit


def best_ring(worth: Sequence[Sequence[float | None]], n: int) -> Ring | None:
    """The ring of `n` >= 2 nodes with the best worst link; None = there is none, or none was found.

    `worth[i][j]`: what the link from i to j is worth, more is better; None = no such link. Exact for up to 12 nodes, and beyond them
    wherever a search ends within its limit, as `exact` says.
    """
    levels = sorted({value for row in worth for value in row if value is not None})
    best: list[int] | None = None
    certain = True  # of the last level that no ring was found at
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2 if best else 0  # the loosest question first: is there a ring at all
        try:
            cycle, certain_here = _cycle(_links(worth, levels[middle]), n), True
        except _CutShort:
            cycle, certain_here = None, False
        if cycle is None:
            high, certain = middle, certain_here
        else:
            best = cycle
            low = bisect_right(levels, _worst(worth, cycle))
    return Ring(tuple(best), _worst(worth, best), certain) if best else None


class _CutShort(Exception):
    """A search reached its limit."""


def _worst(worth: Sequence[Sequence[float | None]], cycle: Sequence[int]) -> float:
    return min(cast(float, worth[a][b]) for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))


def _links(worth: Sequence[Sequence[float | None]], least: float) -> list[int]:
    """For each node the bit mask of those that it has a link to worth at least `least`."""
    return [sum(1 << j for j, value in enumerate(row) if j != i and value is not None and value >= least) for i, row in enumerate(worth)]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _reached(links: Sequence[int], start: int, allowed: int) -> int:
    """All that can be reached from `start` inside `allowed`, itself included."""
    seen = new = 1 << start
    while new:
        found = 0
        for node in _bits(new):
            found |= links[node]
        new = found & allowed & ~seen
        seen |= new
    return seen


def _cycle(links: Sequence[int], n: int) -> list[int] | None:
    """A cycle of n different nodes, or None: there is none. _CutShort: too many links were looked at."""
    back = [0] * len(links)
    for i, targets in enumerate(links):
        for j in _bits(targets):
            back[j] |= 1 << i
    left = (1 << len(links)) - 1
    steps = _STEPS + 4 * len(links) ** 2  # of many nodes, a path through all looks at half of the links
    for start in range(len(links)):
        # A cycle through `start` stays among what it reaches and what reaches it; without one, `start` is in no cycle that is still to be found.
        allowed = _reached(links, start, left) & _reached(back, start, left)
        if allowed.bit_count() >= n:
            cycle, steps = _cycle_through(links, start, allowed, n, steps)
            if cycle is not None:
                return cycle
        left &= ~(1 << start)
    return None


def _cycle_through(links: Sequence[int], start: int, allowed: int, n: int, steps: int) -> tuple[list[int] | None, int]:
    dead: set[tuple[int, int]] = set()  # (nodes on the path, its end) from which no cycle can be closed
    path, on_path = [start], 1 << start
    untried: list[list[int]] = []
    while path:
        if len(untried) < len(path):  # the path has just grown
            if len(path) == n and links[path[-1]] >> start & 1:
                return path, steps
            nexts: list[int] = []
            if len(path) < n and (on_path, path[-1]) not in dead:
                free = allowed & ~on_path
                # Those with the fewest ways on are taken first (Warnsdorff), as they are the hardest to visit later.
                nexts = sorted(_bits(links[path[-1]] & free), key=lambda node: (links[node] & free).bit_count(), reverse=True)
                steps -= len(nexts)
                if steps < 0:
                    raise _CutShort
            untried.append(nexts)
        if untried[-1]:
            path.append(untried[-1].pop())
            on_path |= 1 << path[-1]
        else:
            dead.add((on_path, path[-1]))
            untried.pop()
            on_path &= ~(1 << path.pop())
    return None, steps
