// The node × node map on one canvas: pointer, keyboard, zoom. base/web/heatmap_paint.ts draws it.

import { tellCell, type Board } from "./board.ts";
import { button, make, setText } from "base/web/dom.ts";
import { cellAt, moved, placeCursor } from "base/web/heatmap_cursor.ts";
import { makePixels, margins, NAMES_FROM, needsPatternPixels, paint, type Cells, type Frame } from "base/web/heatmap_paint.ts";
import { Inks } from "base/web/patterns.ts";
import { boardCells } from "./board_cells.ts";

const LARGEST_FIT = 130;
const LARGEST_ZOOM = 96; // pixels of a cell

export interface HeatMapEvents {
  /** By node index: the pointer or the keyboard chose a cell. */
  select: (src: number, dst: number) => void;
  open: (src: number, dst: number) => void;
}

export class HeatMap {
  readonly element: HTMLElement;
  readonly #canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "heat map", "aria-describedby": "told" });
  readonly #cursor = make("div", { class: "cursor", hidden: true });
  readonly #tip = make("div", { class: "tip", hidden: true });
  /** The chosen cell in words, as it is now. */
  readonly told = make("div", { id: "told" });
  /** And when it was chosen: a live region that changed with every update would never be silent. */
  readonly #spoken = make("output", { class: "spoken" });
  readonly #stage = make("div", { class: "stage" });
  #board: Board | null = null;
  #cells: Cells | null = null; // of the board, in the inks
  #pixels: OffscreenCanvas | null = null;
  #patterned = false;
  #inks: Inks | null = null;
  #place: Uint32Array = new Uint32Array(); // node index -> place on the map
  #frame: Frame = { left: 0, top: 0, side: 0, cell: 1, firstRow: 0, firstColumn: 0 };
  #fit = 1; // pixels of a cell when all are seen
  #zoom = 1;
  #selected: [row: number, column: number] | null = null;
  #drag: { x: number; y: number; row: number; column: number; moved: boolean } | null = null;
  #due = 0;

