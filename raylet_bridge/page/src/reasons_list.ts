// What is stale, unknown or at fault, and why: one line a cause; a click shows only its edges.

import type { Board } from "./board.ts";
import { button, make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import { groupReasons, type Group } from "./reasons.ts";
import { lookOf } from "./states.ts";

const MOST = 40;

export class ReasonsList {
  readonly element: HTMLElement;
  readonly #list = make("ul", { class: "reasons" });
  #shown = "";

  /** An empty state: all edges are wanted again. */
  constructor(readonly filter: (state: string, reason: string) => void) {
    this.element = make("section", { "aria-labelledby": "reasons-title" }, make("h2", { id: "reasons-title" }, "Not measured or not OK, and why"), this.#list);
  }

  show(board: Board, state: string, reason: string): void {
    const groups = groupReasons(board.matrix);
    const { slow } = board.survey;
    const shown = JSON.stringify([groups, slow, state, reason]);
    if (shown === this.#shown) return; // leaves the focus in the list alone
    this.#shown = shown;
    const focused = [...this.#list.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
    const lines = groups.slice(0, MOST).map((group) => this.#line(group, group.state === state && group.reason === reason));
    if (groups.length > MOST) lines.push(make("li", { class: "quiet" }, `and ${count(groups.length - MOST)} further causes`));
    if (groups.length === 0) lines.push(make("li", { class: "quiet" }, `Every edge of this layer is OK${slow > 0 ? `, ${count(slow)} of them slow` : ""}.`));
    if (state !== "")
      lines.unshift(
        make(
          "li",
          {},
          button("Show all edges again", () => this.filter("", ""), { class: "link" }),
        ),
      );
    this.#list.replaceChildren(...lines);
    if (focused >= 0) this.#list.querySelectorAll("button")[focused]?.focus();
  }

  #line(group: Group, chosen: boolean): HTMLElement {
    const look = lookOf(group.state);
    const act = () => (chosen ? this.filter("", "") : this.filter(group.state, group.reason));
    const line = button("", act, { class: `cause state-${look.colour}`, "aria-pressed": String(chosen) });
    line.append(make("b", {}, count(group.count)), ` ${group.state} `, make("span", { class: "quiet" }, group.reason || look.meaning));
    return make("li", {}, line);
  }
}
