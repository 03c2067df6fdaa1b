// The last hour of an edge, both ways: round trips and bandwidth, with gaps where nothing is known and bands where it was not OK.

import { axisLook, seriesColour, uPlot } from "base/web/chart.ts";
import { cssColour, make } from "base/web/dom.ts";
import { clock, isNumber, rate, time } from "base/web/format.ts";
import { isOk, lookOf } from "./states.ts";

/** [epoch ms, rtt_p50_ms or null, bw_p50_mbps or null, state] */
export type Point = [number, number | null, number | null, string];
export interface History {
  step_ms: number;
  points: Point[];
}

interface Band {
  from: number; // seconds, as uPlot counts
  to: number;
  state: string;
}

const HEIGHT = 170;

const atSecond = (seconds: number) => clock(seconds * 1000);

/** Points of both directions on one axis of seconds; a hole of the history is a gap, not a line. */
export function joined(histories: (History | null)[], column: 1 | 2): uPlot.AlignedData {
  const times = new Set<number>();
  for (const history of histories) {
    if (history === null) continue;
    history.points.forEach((point, i) => {
      times.add(point[0]);
      const before = history.points[i - 1];
      if (before !== undefined && point[0] - before[0] > 2.5 * history.step_ms) times.add(before[0] + history.step_ms);
    });
  }
  const axis = [...times].sort((a, b) => a - b);
  const series = histories.map((history) => {
    const known = new Map((history?.points ?? []).map((point) => [point[0], point[column]]));
    // undefined: this direction has no point at that moment, and its line goes on; null: it has one, of nothing.
    const ends = new Set<number>();
    history?.points.forEach((point, i) => {
      const before = history.points[i - 1];
      if (before !== undefined && point[0] - before[0] > 2.5 * history.step_ms) ends.add(before[0] + history.step_ms);
    });
    return axis.map((ms) => (known.has(ms) ? known.get(ms) : ends.has(ms) ? null : undefined));
  });
  return [axis.map((ms) => ms / 1000), ...series] as uPlot.AlignedData;
}

/** Times that a direction was not OK. */
export function bands(history: History | null): Band[] {
  const found: Band[] = [];
  let before = "OK";
  for (const [ms, , , state] of history?.points ?? []) {
    const from = ms / 1000;
    const to = from + history!.step_ms / 1000;
    const last = found.at(-1);
    const goesOn = state === before;
    before = state;
    if (isOk(state)) continue;
    if (last !== undefined && goesOn && from - last.to <= (2.5 * history!.step_ms) / 1000) last.to = to;
    else found.push({ from, to, state });
  }
  return found;
}

function drawBands(plot: uPlot, all: Band[][]): void {
  const { ctx, bbox } = plot;
  const height = bbox.height / all.length;
  ctx.save();
  all.forEach((direction, i) => {
    for (const { from, to, state } of direction) {
      const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, Math.max(left + 2, plot.valToPos(to, "x", true)));
      if (right <= left) continue;
      ctx.globalAlpha = 0.3;
      ctx.fillStyle = cssColour(lookOf(state).colour);
      ctx.fillRect(left, bbox.top + i * height, right - left, height);
      ctx.globalAlpha = 1;
      if (right - left < 70) continue;
      ctx.fillStyle = cssColour("ink");
      ctx.textAlign = "left";
      ctx.fillText(state, left + 4, bbox.top + i * height + 14, right - left - 8);
    }
  });
  ctx.restore();
}

interface Chart {
  title: string;
  column: 1 | 2;
  show: (value: number) => string;
}

const CHARTS: Chart[] = [
  { title: "Round trip, p50", column: 1, show: time },
  { title: "Bandwidth, p50", column: 2, show: rate },
];

export class HistoryCharts {
  readonly element = make("div", { class: "history" });
  #plots: uPlot[] = [];
  #bands: Band[][] = [];
  #key = "";

  /** `key` says what is shown: another edge gets charts of its own, an update only new data. */
  show(key: string, names: string[], histories: (History | null)[]): void {
    this.#bands = histories.map(bands);
    if (!histories.some((history) => (history?.points.length ?? 0) > 0)) {
      this.clear();
      this.element.replaceChildren(make("p", { class: "quiet" }, "No history yet: the head's bridge keeps it from when it started, one point a step."));
      return;
    }
    if (key === this.#key) {
      this.#plots.forEach((plot, i) => plot.setData(joined(histories, CHARTS[i]!.column)));
    } else {
      this.clear();
      this.#key = key;
      this.#plots = CHARTS.map((chart) => this.#plot(chart, names, joined(histories, chart.column)));
    }
    this.#tellStates(names);
  }

  clear(): void {
    for (const plot of this.#plots) plot.destroy();
    this.#plots = [];
    this.#key = "";
    this.element.replaceChildren();
  }

  #plot(chart: Chart, names: string[], data: uPlot.AlignedData): uPlot {
    const line = (name: string, i: number): uPlot.Series => ({
      label: name,
      stroke: () => seriesColour(i + 1),
      width: 1.5,
      dash: i === 0 ? [] : [6, 3],
      spanGaps: false,
      points: { size: 4 },
      value: (_, value) => (isNumber(value) ? chart.show(value) : "–"),
    });
    const figure = make("figure", {}, make("figcaption", {}, chart.title));
    this.element.append(figure);
    return new uPlot(
      {
        width: Math.max(260, this.element.clientWidth),
        height: HEIGHT,
        scales: { y: { range: (_, low, high) => (low === null ? [0, 1] : [0, high * 1.1 || 1]) } },
        axes: [
          { ...axisLook, values: (_, ticks, __, ___, step) => ticks.map((tick) => atSecond(tick).slice(0, step < 60 ? 8 : 5)) },
          { ...axisLook, size: 76, values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : chart.show(tick))) },
        ],
        series: [{ value: "{HH}:{mm}:{ss}" }, ...names.map(line)],
        hooks: { drawClear: [(plot) => drawBands(plot, this.#bands)] },
      },
      data,
      figure,
    );
  }

  #tellStates(names: string[]): void {
    const lines = this.#bands.flatMap((direction, i) =>
      direction.slice(-5).map(({ from, to, state }) => make("li", {}, `${names[i]}: ${state} from ${atSecond(from)} to ${atSecond(to)}`)),
    );
    this.element.querySelector(".bands")?.remove();
    const how = make("li", {}, `A band is a time that was not OK: in the upper half of ${names[0]}, in the lower of ${names[1]}.`);
    this.element.append(make("ul", { class: "bands quiet" }, ...(lines.length > 0 ? [how, ...lines] : [make("li", {}, "OK all the time that is known.")])));
  }
}
