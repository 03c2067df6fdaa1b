// The chosen cell of a map: the frame around it, and the keys that move it.

import type { Frame } from "./heatmap_paint.ts";

const SMALLEST = 8; // pixels of the frame around a small cell

/** Hidden where the cell is not seen. */
export function placeCursor(cursor: HTMLElement, at: [row: number, column: number] | null, frame: Frame): void {
  cursor.hidden = at === null;
  if (at === null) return;
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const grown = Math.max(cell, SMALLEST);
  const shift = (grown - cell) / 2 + 2;
  const x = (at[1] - firstColumn) * cell;
  const y = (at[0] - firstRow) * cell;
  cursor.hidden = x + cell < 0 || y + cell < 0 || x > side || y > side;
  cursor.style.left = `${left + x - shift}px`;
  cursor.style.top = `${top + y - shift}px`;
  cursor.style.width = cursor.style.height = `${grown + 4}px`;
}

/** The cell under the pointer. */
export function cellAt(event: MouseEvent, frame: Frame, n: number): [row: number, column: number] | null {
  const { left, top, side, cell, firstRow, firstColumn } = frame;
  const x = event.offsetX - left;
  const y = event.offsetY - top;
  if (x < 0 || y < 0 || x >= side || y >= side) return null;
  const row = Math.floor(firstRow + y / cell);
  const column = Math.floor(firstColumn + x / cell);
  return row < n && column < n ? [row, column] : null;
}

/** Where a key leads from a cell of n × n; the first cell where none was chosen. null: it is not one of these keys. */
export function moved(key: string, at: [row: number, column: number] | null, n: number): [row: number, column: number] | null {
  const steps: Record<string, [number, number]> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    PageUp: [-10, 0],
    PageDown: [10, 0],
    Home: [-n, -n],
    End: [n, n],
  };
  const step = steps[key];
  if (step === undefined) return null;
  const clamp = (x: number) => Math.max(0, Math.min(n - 1, x));
  return at === null ? [0, 0] : [clamp(at[0] + step[0]), clamp(at[1] + step[1])];
}
