// One node: who it is, how it is, its worst edges, and its inventory.

import { getNode } from "./api.ts";
import { fullName, type Board } from "./board.ts";
import { button, make } from "./dom.ts";
import { age, NOT_KNOWN } from "./format.ts";
import { inventory } from "./inventory.ts";
import type { Json } from "./json.ts";
import { isOk, lookOf } from "./states.ts";
import { worstEdges } from "./worst.ts";

const EDGES = 8;

function facts(node: Json): HTMLElement {
  const door = node.door ?? {};
  const rows: [string, string][] = [
    ["Address", String(node.address ?? NOT_KNOWN)], ["Host name", String(node.hostname || NOT_KNOWN)], ["Node id", String(node.node_id ?? "")],
    ["Version", String(door.version || NOT_KNOWN)], ["State", `${node.state ?? "UNKNOWN"}${node.reason ? `: ${node.reason}` : ""}`],
    ["Reachable", node.reachable ? "yes" : "no: fewer than half of the nodes that can tell reach it, or none can tell"],
    ["Report", node.report_age_ms === null || node.report_age_ms === undefined ? "none" : `${age(node.report_age_ms)} old`],
    ["Transports", Array.isArray(door.transports) ? door.transports.join(", ") : NOT_KNOWN], ["Head", node.is_head ? "yes" : "no"],
  ];
  return make("dl", {}, ...rows.flatMap(([what, value]) => [make("dt", {}, what), make("dd", {}, value)]));
}

function worstOf(board: Board, node: number, open: (src: number, dst: number) => void): HTMLElement {
  const n = board.matrix.nodes.length;
  const found = worstEdges(board.matrix, board.metric, (cell) => {
    const src = Math.floor(cell / n), dst = cell % n;
    return (src === node || dst === node) && src !== dst;
  }, EDGES);
  const lines = [...found.notOk, ...found.slow].map(({ src, dst, cell }) => {
    const layer = board.matrix.layer!, state = board.matrix.states[layer.state[cell]!] ?? "UNKNOWN";
    const value = board.metric.column === null ? NaN : layer.figures[board.metric.column][cell]!;
    const told = isOk(state) ? (Number.isNaN(value) ? "OK" : board.metric.show(value)) : `${state} ${board.matrix.reasons[layer.reason[cell]!] ?? ""}`;
    return make("li", { class: isOk(state) ? null : `state-${lookOf(state).colour}` },
      button(`${board.labels[src]} → ${board.labels[dst]}`, () => open(src, dst), { class: "link" }), ` ${told}`);
  });
  return make("ul", {}, ...(lines.length > 0 ? lines : [make("li", { class: "quiet" }, "None in this layer.")]));
}

export class NodePanel {
  readonly element = make("section", { class: "panel", "aria-labelledby": "panel-title", tabindex: -1 });
  readonly #title = make("h2", { id: "panel-title" });
  readonly #problem = make("p", { class: "state-bad" });
  readonly #body = make("div");
  #id = "";

  constructor(close: () => void, readonly openEdge: (src: number, dst: number) => void) {
    this.element.append(make("div", { class: "panel-bar" }, this.#title, button("Close", close)), this.#problem, this.#body);
  }

  /** Asks once for each opening: an inventory does not change by the second. */
  async show(board: Board, index: number): Promise<void> {
    const { node_id: id } = board.matrix.nodes[index]!;
    this.#id = id;
    this.#problem.textContent = "";
    this.#title.textContent = fullName(board.matrix.nodes[index]!);
    this.#body.replaceChildren(make("p", { class: "quiet" }, "asking …"));
    const told = await getNode(id);
    if (id !== this.#id) return;
    this.#body.replaceChildren(facts(told.node ?? board.matrix.nodes[index]!),
      make("h3", {}, `Its worst edges by ${board.metric.label}`), worstOf(board, index, this.openEdge),
      make("h3", {}, "Inventory"), inventory(told.inventory, String(told.inventory_reason ?? "")));
  }

  fail(message: string): void {
    this.#body.replaceChildren();
    this.#problem.textContent = message;
  }
}
