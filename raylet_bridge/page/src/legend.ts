// What the map's colours and patterns mean.

import type { Board } from "./board.ts";
import { make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import { Inks, swatch } from "base/web/patterns.ts";
import { viridis } from "base/web/scale.ts";
import { isOk, lookOf, NO_FIGURE, type StateLook } from "./states.ts";

const WIDTH = 260;
const HEIGHT = 14;

function bar(): HTMLCanvasElement {
  const canvas = make("canvas", { class: "bar", width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d")!;
  for (let x = 0; x < WIDTH; ++x) {
    context.fillStyle = `rgb(${viridis(x / (WIDTH - 1)).join(",")})`;
    context.fillRect(x, 0, 1, HEIGHT);
  }
  return canvas;
}

function scalePart(board: Board): HTMLElement {
  const { scale, metric } = board;
  if (scale === null) return make("div", { class: "quiet" }, metric.column === null ? "" : `${metric.label}: no edge has this figure.`);
  const marks = [0, 0.5, 1].map((place) => make("span", {}, metric.show(Number(scale.at(place).toPrecision(3)))));
  return make(
    "div",
    { class: "scale" },
    make("div", { class: "ends" }, make("span", {}, "better"), make("b", {}, metric.label), make("span", {}, "worse")),
    bar(),
    make("div", { class: "ends" }, ...marks),
  );
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
