// Tables. A column of figures stands to the right.

import { make } from "base/web/dom.ts";
import { figure } from "./words.ts";

export type Cell = string | number | null;

export const cellInWords = (cell: Cell) => (typeof cell === "number" ? figure(cell) : (cell ?? ""));

export function table(headings: string[], rows: Cell[][]): HTMLElement {
  const looks = headings.map((_, i) => (rows.length > 0 && rows.every((row) => typeof row[i] !== "string") ? "number" : null));
  const head = headings.map((name, i) => make("th", { class: looks[i]! }, name));
  const cell = (value: Cell, look: string | null) => make("td", { class: look }, look !== null && value === null ? "–" : cellInWords(value));
  const body = rows.map((row) => make("tr", {}, ...row.map((value, i) => cell(value, looks[i]!))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
}