  constructor(readonly events: HeatMapEvents) {
    this.#stage.append(this.#canvas, this.#cursor, this.#tip);
    const tools = make(
      "div",
      { class: "zoom", role: "group", "aria-label": "Zoom" },
      button("+", () => this.#zoomBy(2), { "aria-label": "Zoom in" }),
      button("−", () => this.#zoomBy(0.5), { "aria-label": "Zoom out" }),
      button("whole", () => this.#zoomBy(0), { "aria-label": "Show the whole map" }),
      make("span", { class: "quiet" }, "Row measures column. Wheel zooms, drag moves, arrow keys choose, Enter opens."),
    );
    this.element = make("div", { class: "heatmap" }, tools, this.#stage, this.#spoken);
    this.#listen();
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** A new theme has new colours. */
  repaint(): void {
    this.#inks = null;
    this.#cells = null;
    this.#draw();
  }

  show(board: Board, src: number, dst: number): void {
    this.#board = board;
    this.#cells = null;
    this.#place = new Uint32Array(board.order.length);
    board.order.forEach((node, place) => (this.#place[node] = place));
    this.#selected = src >= 0 && dst >= 0 ? [this.#place[src]!, this.#place[dst]!] : null;
    const n = board.order.length;
    this.#canvas.setAttribute("aria-label", `${board.metric.label}, ${n} by ${n} nodes`);
    this.#draw();
    this.#tell();
  }

  focus(): void {
    this.#canvas.focus();
  }

  // Once a frame, whatever happens in it.
  #draw(): void {
    if (this.#due === 0) this.#due = requestAnimationFrame(() => this.#paint());
  }

  #paint(): void {
    this.#due = 0;
    const board = this.#board;
    const width = this.element.clientWidth;
    if (board === null || width === 0) return;
    const n = Math.max(1, board.order.length);
    this.#inks ??= new Inks();
    if (this.#cells === null) {
      this.#cells = boardCells(board, this.#inks);
      this.#pixels = null;
    }
    const { names } = this.#cells;
    // Names take room from the cells, and cells decide whether there are names.
    let room = margins(names, 0);
    let fit = 1;
    const highest = Math.max(300, window.innerHeight - 270);
    for (const guess of [99, 0]) {
      room = margins(names, guess);
      fit = Math.max(1, Math.min(LARGEST_FIT, Math.floor(Math.min(width - room.left - 14, highest - room.top) / n)));
      if (guess === 0 || fit >= NAMES_FROM) break;
    }
    if (fit >= NAMES_FROM) room = margins(names, fit);
    this.#fit = fit;
    const cell = Math.max(fit, Math.min(LARGEST_ZOOM, fit * this.#zoom));
    if (fit < NAMES_FROM && cell >= NAMES_FROM) room = margins(names, cell);
    const whole = fit * n;
    const side = Math.min(whole, Math.max(120, width - room.left - 14));
    const most = Math.max(0, n - side / cell);
    const { firstRow, firstColumn } = this.#frame;
    this.#frame = { ...room, side, cell, firstRow: Math.min(most, firstRow), firstColumn: Math.min(most, firstColumn) };
    if (this.#pixels === null || this.#patterned !== needsPatternPixels(cell)) {
      this.#patterned = needsPatternPixels(cell);
      this.#pixels = makePixels(this.#cells, this.#patterned);
    }
    // The last column's leaning name may reach beyond its cell.
    paint(this.#canvas, Math.min(width, room.left + side + 90), room.top + side + 4, this.#cells, this.#inks, this.#pixels, this.#frame);
    this.#canvas.dataset.drawn = `${room.left} ${room.top} ${cell}`;
    if (performance.getEntriesByName("netsense-first-map").length === 0) performance.mark("netsense-first-map");
    placeCursor(this.#cursor, this.#selected, this.#frame);
  }

  #tell(): void {
    const board = this.#board;
    const at = this.#selected;
    if (board === null) return;
    setText(this.told, at === null ? "No edge is chosen." : tellCell(board, board.order[at[0]]!, board.order[at[1]]!).join("\n"));
  }

  #cellAt(event: MouseEvent): [number, number] | null {
    return cellAt(event, this.#frame, this.#board?.order.length ?? 0);
  }

  #choose(row: number, column: number): void {
    this.#selected = [row, column];
    const { side, cell, firstRow, firstColumn } = this.#frame;
    const shown = side / cell;
    const seen = (at: number, first: number) => (at < first ? at : at + 1 > first + shown ? at + 1 - shown : first);
    this.#frame.firstRow = seen(row, firstRow);
    this.#frame.firstColumn = seen(column, firstColumn);
    if (this.#frame.firstRow !== firstRow || this.#frame.firstColumn !== firstColumn) this.#draw();
    placeCursor(this.#cursor, this.#selected, this.#frame);
    this.#tell();
    setText(this.#spoken, this.told.textContent ?? "");
    const { order } = this.#board!;
    this.events.select(order[row]!, order[column]!);
  }

  /** 0: back to the whole map. The place under the pointer stays where it is; without one, the chosen cell is kept in sight. */
  #zoomBy(factor: number, x?: number, y?: number): void {
    const { side, cell, firstRow, firstColumn } = this.#frame;
    const at = this.#selected;
    this.#zoom = Math.max(1, Math.min(LARGEST_ZOOM / this.#fit, factor === 0 ? 1 : this.#zoom * factor));
    const after = Math.max(this.#fit, this.#fit * this.#zoom);
    const first = (before: number, chosen: number | undefined, pixel: number | undefined) =>
      Math.max(
        0,
        pixel === undefined && chosen !== undefined ? chosen + 0.5 - side / after / 2 : before + (pixel ?? side / 2) / cell - (pixel ?? side / 2) / after,
      );
    this.#frame = { ...this.#frame, cell: after, firstRow: first(firstRow, at?.[0], y), firstColumn: first(firstColumn, at?.[1], x) };
    this.#draw();
  }

  #listen(): void {
    const canvas = this.#canvas;
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener(
      "wheel",
      (event) => {
        const { left, top, side, cell } = this.#frame;
        const n = this.#board?.order.length ?? 0;
        if (this.#cellAt(event) === null || (side / cell >= n && cell >= 48)) return; // nothing to see closer: the page scrolls
        event.preventDefault();
        this.#zoomBy(event.deltaY < 0 ? 1.5 : 1 / 1.5, event.offsetX - left, event.offsetY - top);
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.#drag = { x: event.clientX, y: event.clientY, row: this.#frame.firstRow, column: this.#frame.firstColumn, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => {
      const dragged = this.#drag?.moved === true;
      this.#drag = null;
      const at = this.#cellAt(event);
      const board = this.#board;
      if (dragged || at === null || board === null || event.button !== 0) return;
      this.#choose(...at);
      this.events.open(board.order[at[0]]!, board.order[at[1]]!);
    });
    canvas.addEventListener("pointercancel", () => (this.#drag = null)); // the browser scrolls the page instead
    canvas.addEventListener("pointerleave", () => (this.#tip.hidden = true));
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag !== null) {
      const dx = event.clientX - drag.x;
      const dy = event.clientY - drag.y;
      drag.moved ||= Math.hypot(dx, dy) > 4;
      if (drag.moved) {
        this.#frame.firstColumn = Math.max(0, drag.column - dx / this.#frame.cell);
        this.#frame.firstRow = Math.max(0, drag.row - dy / this.#frame.cell);
        this.#tip.hidden = true;
        this.#draw();
        return;
      }
    }
    const at = this.#cellAt(event);
    const board = this.#board;
    this.#tip.hidden = at === null || board === null;
    if (at === null || board === null) return;
    setText(this.#tip, tellCell(board, board.order[at[0]]!, board.order[at[1]]!).join("\n"));
    const { offsetWidth, offsetHeight } = this.#tip;
    const x = event.offsetX + 14;
    const y = event.offsetY + 14;
    this.#tip.style.left = `${x + offsetWidth > this.element.clientWidth ? Math.max(0, event.offsetX - offsetWidth - 10) : x}px`;
    this.#tip.style.top = `${y + offsetHeight > this.#stage.clientHeight ? Math.max(0, event.offsetY - offsetHeight - 10) : y}px`;
  }

  #key(event: KeyboardEvent): void {
    const board = this.#board;
    if (board === null || event.ctrlKey || event.altKey || event.metaKey) return;
    const at = this.#selected;
    const next = moved(event.key, at, board.order.length);
    if (next !== null) this.#choose(...next);
    else if (event.key === "Enter" && at !== null) this.events.open(board.order[at[0]]!, board.order[at[1]]!);
    else if (event.key === "+" || event.key === "=") this.#zoomBy(2);
    else if (event.key === "-") this.#zoomBy(0.5);
    else if (event.key === "0") this.#zoomBy(0);
    else return;
    event.preventDefault();
  }
}
