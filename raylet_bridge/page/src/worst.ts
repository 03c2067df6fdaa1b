// The worst edges of a layer: first what is not OK, then what is slow beside its class, then the worst figures. One pass, and no list of all cells.

import type { Matrix } from "./matrix.ts";
import type { Metric } from "./metrics.ts";
import { isOk, lookOf } from "./states.ts";

// So many edges of one cause, and of one state, come before the first of a milder one is left out.
const A_CAUSE = 3;
const A_STATE = 6;
const BEFORE_ALL_FIGURES = 1e9; // what carries the mark comes before what does not

export interface WorstEdge {
  src: number; // indexes Matrix.nodes
  dst: number;
  cell: number;
}

export interface Worst {
  notOk: WorstEdge[];
  notOkInAll: number;
  slow: WorstEdge[];
}

/** Keeps the cells with the least keys. */
class Least {
  readonly cells: { cell: number; key: number }[] = [];
  constructor(readonly limit: number) {}

  add(cell: number, key: number): void {
    const { cells, limit } = this;
    if (cells.length === limit && key >= cells[limit - 1]!.key) return;
    let at = cells.length;
    while (at > 0 && cells[at - 1]!.key > key) --at;
    cells.splice(at, 0, { cell, key });
    if (cells.length > limit) cells.pop();
  }
}

/**
 * At most `limit` edges in all. What is not OK gets half of the places, or more where there are fewer slow ones: a dead
 * node of 512 must not push the one slow link from the list, nor one cause all others.
 */
export function worstEdges(matrix: Matrix, metric: Metric, keep: ((cell: number) => boolean) | null, limit: number): Worst {
  const none: Worst = { notOk: [], notOkInAll: 0, slow: [] };
  if (matrix.layer === null) return none;
  const { state, slow: marks, reason, figures } = matrix.layer;
  const n = matrix.nodes.length;
  const ranks = matrix.states.map((name) => lookOf(name).rank); // NaN: no fault
  const rank = (of: number) => (Number.isFinite(ranks[of]!) ? ranks[of]! : 99);
  const ok = matrix.states.findIndex(isOk);
  const column = metric.column === null ? null : figures[metric.column];
  const bad = new Least(limit);
  const slow = new Least(limit);
  const seen = new Map<number, number>(); // cause -> how many edges so far
  const first = new Array<number>(256).fill(0); // by state: how many that are among the first of their causes
  let notOkInAll = 0;
  for (let cell = 0; cell < state.length; ++cell) {
    const of = state[cell]!;
    if (keep !== null && !keep(cell)) continue;
    if (of === ok) {
      const value = column === null ? NaN : column[cell]!;
      const marked = marks[cell] !== 0;
      if (!Number.isNaN(value) || marked) slow.add(cell, (marked ? -BEFORE_ALL_FIGURES : 0) + (Number.isNaN(value) ? 0 : metric.lowIsWorse ? value : -value));
    } else if (of < ranks.length && Number.isFinite(ranks[of]!)) {
      ++notOkInAll;
      const cause = of * 65536 + reason[cell]!;
      const before = seen.get(cause) ?? 0;
      seen.set(cause, before + 1);
      let turn = Math.floor(before / A_CAUSE);
      if (turn === 0 && ++first[of]! > A_STATE) turn = 1;
      bad.add(cell, turn * 100 + rank(of));
    }
  }
  const edge = ({ cell }: { cell: number }): WorstEdge => ({ src: Math.floor(cell / n), dst: cell % n, cell });
  const slowPlaces = Math.min(slow.cells.length, Math.max(Math.ceil(limit / 2), limit - bad.cells.length));
  return {
    notOk: bad.cells
      .slice(0, limit - slowPlaces)
      .map(edge)
      .sort((a, b) => rank(state[a.cell]!) - rank(state[b.cell]!)),
    notOkInAll,
    slow: slow.cells.slice(0, slowPlaces).map(edge),
  };
}
