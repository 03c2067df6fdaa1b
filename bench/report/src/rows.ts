// Every row, a page at a time, with a search.

import { button, make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import type { Row } from "./result.ts";
import { cellInWords, type Cell } from "./table.ts";

const PAGE = 100;

const COLUMNS: [name: string, of: (row: Row) => Cell][] = [
  ["kind", (row) => row.kind],
  ["from", (row) => row.source],
  ["to", (row) => row.target],
  ["transport", (row) => row.transport],
  ["mode", (row) => row.mode],
  ["device", (row) => row.device],
  ["direction", (row) => row.direction],
  ["bytes", (row) => row.bytes],
  ["streams", (row) => row.streams],
  ["load", (row) => row.load],
  ["clock", (row) => row.clock],
  ["wait", (row) => row.wait],
  ["run", (row) => row.repeat],
  ["RTT p50 µs", (row) => row.p50],
  ["p99", (row) => row.p99],
  ["min", (row) => row.min],
  ["max", (row) => row.max],
  ["network p50", (row) => row.networkP50],
  ["samples", (row) => row.samples],
  ["lost", (row) => row.lost],
  ["Gb/s", (row) => row.avg],
  ["worst window", (row) => row.worst],
  ["% of expected", (row) => row.percent],
  ["failed", (row) => row.error],
];

const isMissing = (cell: Cell) => cell === null || cell === "";

/** What has no figure stands last, whichever way. */
function compare(x: Cell, y: Cell, sign: number): number {
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
}

class RowsTable {
  readonly tools: HTMLElement;
  readonly table: HTMLElement;
  readonly #search = make("input", { type: "search", placeholder: "search, as in: bw 10.0.0.3", "aria-label": "search the rows" });
  readonly #back = button("‹ back", () => this.#turn(-1));
  readonly #on = button("on ›", () => this.#turn(1));
  readonly #where = make("span", { class: "quiet", "aria-live": "polite" });
  readonly #body = make("tbody");
  readonly #columns: typeof COLUMNS;
  readonly #looks: (string | null)[];
  #shown: Row[];
  #page = 0;
  #by = -1;
  #upwards = true;

  constructor(readonly rows: Row[]) {
    this.#shown = rows;
    this.#columns = COLUMNS.filter(([, of]) => rows.some((row) => !isMissing(of(row))));
    this.#looks = this.#columns.map(([, of]) => (rows.every((row) => typeof of(row) !== "string") ? "number" : null));
    const head = this.#columns.map(([name], i) =>
      make(
        "th",
        { class: this.#looks[i]! },
        button(name, () => this.#sort(i)),
      ),
    );
    this.tools = make("div", { class: "tools" }, this.#search, this.#back, this.#on, this.#where);
    this.table = make("div", { class: "scroll" }, make("table", { class: "rows" }, make("thead", {}, make("tr", {}, ...head)), this.#body));
    this.#search.addEventListener("input", () => this.#select());
    this.#draw();
  }

  #turn(by: number): void {
    this.#page += by;
    this.#draw();
  }

  #sort(column: number): void {
    this.#upwards = this.#by !== column || !this.#upwards;
    this.#by = column;
    this.#select();
  }

  #select(): void {
    const wanted = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wordsOf = (row: Row) => `${Object.values(row).join(" ")}${row.error === null ? "" : " failed"}`.toLowerCase();
    const isWanted = (row: Row) => {
      const words = wordsOf(row);
      return wanted.every((word) => words.includes(word));
    };
    this.#shown = wanted.length > 0 ? this.rows.filter(isWanted) : this.rows.slice();
    const of = this.#columns[this.#by]?.[1];
    if (of !== undefined) this.#shown.sort((a, b) => compare(of(a), of(b), this.#upwards ? 1 : -1));
    this.#page = 0;
    this.#draw();
  }

  #draw(): void {
    const pages = Math.max(1, Math.ceil(this.#shown.length / PAGE));
    const first = this.#page * PAGE;
    const line = (row: Row) => make("tr", {}, ...this.#columns.map(([, of], i) => make("td", { class: this.#looks[i]! }, cellInWords(of(row)))));
    this.#body.replaceChildren(...this.#shown.slice(first, first + PAGE).map(line));
    this.#where.textContent = `${count(this.#shown.length)} of ${count(this.rows.length)} rows, page ${count(this.#page + 1)} of ${count(pages)}`;
    this.#back.disabled = this.#page === 0;
    this.#on.disabled = this.#page === pages - 1;
  }
}

export function rowsSection(rows: Row[]): HTMLElement[] {
  const { tools, table } = new RowsTable(rows);
  return [make("h2", {}, "All rows"), tools, table];
}
