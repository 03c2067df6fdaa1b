// What is not OK, grouped by state and reason; and the filter that a group stands for.

import type { Matrix } from "./matrix.ts";
import { isOk, lookOf } from "./states.ts";

export interface Group {
  state: string;
  reason: string;
  count: number;
}

/** A reason without its times and counts, so that one cause is one group. */
export function wordReason(reason: string): string {
  return reason.replace(/\d+(\.\d+)?(?= (?:ns|us|µs|ms|s|min|h)\b)/g, "…").replace(/\d+ of (the last )?\d+/g, "… of $1…");
}

/** Worst states first, then the most frequent reason. */
export function groupReasons(matrix: Matrix): Group[] {
  if (matrix.layer === null) return [];
  const { state, reason } = matrix.layer;
  const counts = new Map<number, number>();
  for (let cell = 0; cell < state.length; ++cell) {
    const of = state[cell]!;
    if (of >= matrix.states.length || isOk(matrix.states[of]!)) continue;
    const key = of * 65536 + reason[cell]!;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const groups = new Map<string, Group>();
  for (const [key, count] of counts) {
    const name = matrix.states[Math.floor(key / 65536)]!;
    const words = wordReason(matrix.reasons[key % 65536] ?? "");
    const known = groups.get(`${name} ${words}`);
    if (known) known.count += count;
    else groups.set(`${name} ${words}`, { state: name, reason: words, count });
  }
  const rank = (group: Group) => (Number.isFinite(lookOf(group.state).rank) ? lookOf(group.state).rank : 99);
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || b.count - a.count || a.reason.localeCompare(b.reason));
}

/** Which cells a filter lets through; null: it lets all through. */
export function filterCells(matrix: Matrix, state: string, reason: string): ((cell: number) => boolean) | null {
  const layer = matrix.layer;
  if (layer === null || state === "") return null;
  const wanted = matrix.states.indexOf(state);
  const reasons = reason === "" ? null : matrix.reasons.map((each) => wordReason(each) === reason);
  return (cell) => layer.state[cell] === wanted && (reasons === null || reasons[layer.reason[cell]!] === true);
}
