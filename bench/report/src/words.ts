// Rows and nodes in words. Round trips are in µs and bandwidth in Gb/s throughout, so that figures of a table can be compared.

import { count, fourDigits, isNumber, NOT_KNOWN, size } from "base/web/format.ts";
import type { ResultNode, Row, Series } from "./result.ts";

export const figure = (value: number | null) => (value === null ? "–" : Number.isInteger(value) ? count(value) : fourDigits(value));
export const withUnit = (value: number | null, unit: string) => (value === null ? NOT_KNOWN : `${figure(value)} ${unit}`);
export const unitOf = (kind: string) => (kind === "bw" ? "Gb/s" : "µs");

/** The wall clock of nobody in particular: "2026-11-28 01:31:31 UTC". */
export function utc(epochMs: number | null): string {
  return epochMs === null
    ? ""
    : new Date(epochMs)
        .toISOString()
        .replace("T", " ")
        .replace(/\.\d+Z$/, " UTC");
}

/** What a row's figure is judged by: the network's share where a clock told it. */
export function valueOf(row: Row): number | null {
  if (row.error !== null) return null;
  return row.kind === "bw" ? row.avg : (row.networkP50 ?? row.p50);
}

export function wayOf(series: Series): string {
  const rail = series.rail === null ? "" : `rail ${series.rail}`;
  const streams = series.streams ?? 1;
  const parts = [series.transport, series.mode, series.fabric, rail, series.direction, series.load, streams === 1 ? "" : `${streams} streams`];
  return parts.filter(Boolean).join(" ");
}

/** "10.0.0.7:18590 (gpu-7)". */
export function fullName({ name, hostname }: Pick<ResultNode, "name" | "hostname">): string {
  return hostname !== "" && hostname !== name ? `${name} (${hostname})` : name;
}

export function rowInWords(row: Row): string {
  const where = row.device === "" ? "" : `${row.device}: `;
  if (row.error !== null) return `${where}failed: ${row.error}`;
  if (row.kind === "bw") {
    const expected = row.percent === null ? "" : `, ${figure(row.percent)} % of what was expected`;
    return `${where}${withUnit(row.avg, "Gb/s")} on average, worst window ${withUnit(row.worst, "Gb/s")}${expected}`;
  }
  const network = row.networkP50 === null ? "" : ` (network ${figure(row.networkP50)})`;
  const range = `${figure(row.min)} to ${figure(row.max)}, ${figure(row.samples)} samples, ${figure(row.lost)} lost`;
  return `${where}p50 ${withUnit(row.p50, "µs")}${network}, p99 ${withUnit(row.p99, "µs")}, ${range}`;
}

/** Of several rows, the words of each that not all have. */
export function distinctNames(rows: Row[]): string[] {
  const fields: ((row: Row) => string)[] = [
    (row) => `${row.source} → ${row.target}`,
    (row) => row.transport,
    (row) => row.mode,
    (row) => row.device,
    (row) => row.direction,
    (row) => (row.bytes === null ? "" : size(row.bytes)),
    (row) => (row.streams === null ? "" : `${row.streams} streams`),
    (row) => row.load,
    (row) => row.wait,
    (row) => (row.repeat === null ? "" : `run ${row.repeat}`),
  ];
  const telling = fields.filter((field) => new Set(rows.map(field)).size > 1);
  const used = telling.length > 0 ? telling : [fields[1]!, fields[2]!];
  return rows.map(
    (row) =>
      used
        .map((field) => field(row))
        .filter(Boolean)
        .join(" ") || row.kind,
  );
}

export function median(values: (number | null)[]): number | null {
  const sorted = values.filter(isNumber).sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** By a key, in the order in which the keys first came. */
export function groupBy<T, K>(items: T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}
