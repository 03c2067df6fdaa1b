// What the map's colours and patterns mean.

import type { Board } from "./board.ts";
import { make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import { Inks, swatch } from "base/web/patterns.ts";
import { scaleBar } from "base/web/scale_bar.ts";
import { isOk, lookOf, NO_FIGURE, type StateLook } from "./states.ts";

function scalePart(board: Board): HTMLElement {
  const { scale, metric } = board;
  if (scale === null) return make("div", { class: "quiet" }, metric.column === null ? "" : `${metric.label}: no edge has this figure.`);
  const marks = [0, 0.5, 1].map((place) => metric.show(Number(scale.at(place).toPrecision(3))));
  return scaleBar(metric.label, marks);
}

/** Rebuilt with every board: a dozen elements. */
export function legend(board: Board): HTMLElement {
  const inks = new Inks();
  const { byState, withFigure } = board.survey;
  const looks: [StateLook, number][] = [...byState].map(([state, edges]) => [lookOf(state), edges]);
  const missing = (byState.get("OK") ?? 0) - withFigure;
  if (board.metric.column !== null && missing > 0) looks.push([NO_FIGURE, missing]);
  const items = looks
    .filter(([look]) => board.metric.column === null || !isOk(look.name))
    .map(([look, edges]) => make("li", { title: look.meaning }, swatch(inks, look), ` ${look.name} `, make("span", { class: "quiet" }, count(edges))));
  return make("div", { class: "legend" }, scalePart(board), make("ul", {}, ...items));
}
