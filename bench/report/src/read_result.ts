// Reads what netsense-bench writes into the page (bench/report/report.cc). A document may be old, cut off or edited by hand: every field is
// looked at here, once; what is not what the schema says is text, or not known.

import { isNumber } from "base/web/format.ts";
import { harmless } from "base/web/json.ts";
import type schema from "../../schema/result.schema.json";
import type { Check, LoadedSummary, Port, Report, Result, ResultNode, Row, Series, Suspect } from "./result.ts";

type Definitions = (typeof schema)["$defs"];
/** The fields that the schema gives an object: one that it does not have fails the type check. */
type FieldOf<D extends keyof Definitions> = Definitions[D] extends { properties: infer P } ? keyof P & string : never;
type DocumentField = keyof (typeof schema)["properties"];
/** What rows of the same measurement between other nodes have in common, as report.cc gathers it. */
type SeriesField = FieldOf<"ping"> | FieldOf<"bw"> | "fabric" | "rail" | "bytes" | "wait";
/** Beside what the schema knows of it, matrix tells a node's ports. */
type NodeField = FieldOf<"node"> | "ports";
type PortField = "name" | "netdev" | "rdma_device" | "fabric" | "rail" | "speed_gbps" | "state";

interface Packed {
  path: string;
  note: string;
  head: unknown;
  texts: string[];
  series: unknown[];
  rows: (number | null)[][];
  curves: { row: number; points: [number, number][] }[];
  summaries: unknown[];
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number | null => (isNumber(value) ? value : null);

function text(value: unknown): string {
  if (value === null || value === undefined) return "";
  return harmless(typeof value === "object" ? JSON.stringify(value) : String(value));
}

/** In words: "pairs 6, rounds 3". */
function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join(", ");
  return isObject(value)
    ? Object.entries(value)
        .map(([name, inner]) => `${name} ${plain(inner)}`)
        .join(", ")
    : text(value);
}

/** An object of the document, or what stands in its place. */
class Fields<Name extends string> {
  constructor(readonly json: unknown) {}
  get = (name: Name): unknown => (isObject(this.json) ? this.json[name] : undefined);
  text = (name: Name): string => text(this.get(name));
  number = (name: Name): number | null => number(this.get(name));
  list = (name: Name): unknown[] => list(this.get(name));
  flag = (name: Name): boolean | null => (typeof this.get(name) === "boolean" ? (this.get(name) as boolean) : null);
}

function readPort(json: unknown): Port {
  const port = new Fields<PortField>(json);
  return {
    name: isObject(json) ? port.text("name") : text(json),
    netdev: port.text("netdev"),
    rdmaDevice: port.text("rdma_device"),
    fabric: port.text("fabric"),
    rail: port.number("rail"),
    speedGbps: port.number("speed_gbps"),
    state: port.text("state"),
  };
}

function readNode(json: unknown): ResultNode {
  const node = new Fields<NodeField>(json);
  return {
    name: node.text("name"),
    hostname: node.text("hostname"),
    address: node.text("address"),
    port: node.text("port"),
    alive: node.flag("alive"),
    reason: node.text("reason"),
    ports: node
      .list("ports")
      .filter((port) => port !== null)
      .map(readPort),
  };
}

function readSuspect(json: unknown): Suspect {
  const suspect = new Fields<FieldOf<"suspect">>(json);
  return {
    what: suspect.text("what"),
    nodes: suspect.list("nodes").map(text),
    transport: suspect.text("transport"),
    ofBandwidth: suspect.get("metric") === "bw",
    unit: suspect.get("unit") === "gbps" ? "Gb/s" : "µs",
    measured: suspect.number("measured"),
    classMedian: suspect.number("class_median"),
    expected: suspect.number("expected"),
    evidence: suspect.list("evidence").map(text),
  };
}

function readCheck(json: unknown): Check {
  const check = new Fields<FieldOf<"check">>(json);
  return {
    row: check.number("row"),
    check: check.text("check"),
    limit: check.number("limit"),
    value: check.number("value"),
    passed: check.get("passed") === true,
  };
}

