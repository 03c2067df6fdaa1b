// The heat maps: one for each way of measuring. Brighter is worse, for round trips as for bandwidth.

import { make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import { cellAt, moved, placeCursor } from "base/web/heatmap_cursor.ts";
import { makePixels, margins, NAMES_FROM, needsPatternPixels, paint, type Cells, type Frame } from "base/web/heatmap_paint.ts";
import { Inks, swatch } from "base/web/patterns.ts";
import { shade } from "base/web/scale.ts";
import { scaleBar } from "base/web/scale_bar.ts";
import { layersOf, type Layer } from "./layers.ts";
import { FAILED, Figures, NOT_MEASURED } from "./map_figures.ts";
import type { Result, ResultNode } from "./result.ts";
import { unitOf, withUnit } from "./words.ts";

const LARGEST = 768; // pixels of a map's side
const LARGEST_CELL = 46;

function cellsOf(figures: Figures, suspects: Set<string>, inks: Inks): Cells {
  const { nodes } = figures;
  const looks = (from: number, to: number) => (from === to && figures.at(from, to).rows === null ? null : figures.look(from, to));
  return {
    names: nodes.map(({ name, alive }) => {
      const isMarked = suspects.has(name);
      return { text: isMarked ? `▶ ${name}` : name, colour: isMarked ? "bad-text" : alive === false ? "node-dead" : "ink", isMarked };
    }),
    look: looks,
    pixel: (row, column, patterned) => {
      const { rows, middle } = figures.at(row, column);
      if (row === column && rows === null) return inks.diagonal;
      const look = figures.look(row, column);
      return look === null ? shade(figures.scale!.scale, middle!) : inks.pixel(look, row, column, patterned);
    },
  };
}

function legendOf({ scale, layer }: Figures, hasSuspects: boolean, inks: Inks): HTMLElement {
  const unit = unitOf(layer.kind);
  const bar =
    scale === null
      ? make("div", {}, "nothing was measured")
      : scaleBar(
          `median ${withUnit(scale.middle, unit)}`,
          [scale.scale.best, scale.scale.worst].map((end) => withUnit(Number(end.toPrecision(4)), unit)),
          scale.scale.place(scale.middle),
        );
  const keys = [FAILED, NOT_MEASURED].map((look) => make("span", {}, swatch(inks, look), ` ${look.name}`));
  if (hasSuspects) keys.push(make("span", {}, "▶ suspect"));
  return make("div", { class: "legend" }, bar, make("div", { class: "keys" }, ...keys));
}

function heatMap(layer: Layer, nodes: ResultNode[], suspects: Set<string>): HTMLElement {
  const n = nodes.length;
  const figures = new Figures(layer, nodes);
  const inks = new Inks();
  const cells = cellsOf(figures, suspects, inks);
  const cell = Math.max(2, Math.min(LARGEST_CELL, Math.floor(LARGEST / n)));
  const isNamed = cell >= NAMES_FROM;
  const frame: Frame = { ...margins(cells.names, cell), side: cell * n, cell, firstRow: 0, firstColumn: 0 };
  const width = frame.left + frame.side + (isNamed ? 76 : 12); // the last column's name leans out to the right
  const height = frame.top + frame.side + 4;

  const readout = make("output", { class: "readout", "aria-live": "polite" });
  const hint = `${layer.title}: ${n} by ${n} nodes; arrow keys move from cell to cell`;
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-label": hint });
  const cursor = make("div", { class: "cursor", hidden: true });
  const board = make("div", { class: "board" }, canvas, cursor);
  const element = make("figure", { class: "map" }, make("h3", {}, layer.title), readout, board, legendOf(figures, suspects.size > 0, inks));
  readout.style.width = `${Math.max(420, width)}px`;
  readout.style.maxWidth = "100%";
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;

  const [measured, all] = figures.pairs();
  const ways = layer.kind === "ping" ? ", measured from either side" : ". Rows measure columns";
  const numbers = isNamed ? "" : "nodes are numbered as in the list below; ";
  readout.textContent = `${count(measured)} of ${count(all)} pairs have a figure${ways}; ${numbers}point at a cell, or use the arrow keys.`;

  let at: [number, number] | null = null;
  const select = (chosen: [number, number]) => {
    at = chosen;
    placeCursor(cursor, at, frame);
    readout.textContent = figures.tell(...at);
  };
  canvas.addEventListener("mousemove", (event) => {
    const pointed = cellAt(event, frame, n);
    if (pointed !== null) select(pointed);
  });
  canvas.addEventListener("keydown", (event) => {
    const next = moved(event.key, at, n);
    if (next === null) return;
    event.preventDefault();
    select(next);
  });
  // Drawn when it is first seen: a cluster of eight rails has many.
  const draw = () => {
    paint(canvas, width, height, cells, inks, makePixels(cells, needsPatternPixels(cell)), frame);
    canvas.dataset.drawn = `${frame.left} ${frame.top} ${cell}`;
  };
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      draw();
    },
    { rootMargin: "400px" },
  );
  observer.observe(element);
  return element;
}

export function mapsSection({ rows, nodes, suspects }: Result): HTMLElement[] {
  const layers = nodes.length < 2 ? [] : layersOf(rows, nodes);
  if (layers.length === 0) return [];
  const suspectNodes = new Set((suspects ?? []).filter((suspect) => suspect.what === "node").flatMap((suspect) => suspect.nodes));
  return [
    make("h2", {}, "Maps"),
    make("p", { class: "quiet" }, "Bright is worse, in every map. Round-trip time is the network's share where a clock told it, else the full round trip."),
    make("div", { class: "maps" }, ...layers.map((layer) => heatMap(layer, nodes, suspectNodes))),
  ];
}
