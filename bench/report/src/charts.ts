// Charts of the report: lines over a figure, and groups of bars. Under each stand its names, and the figures at the pointer.

import { make } from "base/web/dom.ts";
import { axisLook, seriesColour, uPlot } from "base/web/chart.ts";
import { isNumber } from "base/web/format.ts";
import { figure } from "./words.ts";

const HEIGHT = 320;
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const COLOURS = 7; // --series-1 … of the style
const POWERS = Array.from({ length: 14 }, (_, i) => 8 ** i); // sizes are powers of two: so are their marks

export interface Line {
  label: string;
  points: [x: number, y: number][];
}

export interface LineAxes {
  x: string;
  showX: (x: number) => string;
  ofSizes?: boolean; // bytes, on a logarithmic axis
  y: string;
  logarithmic: boolean;
}

export interface Bars {
  label: string;
  series: number; // whose colour they have
  isFaint: boolean;
  values: (number | null)[]; // one a group
}

const shown = (value: unknown) => (isNumber(value) ? figure(value) : "–");

/** Round numbers between two positive ones: powers of ten, or finer where those are too few. */
export function logarithmicTicks(low: number, high: number): number[] {
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 }, (_, i) => 10 ** (Math.floor(Math.log10(low)) + i));
  const steps = [[1], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9], Array.from({ length: 90 }, (_, i) => 1 + i / 10)];
  const ticks = steps.map((each) => powers.flatMap((power) => each.map((step) => step * power)).filter((tick) => tick >= low && tick <= high));
  return ticks.find((each) => each.length >= 4) ?? ticks.at(-1)!;
}

/** Points of all lines on one axis. undefined: a line has no point there, and goes on. */
export function joined(lines: Line[]): uPlot.AlignedData {
  const axis = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  return [
    axis,
    ...lines.map(({ points }) => {
      const known = new Map(points);
      return axis.map((x) => known.get(x));
    }),
  ];
}

/** The place in a line that is nearest to a place on the axis. */
export function nearest(values: ArrayLike<number | null | undefined>, at: number): number {
  for (let away = 0; away < values.length; ++away) for (const place of [at - away, at + away]) if (isNumber(values[place])) return place;
  return at;
}

function yAxis(label: string, logarithmic: boolean): uPlot.Axis {
  const splits = logarithmic
    ? { splits: (_: uPlot, __: number, low: number, high: number) => logarithmicTicks(low, high), filter: (_: uPlot, all: number[]) => all }
    : {};
  return { ...axisLook, ...splits, label, size: 64, values: (_, ticks) => ticks.map(shown) };
}

function yScale(logarithmic: boolean, below: number): uPlot.Scale {
  if (!logarithmic) return { range: (_, __, high) => [0, high * 1.05 || 1] };
  return { distr: 3, range: (_, low, high) => (low === null ? [1, 10] : [low / below, high * 1.1]) };
}

/** As wide as there is room; made when the figure first stands in the document. */
function figureOf(title: string, options: Omit<uPlot.Options, "width" | "height">, data: uPlot.AlignedData): HTMLElement {
  const element = make("figure", { class: "chart" }, make("figcaption", {}, title));
  let plot: uPlot | null = null;
  new ResizeObserver(() => {
    const size = { width: Math.max(260, element.clientWidth), height: HEIGHT };
    if (plot === null) plot = new uPlot({ ...options, ...size }, data, element);
    else if (plot.width !== size.width) plot.setSize(size);
  }).observe(element);
  return element;
}

/** null: there is nothing to draw. */
export function lineChart(title: string, all: Line[], axes: LineAxes): HTMLElement | null {
  const lines = all.filter(({ points }) => points.length > 0);
  if (lines.length === 0) return null;
  const line = ({ label }: Line, i: number): uPlot.Series => ({
    label,
    stroke: () => seriesColour((i % COLOURS) + 1),
    width: 2,
    dash: DASHES[Math.floor(i / COLOURS) % DASHES.length]!,
    spanGaps: true,
    points: { show: axes.ofSizes === true, size: 5 },
    value: (_, value) => shown(value),
  });
  const sizes = axes.ofSizes === true;
  const splits = sizes
    ? {
        splits: (_: uPlot, __: number, low: number, high: number) => POWERS.filter((size) => size >= low && size <= high),
        filter: (_: uPlot, all: number[]) => all,
      }
    : {};
  return figureOf(
    title,
    {
      scales: {
        x: { time: false, range: (_, low, high) => (low < high ? [low, high] : [low - 1, high + 1]), ...(sizes ? { distr: 3, log: 2 } : {}) },
        y: yScale(axes.logarithmic, 1.1),
      },
      axes: [{ ...axisLook, ...splits, label: axes.x, values: (_, ticks) => ticks.map(axes.showX) }, yAxis(axes.y, axes.logarithmic)],
      series: [{ label: axes.x, value: (_, x) => (isNumber(x) ? axes.showX(x) : "–") }, ...lines.map(line)],
      cursor: { dataIdx: (plot, series, at) => (series === 0 ? at : nearest(plot.data[series]!, at)) },
    },
    joined(lines),
  );
}

/** Groups of bars side by side: each bar has an x of its own, with a place left free between groups. */
export function barChart(title: string, groups: string[], bars: Bars[], y: string): HTMLElement {
  const each = bars.length;
  const places = groups.flatMap((_, group) => bars.map((_, bar) => group * (each + 1) + bar));
  const data = bars.map((_, bar) => groups.flatMap((_, group) => bars.map((it, other) => (other === bar ? it.values[group]! : null))));
  const groupAt = (x: number) => Math.floor(x / (each + 1));
  const series = ({ label, series, isFaint }: Bars): uPlot.Series => ({
    label,
    width: 0,
    fill: () => `${seriesColour(series)}${isFaint ? "88" : ""}`,
    points: { show: false },
    value: (_, value) => shown(value),
    paths: uPlot.paths.bars!({ size: [0.9, 60] }),
    fillTo: (plot) => plot.scales.y!.min!,
  });
  return figureOf(
    title,
    {
      scales: { x: { time: false, range: (_, low, high) => [low - 1, high + 1] }, y: yScale(true, 2) },
      axes: [
        { ...axisLook, grid: { show: false }, splits: () => groups.map((_, group) => group * (each + 1) + (each - 1) / 2), values: () => groups },
        yAxis(y, true),
      ],
      series: [{ label: "measurement", value: (_, x) => (isNumber(x) ? groups[groupAt(x)]! : "–") }, ...bars.map(series)],
      cursor: { points: { show: false }, dataIdx: (_, series, at) => (series === 0 ? at : Math.floor(at / each) * each + series - 1) },
    },
    [places, ...data],
  );
}
