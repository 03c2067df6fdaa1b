// What the heat map draws of a board: a figure's place on the scale, or a state.

import { age } from "base/web/format.ts";
import { FONT, type Cells } from "base/web/heatmap_paint.ts";
import type { Ink, Inks } from "base/web/patterns.ts";
import { faded, inkOn, shade } from "base/web/scale.ts";
import type { Board } from "./board.ts";
import { NO_EDGE } from "./matrix.ts";
import { ofBandwidth } from "./metrics.ts";
import { isOk, lookOf, NO_FIGURE, type StateLook } from "./states.ts";

/** What one cell is drawn as: a figure's place on the scale, or a state. */
function lookAt(board: Board, cell: number): { value: number; look: StateLook | null } {
  const { matrix, metric } = board;
  const layer = matrix.layer!;
  const state = matrix.states[layer.state[cell]!] ?? "UNKNOWN";
  if (!isOk(state) || metric.column === null) return { value: NaN, look: lookOf(state) };
  const value = layer.figures[metric.column][cell]!;
  return Number.isNaN(value) || board.scale === null ? { value, look: NO_FIGURE } : { value, look: null };
}

/** How much of its colour a bandwidth keeps: all for a round of probes (a third of its life), then less, and a third at its end. */
export function freshness(ageMs: number, lifeMs: number): number {
  const share = ageMs / lifeMs;
  return Number.isNaN(share) ? 1 : Math.max(1 / 3, Math.min(1, 4 / 3 - share));
}

/** Columns are looked up once, not for each of 262,144 cells. */
function pixelsOf(board: Board, inks: Inks): Cells["pixel"] {
  const n = board.order.length;
  const { matrix, order, scale, keep } = board;
  if (matrix.layer === null) return () => inks.paper;
  const { state } = matrix.layer;
  const ok = matrix.states.findIndex(isOk);
  const looks = matrix.states.map(lookOf);
  const unknown = lookOf("UNKNOWN");
  const column = board.metric.column === null ? null : matrix.layer.figures[board.metric.column];
  const ages = ofBandwidth(board.metric) ? matrix.layer.figures.bw_age_ms : null;
  const life = matrix.layer.bwLifeMs;
  return (row, col, patterned) => {
    const cell = order[row]! * n + order[col]!;
    const of = state[cell]!;
    if (row === col) return inks.diagonal;
    if (of === NO_EDGE || (keep !== null && !keep(cell))) return inks.paper;
    if (of !== ok || column === null) return inks.pixel(looks[of] ?? unknown, row, col, patterned);
    const value = column[cell]!;
    if (scale === null || Number.isNaN(value)) return inks.pixel(NO_FIGURE, row, col, patterned);
    return ages === null ? shade(scale, value) : faded(shade(scale, value), freshness(ages[cell]!, life));
  };
}

function paintFigure(context: CanvasRenderingContext2D, board: Board, at: number, value: number, x: number, y: number, cell: number): void {
  const [figure = "", ...unit] = board.metric.show(value).split(" ");
  const layer = board.matrix.layer!;
  const old = layer.figures.bw_age_ms[at]!;
  const ages = ofBandwidth(board.metric) && !Number.isNaN(old);
  const pixel = shade(board.scale!, value);
  context.fillStyle = inkOn(ages ? faded(pixel, freshness(old, layer.bwLifeMs)) : pixel);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${Math.min(22, Math.round(cell / 4.5))}px ${FONT}`;
  context.fillText(figure, x + cell / 2, y + cell * 0.42, cell - 6);
  context.font = `${Math.min(14, Math.round(cell / 7))}px ${FONT}`;
  context.fillText(unit.join(" "), x + cell / 2, y + cell * 0.64, cell - 6);
  if (ages) context.fillText(`${age(old)} old`, x + cell / 2, y + cell * 0.82, cell - 6);
}

/** The state's name in a large cell. */
function paintState(context: CanvasRenderingContext2D, look: StateLook, ink: Ink, x: number, y: number, cell: number): void {
  const height = Math.min(13, Math.round(cell / 7));
  context.fillStyle = ink.fill;
  context.fillRect(x + 3, y + cell / 2 - height, cell - 6, 2 * height);
  context.fillStyle = ink.line;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${height}px ${FONT}`;
  context.fillText(`${look.sign} ${look.name}`.trim(), x + cell / 2, y + cell / 2, cell - 10);
}

export function boardCells(board: Board, inks: Inks): Cells {
  const { matrix, order, labels, keep } = board;
  const n = order.length;
  /** null: nothing is to be drawn there. */
  const cellAt = (row: number, column: number): number | null => {
    const at = order[row]! * n + order[column]!;
    return row === column || matrix.layer === null || matrix.layer.state[at] === NO_EDGE || (keep !== null && !keep(at)) ? null : at;
  };
  return {
    names: [...order].map((node) => ({ text: labels[node]!, colour: matrix.nodes[node]!.reachable ? "ink" : "bad-text", isMarked: false })),
    pixel: pixelsOf(board, inks),
    look: (row, column) => {
      const at = cellAt(row, column);
      return at === null ? null : lookAt(board, at).look;
    },
    write: (context, row, column, x, y, cell) => {
      const at = cellAt(row, column);
      if (at === null) return;
      const { value, look } = lookAt(board, at);
      if (look === null) paintFigure(context, board, at, value, x, y, cell);
      else paintState(context, look, inks.of(look), x, y, cell);
    },
  };
}
