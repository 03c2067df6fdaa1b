// The colours of a scale from better to worse, with figures of some of its places under it.

import { cssColour, make } from "./dom.ts";
import { viridis } from "./scale.ts";

const WIDTH = 260;
const HEIGHT = 14;

/** `marks` stand at even distances; `tick`: a place between 0 and 1 that is marked on the bar. */
export function scaleBar(title: string, marks: string[], tick?: number): HTMLElement {
  const canvas = make("canvas", { class: "bar", width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d")!;
  for (let x = 0; x < WIDTH; ++x) {
    context.fillStyle = `rgb(${viridis(x / (WIDTH - 1)).join(",")})`;
    context.fillRect(x, 0, 1, HEIGHT);
  }
  if (tick !== undefined) {
    context.fillStyle = cssColour("cursor");
    context.fillRect(Math.round(tick * (WIDTH - 2)), 0, 2, HEIGHT);
  }
  const ends = (...parts: (Node | string)[]) =>
    make("div", { class: "ends" }, ...parts.map((part) => (typeof part === "string" ? make("span", {}, part) : part)));
  return make("div", { class: "scale" }, ends("better", make("b", {}, title), "worse"), canvas, ends(...marks));
}
