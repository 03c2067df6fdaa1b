// What report.cc writes into the page, for the tests.

import { readReport } from "../src/read_result.ts";
import type { Result } from "../src/result.ts";

/** Rows as report.cc packs them: [series, source, target, repeat, figures or the place of a failure's text]. */
export interface Packed {
  head?: unknown;
  texts?: string[];
  series?: unknown[];
  rows?: (number | null)[][];
  curves?: { row: number; points: [number, number][] }[];
  summaries?: unknown[];
}

export function read(packed: Packed): Result {
  const document = { path: "run.json", note: "", head: {}, texts: [], series: [], rows: [], curves: [], summaries: [], ...packed };
  return readReport(JSON.stringify({ version: "0.1.0", made_at_ms: 0, documents: [document] })).results[0]!;
}

export const PING = { kind: "ping", transport: "tcp", mode: "stream", device: "", bytes: 64 };
export const BW = { kind: "bw", transport: "tcp", mode: "stream", device: "", direction: "to_peer", streams: 1 };

/** p50 of a round trip, and of the network's share of it. */
export const pingRow = (series: number, source: number, target: number, p50: number | null, network: number | null = null, repeat = 1) => [
  series,
  source,
  target,
  repeat,
  p50,
  p50,
  p50,
  p50,
  network,
  network,
  100,
  0,
];
export const bwRow = (series: number, source: number, target: number, avg: number | null, repeat = 1) => [series, source, target, repeat, avg, avg, avg, null];