function readSummary(json: unknown): LoadedSummary {
  const summary = new Fields<FieldOf<"loaded">>(json);
  return {
    way: [summary.text("transport"), summary.text("mode")].filter(Boolean).join(" "),
    repeat: summary.number("repeat"),
    addedUs: summary.number("added_us"),
    priorityAddedUs: summary.number("priority_added_us"),
    rpm: summary.number("rpm"),
    formula: summary.text("formula"),
  };
}

function readSeries(json: unknown): Series {
  const series = new Fields<SeriesField>(json);
  return {
    kind: series.text("kind"),
    transport: series.text("transport"),
    mode: series.text("mode"),
    device: series.text("device"),
    direction: series.text("direction"),
    load: series.text("load"),
    clock: series.text("timestamp_source"),
    wait: series.text("wait"),
    fabric: series.text("fabric"),
    rail: series.number("rail"),
    streams: series.number("streams"),
    bytes: series.number("bytes"),
  };
}

const NO_FIGURES = {
  p50: null,
  p99: null,
  min: null,
  max: null,
  networkP50: null,
  networkP99: null,
  samples: null,
  lost: null,
  avg: null,
  worst: null,
  percent: null,
};

/** A row as report.cc packs it: the places of series and texts, the repeat, then a failure's text or the figures of the kind. */
function unpackRow(packed: (number | null)[], series: Series[], texts: string[]): Row {
  const own = series[packed[0]!]!;
  const figures = packed.slice(4).map(number);
  const row = { ...own, ...NO_FIGURES, source: texts[packed[1]!]!, target: texts[packed[2]!]!, repeat: number(packed[3]), error: null };
  if (packed.length === 5) return { ...row, error: texts[packed[4]!]! };
  if (own.kind === "bw") {
    const [avg = null, worst = null, , percent = null] = figures;
    return { ...row, avg, worst, percent };
  }
  const [p50 = null, p99 = null, min = null, max = null, networkP50 = null, networkP99 = null, samples = null, lost = null] = figures;
  return { ...row, p50, p99, min, max, networkP50, networkP99, samples, lost };
}

const SHOWN_BY_NAME: DocumentField[] = [
  "schema_version",
  "command",
  "target",
  "version",
  "hostname",
  "kernel",
  "cpu",
  "arguments",
  "started_at_ms",
  "ended_at_ms",
  "interrupted",
  "nodes",
  "suspects",
  "judged",
  "not_judged_reason",
  "checks",
];

function readResult(packed: Packed): Result {
  const head = new Fields<DocumentField>(packed.head);
  const series = packed.series.map(readSeries);
  const texts = packed.texts.map(harmless);
  const rows = packed.rows.map((row) => unpackRow(row, series, texts));
  return {
    path: harmless(packed.path),
    note: harmless(packed.note),
    command: head.text("command"),
    target: head.text("target"),
    hostname: head.text("hostname"),
    version: head.text("version"),
    kernel: head.text("kernel"),
    cpu: head.text("cpu"),
    startedAtMs: head.number("started_at_ms"),
    endedAtMs: head.number("ended_at_ms"),
    arguments: head.list("arguments").map(text).join(" "),
    interrupted: head.get("interrupted") === true,
    nodes: head.list("nodes").filter(isObject).map(readNode),
    suspects: Array.isArray(head.get("suspects")) ? head.list("suspects").map(readSuspect) : null,
    judged: head.flag("judged"),
    notJudgedReason: head.text("not_judged_reason"),
    checks: head.list("checks").map(readCheck),
    further: Object.entries(isObject(packed.head) ? packed.head : {})
      .filter(([name]) => !SHOWN_BY_NAME.some((shown) => shown === name))
      .map(([name, value]) => [harmless(name), plain(value)]),
    rows,
    curves: packed.curves.map(({ row, points }) => ({ row: rows[row]!, points })),
    summaries: packed.summaries.map(readSummary),
  };
}

export function readReport(json: string): Report {
  const data = JSON.parse(json) as { version: string; made_at_ms: number; documents: Packed[] };
  return { version: data.version, madeAtMs: data.made_at_ms, results: data.documents.map(readResult) };
}
