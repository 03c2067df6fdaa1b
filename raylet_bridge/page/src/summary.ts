// The cluster in a few figures.

import type { Board } from "./board.ts";
import { make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import { layerTitle } from "./matrix.ts";
import { isOk, isUnsure, lookOf } from "./states.ts";

function fact(value: string, what: string, look = ""): HTMLElement {
  return make("li", { class: look || null }, make("b", {}, value), ` ${what}`);
}

export function summary(board: Board): HTMLElement {
  const { matrix, survey } = board;
  const reachable = matrix.nodes.filter((node) => node.reachable).length;
  const total = (wanted: (state: string) => boolean) => [...survey.byState].reduce((sum, [state, edges]) => sum + (wanted(state) ? edges : 0), 0);
  const wrong = total((state) => !isOk(state) && !isUnsure(state));
  const unknown = survey.byState.get("UNKNOWN") ?? 0;
  const stale = survey.byState.get("STALE") ?? 0;
  const lost = matrix.lost.length === 0 ? [] : [fact(count(matrix.lost.length), "LOST", "state-bad")];
  const slow = survey.slow === 0 ? [] : [fact(count(survey.slow), "of them slow", "state-warn")];
  const facts = [
    ...lost,
    fact(`${count(reachable)}/${count(matrix.nodes.length)}`, "nodes reachable", reachable < matrix.nodes.length ? "state-bad" : ""),
    fact(`${count(total(isOk))} of ${count(survey.edges)}`, survey.slow > 0 ? "edges OK," : "edges OK"),
    ...slow,
    fact(count(wrong), "not OK", wrong > 0 ? "state-bad" : ""),
    fact(count(unknown), "unknown", unknown > 0 ? `state-${lookOf("UNKNOWN").colour}` : ""),
    fact(count(stale), "stale", stale > 0 ? `state-${lookOf("STALE").colour}` : ""),
  ];
  const layer = matrix.layer === null ? "" : ` of ${layerTitle(matrix.layer)}`;
  return make("ul", { class: "facts", "aria-label": `The cluster, and the edges${layer}` }, ...facts);
}

/** What the bridge says of the whole cluster: a message, warnings of rails. */
export function warnings(board: Board): HTMLElement {
  const { message, warnings: told } = board.matrix;
  return make("ul", { class: "warnings" }, ...[message, ...told].filter((each) => each !== "").map((each) => make("li", {}, each)));
}
