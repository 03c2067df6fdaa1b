// Paints a map of n × n cells on a canvas. One pixel a cell is made first, then scaled up: cheap for 262,144 cells. Patterns, lines and
// figures are drawn over it only where cells are large enough to show them.

import { cssColour } from "./dom.ts";
import { drawSign, type Inks, type Look } from "./patterns.ts";

// Pixels of a cell.
const PATTERN_FROM = 6;
const LINES_FROM = 8;
export const NAMES_FROM = 11;
const SIGN_FROM = 15;
const WRITING_FROM = 54;

export const FONT = 'system-ui, "DejaVu Sans", sans-serif';
const MARK_ROOM = 16; // beside the numbers of rows

/** Of a row, and of the column of the same place. */
export interface Name {
  text: string;
  colour: string; // of the style
  isMarked: boolean; // seen where there is no room for names, too
}

/** What is drawn, by place on the map. */
export interface Cells {
  names: Name[];
  /** `patterned`: with the pattern of what has no colour of the scale, for cells too small to draw it. */
  pixel: (row: number, column: number, patterned: boolean) => number;
  /** null: the cell has a colour of the scale, or nothing is there. */
  look: (row: number, column: number) => Look | null;
  /** Writes into a large cell, at x and y. */
  write?: (context: CanvasRenderingContext2D, row: number, column: number, x: number, y: number, cell: number) => void;
}

/** Where the map lies on its canvas, in CSS pixels; firstRow and firstColumn are cells, not always whole. */
export interface Frame {
  left: number;
  top: number;
  side: number; // of the part that is seen
  cell: number;
  firstRow: number;
  firstColumn: number;
}

/** One pixel a cell. */
export function makePixels(cells: Cells, patterned: boolean): OffscreenCanvas {
  const n = cells.names.length;
  const canvas = new OffscreenCanvas(Math.max(n, 1), Math.max(n, 1));
  if (n === 0) return canvas;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(n, n);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0, at = 0; row < n; ++row) for (let column = 0; column < n; ++column, ++at) pixels[at] = cells.pixel(row, column, patterned);
  context.putImageData(image, 0, 0);
  return canvas;
}

export const needsPatternPixels = (cell: number) => cell < PATTERN_FROM;

/** Room for the names of rows and columns, in pixels. */
export function margins(names: Name[], cell: number): { left: number; top: number } {
  if (cell < NAMES_FROM) return { left: 36 + markRoom(names), top: 22 };
  const context = new OffscreenCanvas(1, 1).getContext("2d")!;
  context.font = `12px ${FONT}`;
  const widths = names.map(({ text }) => context.measureText(text.slice(0, 60)).width).sort((a, b) => a - b);
  // A single long name is cut, and takes no room from all cells.
  const widest = Math.min(widths.at(-1) ?? 0, Math.max(80, 1.5 * (widths[widths.length >> 1] ?? 0)));
  const left = Math.min(190, Math.ceil(widest) + 14);
  return { left, top: widest + 8 < cell ? 24 : Math.min(150, Math.ceil(widest * 0.87) + 16) };
}

export function paint(canvas: HTMLCanvasElement, width: number, height: number, cells: Cells, inks: Inks, pixels: OffscreenCanvas, frame: Frame): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const n = cells.names.length;
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const shown = side / cell;
  context.save();
  context.beginPath();
  context.rect(left, top, side, side);
  context.clip();
  context.imageSmoothingEnabled = false;
  context.drawImage(pixels, firstColumn, firstRow, shown, shown, left, top, side, side);
  if (cell >= PATTERN_FROM) paintCells(context, cells, inks, frame);
  if (cell >= LINES_FROM) {
    context.fillStyle = cssColour("paper");
    for (let i = Math.ceil(Math.min(firstRow, firstColumn)); i <= n; ++i) {
      context.fillRect(left + (i - firstColumn) * cell - 0.5, top, 1, side);
      context.fillRect(left, top + (i - firstRow) * cell - 0.5, side, 1);
    }
  }
  context.restore();
  paintNames(context, cells.names, frame);
}

function paintCells(context: CanvasRenderingContext2D, cells: Cells, inks: Inks, frame: Frame): void {
  const n = cells.names.length;
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const last = (first: number) => Math.min(n, Math.ceil(first + side / cell));
  for (let row = Math.floor(firstRow); row < last(firstRow); ++row)
    for (let column = Math.floor(firstColumn); column < last(firstColumn); ++column) {
      const x = left + (column - firstColumn) * cell;
      const y = top + (row - firstRow) * cell;
      const look = cells.look(row, column);
      const ink = look === null ? null : inks.of(look);
      if (ink !== null && ink.tile !== null) {
        context.fillStyle = ink.tile;
        context.fillRect(x, y, cell, cell);
      }
      if (cell >= WRITING_FROM) cells.write?.(context, row, column, x, y, cell);
      else if (ink !== null && cell >= SIGN_FROM && look!.sign !== "") drawSign(context, look!, ink, x + cell / 2, y + cell / 2, cell);
    }
}

function clip(context: CanvasRenderingContext2D, name: string, width: number): string {
  if (context.measureText(name).width <= width) return name;
  let cut = Math.min(name.length, 80);
  while (cut > 1 && context.measureText(`${name.slice(0, cut)}…`).width > width) --cut;
  return `${name.slice(0, cut)}…`;
}

const markRoom = (names: Name[]) => (names.some((name) => name.isMarked) ? MARK_ROOM : 0);

/** Names where rows are as high as text; else every so many a number, by place on the map, and the marks. */
function paintNames(context: CanvasRenderingContext2D, names: Name[], frame: Frame): void {
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const named = cell >= NAMES_FROM;
  const step = named ? 1 : ([5, 10, 20, 32, 64, 128].find((each) => each * cell >= 32) ?? 256);
  const numbersEnd = left - 7 - (named ? 0 : markRoom(names));
  context.font = `12px ${FONT}`;
  context.textBaseline = "middle";
  names.forEach(({ text, colour, isMarked }, i) => {
    const hasText = i % step === 0;
    if (!hasText && !isMarked) return;
    const name = named ? text : String(i + 1);
    context.fillStyle = cssColour(colour);
    const down = (i + 0.5 - firstRow) * cell;
    const along = (i + 0.5 - firstColumn) * cell;
    if (down >= 0 && down <= side) {
      context.textAlign = "right";
      if (hasText) context.fillText(clip(context, name, numbersEnd - 5), numbersEnd, top + down);
      if (!named && isMarked) context.fillText("▶", left - 4, top + down);
    }
    if (along < 0 || along > side) return;
    const flat = !named || context.measureText(name).width + 8 < cell;
    context.save();
    context.translate(left + along, top - (flat ? 11 : 7));
    if (!flat) context.rotate(-Math.PI / 3);
    context.textAlign = flat ? "center" : "left";
    if (!named && isMarked) context.fillText("▼", 0, 6);
    else context.fillText(flat ? name : clip(context, name, (top - 14) / 0.87), 0, 0);
    context.restore();
  });
}
