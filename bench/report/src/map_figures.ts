// The figures of a map's cells, and what its cells say in words.

import type { Look } from "base/web/patterns.ts";
import { scaleBetween, type Scale } from "base/web/scale.ts";
import type { Layer } from "./layers.ts";
import type { ResultNode, Row } from "./result.ts";
import { figure, fullName, median, rowInWords, unitOf, valueOf } from "./words.ts";

const NOISE = 1.5; // a scale reaches at least so many times the median, either way
const ROWS_TOLD = 3;

export const FAILED: Look = { name: "failed or dead", colour: "failed", pattern: "hatch", sign: "" };
export const NOT_MEASURED: Look = { name: "not measured", colour: "not-measured", pattern: "none", sign: "" };

/** Ratios count, so the scale is logarithmic, and never so fine that it makes a picture of noise. null: nothing was measured. */
export function scaleOf(values: number[], lowIsWorse: boolean): { scale: Scale; middle: number } | null {
  const middle = median(values);
  if (middle === null) return null;
  let low = middle / NOISE;
  let high = middle * NOISE;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { scale: scaleBetween(low, high, lowIsWorse, true), middle };
}

/** A layer's rows by cell, and what its cells are judged by. */
export class Figures {
  readonly #medians = new Map<number, number | null>();
  readonly scale: ReturnType<typeof scaleOf>;

  constructor(
    readonly layer: Layer,
    readonly nodes: ResultNode[],
  ) {
    for (const [index, rows] of layer.cells) this.#medians.set(index, median(rows.map(valueOf)));
    this.scale = scaleOf(
      [...this.#medians.values()].filter((each): each is number => each !== null && each > 0),
      layer.kind === "bw",
    );
  }

  /** A round trip goes both ways: where only the other side pinged, its rows stand. */
  at(from: number, to: number): { rows: Row[] | null; middle: number | null; fromOtherSide: boolean } {
    const n = this.nodes.length;
    const { cells, kind } = this.layer;
    const fromOtherSide = kind === "ping" && !cells.has(from * n + to) && cells.has(to * n + from);
    const index = fromOtherSide ? to * n + from : from * n + to;
    return { rows: cells.get(index) ?? null, middle: this.#medians.get(index) ?? null, fromOtherSide };
  }

  /** null: it has a colour of the scale. */
  look(from: number, to: number): Look | null {
    const { rows, middle } = this.at(from, to);
    const isDead = this.nodes[from]!.alive === false || this.nodes[to]!.alive === false;
    if (isDead || rows?.some((row) => row.error !== null)) return FAILED;
    return rows === null || middle === null || middle <= 0 ? NOT_MEASURED : null;
  }

  tell(from: number, to: number): string {
    const { rows, middle, fromOtherSide } = this.at(from, to);
    const [source, target] = [this.nodes[from]!, this.nodes[to]!];
    const edge = `${fullName(source)} → ${fullName(target)}`;
    if (rows === null) {
      const dead = [source, target].filter((node) => node.alive === false).map((node) => `${fullName(node)} is dead: ${node.reason}`);
      return `${edge}\n${from === to ? "itself" : ["not measured", dead.join("; ")].filter(Boolean).join(": ")}`;
    }
    const judged =
      middle === null || this.scale === null
        ? ""
        : `: ${figure(middle)} ${unitOf(this.layer.kind)}, ${figure((middle / this.scale.middle) * 100)} % of the median`;
    const lines = [edge + judged, ...rows.slice(0, ROWS_TOLD).map(rowInWords)];
    if (fromOtherSide) lines.splice(1, 0, "measured from the other side");
    if (rows.length > ROWS_TOLD) lines.push(`… ${rows.length} rows; their median has the colour`);
    return lines.join("\n");
  }

  /** Pairs with a figure, and all. */
  pairs(): [measured: number, all: number] {
    const n = this.nodes.length;
    const isPing = this.layer.kind === "ping";
    const measured = new Set<number>();
    for (const [index, middle] of this.#medians) {
      const [from, to] = [Math.floor(index / n), index % n];
      if (middle !== null && middle > 0 && from !== to) measured.add(isPing ? Math.min(from, to) * n + Math.max(from, to) : index);
    }
    return [measured.size, (n * (n - 1)) / (isPing ? 2 : 1)];
  }
}
