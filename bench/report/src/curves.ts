// Rows as curves: by size, by percentile, over all pairs.

import { make } from "base/web/dom.ts";
import { size } from "base/web/format.ts";
import { lineChart, type Line } from "./charts.ts";
import type { Curve, Result, Row } from "./result.ts";
import { distinctNames, figure, groupBy, median, valueOf, wayOf } from "./words.ts";

const MOST_POINTS = 1000;

const isPositive = (value: number | null): value is number => value !== null && value > 0;

/** Of each way of measuring with more than two sizes, the median of its repeats by size. */
export function sweepLines(rows: Row[], kind: string): Line[] {
  const good = rows.filter((row) => row.kind === kind && isPositive(valueOf(row)) && isPositive(row.bytes));
  const keyOf = (row: Row) => JSON.stringify([row.source, row.target, row.transport, row.mode, row.device, row.direction, row.streams, row.load]);
  const curves = [...groupBy(good, keyOf).values()]
    .map((same) => [...groupBy(same, (row) => row.bytes!)].sort((a, b) => a[0] - b[0]))
    .filter((sizes) => sizes.length > 2);
  const names = distinctNames(curves.map((sizes) => ({ ...sizes[0]![1][0]!, bytes: null, repeat: null })));
  return curves.map((sizes, i) => ({ label: names[i]!, points: sizes.map(([bytes, same]) => [bytes, median(same.map(valueOf))!]) }));
}

export function percentileLines(curves: Curve[]): Line[] {
  const names = distinctNames(curves.map((curve) => curve.row));
  return curves.map(({ points }, i) => ({ label: names[i]!, points: points.filter(([, us]) => us > 0) }));
}

/** One curve for each way of measuring, over all its pairs. */
export function pairLines(pings: Row[]): Line[] {
  const groups = groupBy(pings, (row) => `${wayOf(row)}${row.bytes === null ? "" : `, ${size(row.bytes)}`}`);
  return [...groups]
    .filter(([, rows]) => rows.length > 2)
    .map(([label, rows]) => {
      const sorted = rows
        .map(valueOf)
        .filter(isPositive)
        .sort((a, b) => a - b);
      const last = sorted.length - 1;
      const steps = Math.min(last, MOST_POINTS);
      const point = (i: number): [number, number] => [(100 * i) / Math.max(1, steps), sorted[Math.round((i / Math.max(1, steps)) * last)]!];
      return { label, points: Array.from({ length: steps + 1 }, (_, i) => point(i)) };
    });
}

function sweepChart(rows: Row[], kind: string): HTMLElement | null {
  const isBandwidth = kind === "bw";
  const y = isBandwidth ? "Gb/s" : "µs (logarithmic)";
  const title = isBandwidth ? "Bandwidth by message size" : "Median round-trip time by payload size";
  return lineChart(title, sweepLines(rows, kind), { x: "bytes (logarithmic)", showX: size, ofSizes: true, y, logarithmic: !isBandwidth });
}

function percentileChart({ rows, curves }: Result): HTMLElement | null {
  const drawn = curves.filter((curve) => curve.points.length > 1);
  const pings = rows.filter((row) => row.kind === "ping" && row.error === null);
  const y = { y: "µs (logarithmic)", logarithmic: true };
  // Too many for a curve each: only of the first rows the percentiles are here.
  if (drawn.length === 0 || drawn.length < pings.length)
    return lineChart("Median round-trip time over all pairs, sorted", pairLines(pings), { x: "% of the pairs", showX: (x) => `${figure(x)} %`, ...y });
  return lineChart("Round-trip time by percentile", percentileLines(drawn), { x: "percentile", showX: (x) => `p${figure(x)}`, ...y });
}

export function curvesSection(result: Result): HTMLElement[] {
  const charts = [sweepChart(result.rows, "ping"), sweepChart(result.rows, "bw")];
  const isSweep = charts.some((chart) => chart !== null);
  if (!isSweep || result.rows.length <= 24) charts.push(percentileChart(result));
  const drawn = charts.filter((chart) => chart !== null);
  return drawn.length === 0 ? [] : [make("h2", {}, "Curves"), make("div", { class: "charts" }, ...drawn)];
}
