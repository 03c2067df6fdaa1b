// What the heat map draws: one metric of one layer, the nodes in an order, with their names.

import { age } from "base/web/format.ts";
import type { Matrix, MatrixNode } from "./matrix.ts";
import { metricOf, type Metric } from "./metrics.ts";
import { filterCells } from "./reasons.ts";
import type { Scale } from "base/web/scale.ts";
import { makeScale } from "./round_scale.ts";
import { isFault, isOk } from "./states.ts";
import { survey, type Survey } from "./survey.ts";
import type { View } from "./view.ts";

export interface Board {
  matrix: Matrix;
  metric: Metric;
  survey: Survey;
  scale: Scale | null;
  /** Place on the map -> index in Matrix.nodes. */
  order: Uint32Array;
  /** By index in Matrix.nodes. */
  labels: string[];
  keep: ((cell: number) => boolean) | null;
}

const collator = new Intl.Collator("en", { numeric: true });

/** Host names where they tell nodes apart, else addresses. */
export function labelsOf(nodes: MatrixNode[]): string[] {
  const names = new Set(nodes.map((node) => node.hostname));
  const telling = names.size === nodes.length && !names.has("");
  return nodes.map((node) => (telling ? node.hostname : node.address || node.hostname || node.node_id.slice(0, 8)));
}

/** "10.0.0.7 (gpu-7)". */
export function fullName(node: Pick<MatrixNode, "address" | "hostname">): string {
  return node.hostname === "" || node.hostname === node.address ? node.address : `${node.address} (${node.hostname})`;
}

function byName(labels: string[]): Uint32Array {
  return Uint32Array.from(labels.keys()).sort((a, b) => collator.compare(labels[a]!, labels[b]!));
}

function byWorst(matrix: Matrix, metric: Metric, scale: Scale | null): Uint32Array {
  const n = matrix.nodes.length;
  const badness = new Float64Array(n);
  if (matrix.layer !== null) {
    const { state, figures } = matrix.layer;
    const fault = matrix.states.map(isFault);
    const ok = matrix.states.findIndex(isOk);
    const column = metric.column === null ? null : figures[metric.column];
    for (let src = 0, cell = 0; src < n; ++src)
      for (let dst = 0; dst < n; ++dst, ++cell) {
        const of = state[cell]!;
        let bad = 0;
        if (fault[of])
          bad = 1.5; // worse than the worst figure
        else if (of === ok && column !== null && scale !== null && !Number.isNaN(column[cell]!)) bad = scale.place(column[cell]!);
        badness[src]! += bad;
        badness[dst]! += bad;
      }
  }
  return Uint32Array.from(badness.keys()).sort((a, b) => badness[b]! - badness[a]! || a - b);
}

/** Makes boards; keeps the order by worst while the same thing is looked at, so that rows do not jump while one reads. */
export class BoardMaker {
  #key = "";
  #order: Uint32Array = new Uint32Array();

  make(matrix: Matrix, view: View): Board {
    const metric = metricOf(view.metric);
    const found = survey(matrix, metric);
    const scale = metric.column === null ? null : makeScale(found.low, found.high, metric.lowIsWorse, metric.logarithmic);
    const labels = labelsOf(matrix.nodes);
    const key = [view.sort, view.sort === "worst" ? `${view.layer} ${view.metric}` : "", ...matrix.nodes.map((node) => node.node_id), ...labels].join("\n");
    if (key !== this.#key) {
      this.#key = key;
      this.#order = view.sort === "worst" ? byWorst(matrix, metric, scale) : byName(labels);
    }
    return { matrix, metric, survey: found, scale, order: this.#order, labels, keep: filterCells(matrix, view.state, view.reason) };
  }
}

/** The edge in words, for whoever cannot see the colour: names, figure, age, state and reason. */
export function tellCell(board: Board, src: number, dst: number): string[] {
  const { matrix, metric } = board;
  const layer = matrix.layer;
  const lines = [`${fullName(matrix.nodes[src]!)} → ${fullName(matrix.nodes[dst]!)}`];
  if (src === dst) return [...lines, "the node itself: not measured"];
  const cell = src * matrix.nodes.length + dst;
  const state = layer === null ? undefined : matrix.states[layer.state[cell]!];
  if (layer === null || state === undefined) return [...lines, "no path between these two in this layer"];
  if (isOk(state) && metric.column !== null) {
    const value = layer.figures[metric.column][cell]!;
    lines.push(`${metric.label}: ${Number.isNaN(value) ? "not measured" : metric.show(value)}`);
  }
  const reason = matrix.reasons[layer.reason[cell]!] ?? "";
  const mark = layer.slow[cell] === 0 ? "" : ", slow";
  lines.push(reason === "" ? state : `${state}${mark}: ${reason}`);
  const ages = [
    ["round trip", layer.figures.rtt_age_ms[cell]!],
    ["bandwidth", layer.figures.bw_age_ms[cell]!],
  ] as const;
  const known = ages.filter(([, ms]) => !Number.isNaN(ms)).map(([what, ms]) => `${what} ${age(ms)} old`);
  lines.push(known.length > 0 ? known.join(", ") : "no figure now");
  return lines;
}
