// The nodes that need a look, and a way to any other.

import { fullName, type Board } from "./board.ts";
import { button, make, setText } from "base/web/dom.ts";
import { age, count, plural } from "base/web/format.ts";
import type { LostNode } from "./matrix.ts";
import { isOk, lookOf } from "./states.ts";

const MOST = 20;

export class NodesList {
  readonly element: HTMLElement;
  readonly #note = make("p", { class: "quiet" });
  readonly #lost = make("ul", { class: "nodes lost", "aria-label": "Lost nodes" });
  readonly #list = make("ul", { class: "nodes" });
  readonly #names = make("datalist", { id: "node-names" });
  readonly #find = make("input", {
    type: "search",
    list: "node-names",
    placeholder: "address or host name",
    "aria-label": "Open a node by address or host name",
    spellcheck: "false",
  });
  #board: Board | null = null;
  #known = "";
  #shown = "";

  constructor(readonly open: (index: number) => void) {
    const form = make("form", { class: "find" }, this.#find, make("button", {}, "Open node"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#search();
    });
    this.element = make(
      "section",
      { "aria-labelledby": "nodes-title" },
      make("h2", { id: "nodes-title" }, "Nodes"),
      form,
      this.#names,
      this.#lost,
      this.#note,
      this.#list,
    );
  }

  show(board: Board): void {
    this.#board = board;
    const { nodes } = board.matrix;
    const names = nodes.map(fullName);
    const known = names.join("\n");
    if (known !== this.#known) {
      this.#known = known;
      this.#names.replaceChildren(...names.map((name) => make("option", { value: name })));
    }
    this.#showLost(board.matrix.lost);
    const troubled = [...nodes.keys()].filter((i) => !isOk(nodes[i]!.state) || !nodes[i]!.reachable);
    setText(
      this.#note,
      troubled.length === 0
        ? `${plural(nodes.length, "node")} alive, all reporting and reachable.`
        : `${plural(troubled.length, "node")} of ${nodes.length} to look at${troubled.length > MOST ? `, the first ${MOST}` : ""}:`,
    );
    const shown = JSON.stringify(troubled.slice(0, MOST).map((i) => [i, names[i], nodes[i]!.state, nodes[i]!.reason, nodes[i]!.reachable]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = [...this.#list.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
    this.#list.replaceChildren(
      ...troubled.slice(0, MOST).map((i) => {
        const { state, reason, reachable } = nodes[i]!;
        const what = [isOk(state) ? "" : state, reachable ? "" : "not reachable", reason].filter(Boolean).join(", ");
        return make(
          "li",
          {},
          button(names[i]!, () => this.open(i), { class: "link" }),
          " ",
          make("span", { class: `state-${isOk(state) ? "bad" : lookOf(state).colour}` }, what),
        );
      }),
    );
    if (focused >= 0) this.#list.querySelectorAll("button")[focused]?.focus();
  }

  /** They have no panel: nothing is known of them any more. */
  #showLost(lost: LostNode[]): void {
    const lines = lost
      .slice(0, MOST)
      .map((node) =>
        make(
          "li",
          {},
          `${fullName(node)} `,
          make(
            "span",
            { class: "state-bad", title: `gone for good: netsense-bridge forget ${node.node_id.slice(0, 8)}` },
            `LOST for ${age(node.lost_age_ms)}: ${node.reason}`,
          ),
        ),
      );
    if (lost.length > MOST) lines.push(make("li", { class: "quiet" }, `and ${count(lost.length - MOST)} more lost`));
    this.#lost.replaceChildren(...lines);
  }

  #search(): void {
    const wanted = this.#find.value.trim().toLowerCase();
    if (this.#board === null || wanted === "") return;
    const names = this.#board.matrix.nodes.map((node) => fullName(node).toLowerCase());
    const exact = names.indexOf(wanted);
    const near = names.findIndex((name) => name.includes(wanted));
    const index = exact >= 0 ? exact : near;
    this.#find.setCustomValidity(index >= 0 ? "" : "no node of this name");
    if (index >= 0) this.open(index);
    else {
      this.#find.reportValidity();
      this.#find.addEventListener("input", () => this.#find.setCustomValidity(""), { once: true });
    }
  }
}
