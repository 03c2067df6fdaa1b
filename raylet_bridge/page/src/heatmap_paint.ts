// Paints a board on a canvas. One pixel a cell is made first, then scaled up: cheap for 262,144 cells. Patterns, lines and
// figures are drawn over it only where cells are large enough to show them.

import type { Board } from "./board.ts";
import { cssColour } from "base/web/dom.ts";
import { age } from "base/web/format.ts";
import { NO_EDGE } from "./matrix.ts";
import { ofBandwidth } from "./metrics.ts";
import { drawSign, type Inks } from "base/web/patterns.ts";
import { faded, inkOn, shade } from "base/web/scale.ts";
import { isOk, lookOf, NO_FIGURE, type StateLook } from "./states.ts";

const PATTERN_FROM = 6;
const LINES_FROM = 8;
const SIGN_FROM = 15;
const FIGURE_FROM = 54;
const NAMES_FROM = 11; // pixels of a cell
const FONT = 'system-ui, "DejaVu Sans", sans-serif';

/** Where the map lies on its canvas, in CSS pixels; firstRow and firstColumn are cells, not always whole. */
export interface Frame {
  left: number;
  top: number;
  side: number; // of the part that is seen
  cell: number;
  firstRow: number;
  firstColumn: number;
}

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

/** One pixel a cell. `patterned`: with the states' patterns, for cells too small to draw them. */
export function makePixels(board: Board, inks: Inks, patterned: boolean): OffscreenCanvas {
  const n = board.order.length;
  const { matrix, order, scale, keep } = board;
  const canvas = new OffscreenCanvas(Math.max(n, 1), Math.max(n, 1));
  const context = canvas.getContext("2d")!;
  if (n === 0 || matrix.layer === null) return canvas;
  const image = context.createImageData(n, n);
  const pixels = new Uint32Array(image.data.buffer);
  const { state } = matrix.layer;
  const ok = matrix.states.findIndex(isOk);
  const looks = matrix.states.map(lookOf);
  const unknown = lookOf("UNKNOWN");
  const column = board.metric.column === null ? null : matrix.layer.figures[board.metric.column];
  const ages = ofBandwidth(board.metric) ? matrix.layer.figures.bw_age_ms : null;
  const life = matrix.layer.bwLifeMs;
  for (let row = 0, at = 0; row < n; ++row) {
    const base = order[row]! * n;
    for (let col = 0; col < n; ++col, ++at) {
      const cell = base + order[col]!;
      const of = state[cell]!;
      if (row === col) pixels[at] = inks.diagonal;
      else if (of === NO_EDGE || (keep !== null && !keep(cell))) pixels[at] = inks.paper;
      else if (of === ok && column !== null) {
        const value = column[cell]!;
        pixels[at] =
          scale === null || Number.isNaN(value)
            ? inks.pixel(NO_FIGURE, row, col, patterned)
            : ages === null
              ? shade(scale, value)
              : faded(shade(scale, value), freshness(ages[cell]!, life));
      } else pixels[at] = inks.pixel(looks[of] ?? unknown, row, col, patterned);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

export const needsPatternPixels = (cell: number) => cell < PATTERN_FROM;

/** Room for the names of rows and columns, in pixels. */
export function margins(board: Board, cell: number): { left: number; top: number } {
  if (cell < NAMES_FROM) return { left: 36, top: 22 };
  const context = new OffscreenCanvas(1, 1).getContext("2d")!;
  context.font = `12px ${FONT}`;
  const widths = board.labels.map((label) => context.measureText(label.slice(0, 60)).width).sort((a, b) => a - b);
  // A single long name is cut, and takes no room from all cells.
  const widest = Math.min(widths.at(-1) ?? 0, Math.max(80, 1.5 * (widths[widths.length >> 1] ?? 0)));
  const left = Math.min(190, Math.ceil(widest) + 14);
  return { left, top: widest + 8 < cell ? 24 : Math.min(150, Math.ceil(widest * 0.87) + 16) };
}

export function paint(canvas: HTMLCanvasElement, width: number, height: number, board: Board, inks: Inks, pixels: OffscreenCanvas, frame: Frame): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const n = board.order.length;
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const shown = side / cell;
  context.save();
  context.beginPath();
  context.rect(left, top, side, side);
  context.clip();
  context.imageSmoothingEnabled = false;
  context.drawImage(pixels, firstColumn, firstRow, shown, shown, left, top, side, side);
  if (cell >= PATTERN_FROM) paintCells(context, board, inks, frame);
  if (cell >= LINES_FROM) {
    context.fillStyle = cssColour("paper");
    for (let i = Math.ceil(Math.min(firstRow, firstColumn)); i <= n; ++i) {
      context.fillRect(left + (i - firstColumn) * cell - 0.5, top, 1, side);
      context.fillRect(left, top + (i - firstRow) * cell - 0.5, side, 1);
    }
  }
  context.restore();
  paintNames(context, board, frame);
}

function paintCells(context: CanvasRenderingContext2D, board: Board, inks: Inks, frame: Frame): void {
  const n = board.order.length;
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const last = (first: number) => Math.min(n, Math.ceil(first + side / cell));
  for (let row = Math.floor(firstRow); row < last(firstRow); ++row)
    for (let col = Math.floor(firstColumn); col < last(firstColumn); ++col) {
      const at = board.order[row]! * n + board.order[col]!;
      if (row === col || board.matrix.layer!.state[at] === NO_EDGE || (board.keep !== null && !board.keep(at))) continue;
      const x = left + (col - firstColumn) * cell;
      const y = top + (row - firstRow) * cell;
      const { value, look } = lookAt(board, at);
      if (look === null) {
        if (cell >= FIGURE_FROM) paintFigure(context, board, at, value, x, y, cell);
        continue;
      }
      const ink = inks.of(look);
      if (ink.tile !== null) {
        context.fillStyle = ink.tile;
        context.fillRect(x, y, cell, cell);
      }
      if (cell >= FIGURE_FROM) paintState(context, look, ink, x, y, cell);
      else if (cell >= SIGN_FROM && look.sign !== "") drawSign(context, look, ink, x + cell / 2, y + cell / 2, cell);
    }
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
function paintState(context: CanvasRenderingContext2D, look: StateLook, ink: { fill: string; line: string }, x: number, y: number, cell: number): void {
  const height = Math.min(13, Math.round(cell / 7));
  context.fillStyle = ink.fill;
  context.fillRect(x + 3, y + cell / 2 - height, cell - 6, 2 * height);
  context.fillStyle = ink.line;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${height}px ${FONT}`;
  context.fillText(`${look.sign} ${look.name}`.trim(), x + cell / 2, y + cell / 2, cell - 10);
}

function clip(context: CanvasRenderingContext2D, name: string, width: number): string {
  if (context.measureText(name).width <= width) return name;
  let cut = Math.min(name.length, 80);
  while (cut > 1 && context.measureText(`${name.slice(0, cut)}…`).width > width) --cut;
  return `${name.slice(0, cut)}…`;
}

/** Names where rows are as high as text; else every so many a number, by place on the map. */
function paintNames(context: CanvasRenderingContext2D, board: Board, frame: Frame): void {
  const n = board.order.length;
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const named = cell >= NAMES_FROM;
  const step = named ? 1 : ([5, 10, 20, 32, 64, 128].find((each) => each * cell >= 32) ?? 256);
  context.font = `12px ${FONT}`;
  context.textBaseline = "middle";
  for (let i = 0; i < n; ++i) {
    if (!named && i % step !== 0) continue;
    const name = named ? board.labels[board.order[i]!]! : String(i + 1);
    const faulty = !board.matrix.nodes[board.order[i]!]!.reachable;
    context.fillStyle = cssColour(faulty ? "bad-text" : "ink");
    const down = (i + 0.5 - firstRow) * cell;
    const along = (i + 0.5 - firstColumn) * cell;
    if (down >= 0 && down <= side) {
      context.textAlign = "right";
      context.fillText(clip(context, name, left - 12), left - 7, top + down);
    }
    if (along < 0 || along > side) continue;
    const flat = !named || context.measureText(name).width + 8 < cell;
    context.save();
    context.translate(left + along, top - (flat ? 11 : 7));
    if (!flat) context.rotate(-Math.PI / 3);
    context.textAlign = flat ? "center" : "left";
    context.fillText(flat ? name : clip(context, name, (top - 14) / 0.87), 0, 0);
    context.restore();
  }
}
