// The table of the worst edges: also the way to read the map without seeing it.

import { fullName, type Board } from "./board.ts";
import { button, make, setText } from "base/web/dom.ts";
import { age, count, plural } from "base/web/format.ts";
import { isOk, lookOf } from "./states.ts";
import { worstEdges, type WorstEdge } from "./worst.ts";

export const LIMIT = 50;

type Open = (src: number, dst: number) => void;

/** A row, kept and filled anew with every update: the focus stays where it is. */
class Row {
  readonly element: HTMLTableRowElement;
  readonly #edge: HTMLButtonElement;
  readonly #figure = make("td", { class: "number" });
  readonly #age = make("td", { class: "number" });
  readonly #why = make("td");
  #src = 0;
  #dst = 0;

  constructor(open: Open) {
    this.#edge = button("", () => open(this.#src, this.#dst), { class: "link" });
    this.element = make("tr", {}, make("td", {}, this.#edge), this.#figure, this.#age, this.#why);
  }

  fill(board: Board, edge: WorstEdge): void {
    const { matrix, metric, labels } = board;
    const layer = matrix.layer!;
    this.#src = edge.src;
    this.#dst = edge.dst;
    setText(this.#edge, `${labels[edge.src]} → ${labels[edge.dst]}`);
    this.#edge.title = `${fullName(matrix.nodes[edge.src]!)} → ${fullName(matrix.nodes[edge.dst]!)}`;
    const state = matrix.states[layer.state[edge.cell]!] ?? "UNKNOWN";
    const ok = isOk(state);
    const value = metric.column === null ? NaN : layer.figures[metric.column][edge.cell]!;
    setText(this.#figure, ok && !Number.isNaN(value) ? metric.show(value) : state);
    this.element.className = ok ? (layer.slow[edge.cell] !== 0 ? "state-warn" : "") : `state-${lookOf(state).colour}`;
    const old = (metric.column?.startsWith("bw_") === true ? layer.figures.bw_age_ms : layer.figures.rtt_age_ms)[edge.cell]!;
    setText(this.#age, Number.isNaN(old) ? "–" : age(old));
    setText(this.#why, matrix.reasons[layer.reason[edge.cell]!] ?? "");
  }
}

export class WorstList {
  readonly element: HTMLElement;
  readonly #rows: Row[] = [];
  readonly #body = make("tbody");
  readonly #note = make("p", { class: "quiet" });
  readonly #caption = make("caption");

  constructor(readonly open: Open) {
    const heads = ["Edge", "Figure", "Age", "Reason"].map((name, i) => make("th", { scope: "col", class: i === 1 || i === 2 ? "number" : null }, name));
    this.element = make(
      "section",
      { class: "worst", "aria-labelledby": "worst-title" },
      make("h2", { id: "worst-title" }, "Worst edges first"),
      this.#note,
      make("div", { class: "scroll" }, make("table", {}, this.#caption, make("thead", {}, make("tr", {}, ...heads)), this.#body)),
    );
  }

  show(board: Board): void {
    const { notOk, notOkInAll, slow } = worstEdges(board.matrix, board.metric, board.keep, LIMIT);
    const edges = [...notOk, ...slow];
    while (this.#rows.length < edges.length) this.#rows.push(new Row(this.open));
    edges.forEach((edge, i) => {
      this.#rows[i]!.fill(board, edge);
      if (this.#rows[i]!.element.parentNode === null) this.#body.append(this.#rows[i]!.element);
    });
    for (const row of this.#rows.slice(edges.length)) row.element.remove();
    setText(this.#caption, `Worst by ${board.metric.label}`);
    const parts = [];
    if (notOkInAll > notOk.length) parts.push(`${count(notOk.length)} of ${plural(notOkInAll, "edge")} that are not OK`);
    else if (notOkInAll > 0) parts.push(`${plural(notOkInAll, "edge")} not OK`);
    if (slow.length > 0) parts.push(`${parts.length > 0 ? "then the" : "The"} ${count(slow.length)} worst by ${board.metric.label}: ${board.metric.explains}`);
    setText(this.#note, parts.length > 0 ? `${parts.join(", ")}.` : "Nothing to show: no edge has this figure, and none is at fault.");
  }
}
