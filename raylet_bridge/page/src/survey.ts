// One look over all cells of a layer: how many are in which state, and between which values a figure lies.

import { NO_EDGE, type Matrix } from "./matrix.ts";
import type { Metric } from "./metrics.ts";
import { isOk } from "./states.ts";

export interface Survey {
  edges: number;
  byState: Map<string, number>;
  slow: number; // of the OK ones
  /** Of OK edges; low > high when none has the figure. */
  low: number;
  high: number;
  withFigure: number;
}

export function survey(matrix: Matrix, metric: Metric): Survey {
  const counts = new Array<number>(256).fill(0);
  let low = Infinity;
  let high = -Infinity;
  let withFigure = 0;
  let slowInAll = 0;
  if (matrix.layer !== null) {
    const { state, slow, figures } = matrix.layer;
    const ok = matrix.states.findIndex(isOk);
    const column = metric.column === null ? null : figures[metric.column];
    for (let cell = 0; cell < state.length; ++cell) {
      counts[state[cell]!]!++;
      if (slow[cell] !== 0) ++slowInAll;
      if (column === null || state[cell] !== ok) continue;
      const value = column[cell]!;
      if (Number.isNaN(value)) continue;
      ++withFigure;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  const byState = new Map<string, number>();
  let edges = 0;
  for (let i = 0; i < NO_EDGE; ++i) {
    if (counts[i] === 0) continue;
    const name = matrix.states[i] ?? "UNKNOWN";
    byState.set(name, (byState.get(name) ?? 0) + counts[i]!);
    edges += counts[i]!;
  }
  return { edges, byState, slow: slowInAll, low, high, withFigure };
}
