// One node: who it is, how it is, its worst edges, and its inventory.

import { ApiError, getNode } from "./api.ts";
import { fullName, type Board } from "./board.ts";
import { button, make, setText } from "base/web/dom.ts";
import { age, NOT_KNOWN } from "base/web/format.ts";
import { inventory } from "./inventory.ts";
import type { Json } from "base/web/json.ts";
import type { MatrixNode } from "./matrix.ts";
import { isOk, lookOf } from "./states.ts";
import { worstEdges } from "./worst.ts";

const EDGES = 8;

/** `door` as the node itself told it when the panel was opened. */
function facts(node: MatrixNode, door: Json): HTMLElement {
  const rows: [string, string][] = [
    ["Address", node.address || NOT_KNOWN],
    ["Host name", node.hostname || NOT_KNOWN],
    ["Node id", node.node_id],
    ["Version", String(door.version || NOT_KNOWN)],
    ["State", `${node.state}${node.reason ? `: ${node.reason}` : ""}`],
    ["Reachable", node.reachable ? "yes" : "no: fewer than half of the nodes that can tell reach it, or none can tell"],
    ["Report", node.report_age_ms === null ? "none" : `${age(node.report_age_ms)} old`],
    ["Transports", Array.isArray(door.transports) ? door.transports.join(", ") : NOT_KNOWN],
    ["Head", node.is_head ? "yes" : "no"],
  ];
  return make("dl", {}, ...rows.flatMap(([what, value]) => [make("dt", {}, what), make("dd", {}, value)]));
}

function worstOf(board: Board, node: number, open: (src: number, dst: number) => void): HTMLElement {
  const n = board.matrix.nodes.length;
  const found = worstEdges(
    board.matrix,
    board.metric,
    (cell) => {
      const src = Math.floor(cell / n);
      const dst = cell % n;
      return (src === node || dst === node) && src !== dst;
    },
    EDGES,
  );
  const lines = [...found.notOk, ...found.slow].map(({ src, dst, cell }) => {
    const layer = board.matrix.layer!;
    const state = board.matrix.states[layer.state[cell]!] ?? "UNKNOWN";
    const value = board.metric.column === null ? NaN : layer.figures[board.metric.column][cell]!;
    const told = isOk(state) ? (Number.isNaN(value) ? "OK" : board.metric.show(value)) : `${state} ${board.matrix.reasons[layer.reason[cell]!] ?? ""}`;
    return make(
      "li",
      { class: isOk(state) ? null : `state-${lookOf(state).colour}` },
      button(`${board.labels[src]} → ${board.labels[dst]}`, () => open(src, dst), { class: "link", "data-cell": cell }),
      ` ${told}`,
    );
  });
  return make("ul", {}, ...(lines.length > 0 ? lines : [make("li", { class: "quiet" }, "None in this layer.")]));
}

export class NodePanel {
  readonly element = make("section", { class: "panel", "aria-labelledby": "panel-title", tabindex: -1 });
  readonly #title = make("h2", { id: "panel-title" });
  readonly #problem = make("p", { class: "state-bad" });
  readonly #facts = make("div");
  readonly #edgesTitle = make("h3");
  readonly #edges = make("div");
  readonly #inventory = make("div");
  readonly #body = make("div", {}, this.#facts, this.#edgesTitle, this.#edges, make("h3", {}, "Inventory"), this.#inventory);
  #id = "";
  #told: Json = null; // what getNode gave of #id; null = not yet
  #asking = false;

  constructor(
    close: () => void,
    readonly openEdge: (src: number, dst: number) => void,
  ) {
    this.element.append(make("div", { class: "panel-bar" }, this.#title, button("Close", close)), this.#problem, this.#body);
  }

  /** With every update. The inventory is asked for once for each opening, and again only until it has come: it does not change by the second. */
  async show(board: Board, index: number, opened: boolean): Promise<void> {
    const node = board.matrix.nodes[index]!;
    if (opened || node.node_id !== this.#id) {
      this.#id = node.node_id;
      this.#told = null;
      this.#asking = false;
      this.#inventory.replaceChildren(make("p", { class: "quiet" }, "asking …"));
    }
    setText(this.#problem, "");
    setText(this.#title, fullName(node));
    this.#body.hidden = false;
    setText(this.#edgesTitle, `Its worst edges by ${board.metric.label}`);
    this.#showEdges(worstOf(board, index, this.openEdge));
    this.#showFacts(node);
    if (this.#told === null && !this.#asking) await this.#ask(node);
  }

  async #ask(node: MatrixNode): Promise<void> {
    this.#asking = true;
    try {
      const told = await getNode(node.node_id);
      if (node.node_id !== this.#id) return;
      this.#told = told;
      this.#inventory.replaceChildren(inventory(told.inventory, String(told.inventory_reason ?? "")));
      this.#showFacts(node);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) throw error;
      if (node.node_id === this.#id) this.#inventory.replaceChildren(make("p", { class: "state-bad" }, error instanceof Error ? error.message : String(error)));
    } finally {
      if (node.node_id === this.#id) this.#asking = false;
    }
  }

  #showFacts(node: MatrixNode): void {
    this.#facts.replaceChildren(facts(node, this.#told?.node?.door ?? {}));
  }

  /** The focus stays on its edge. */
  #showEdges(list: HTMLElement): void {
    const focused = this.#edges.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.cell : undefined;
    this.#edges.replaceChildren(list);
    if (focused !== undefined) (list.querySelector<HTMLElement>(`[data-cell="${focused}"]`) ?? this.element).focus({ preventScroll: true });
  }

  /** Nothing can be shown of what was to be shown. */
  gone(message: string): void {
    this.#id = "";
    this.#body.hidden = true;
    setText(this.#title, "Node");
    setText(this.#problem, message);
  }
}
