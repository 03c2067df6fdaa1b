// The documents of a report, as what draws them takes them.

export interface Port {
  name: string;
  netdev: string;
  rdmaDevice: string;
  fabric: string;
  rail: number | null;
  speedGbps: number | null;
  state: string;
}

export interface ResultNode {
  name: string;
  hostname: string;
  address: string;
  port: string;
  alive: boolean | null; // null: nobody asked it
  reason: string;
  ports: Port[];
}

export interface Suspect {
  what: string; // "node", "link", "path"
  nodes: string[];
  transport: string;
  ofBandwidth: boolean;
  unit: string;
  measured: number | null;
  classMedian: number | null;
  expected: number | null;
  evidence: string[];
}

export interface Check {
  row: number | null;
  check: string;
  limit: number | null;
  value: number | null;
  passed: boolean;
}

/** What `loaded` says of its own rows. */
export interface LoadedSummary {
  way: string;
  repeat: number | null;
  addedUs: number | null;
  priorityAddedUs: number | null;
  rpm: number | null;
  formula: string;
}

export interface Series {
  kind: string; // "ping", "bw"
  transport: string;
  mode: string;
  device: string;
  direction: string;
  load: string;
  clock: string;
  wait: string;
  fabric: string;
  rail: number | null;
  streams: number | null;
  bytes: number | null; // of a payload or a message
}

/** Of figures, those of its kind; none of a failure. Round trips in µs, bandwidth in Gb/s. */
export interface Row extends Series {
  source: string;
  target: string;
  repeat: number | null;
  error: string | null;
  p50: number | null;
  p99: number | null;
  min: number | null;
  max: number | null;
  networkP50: number | null;
  networkP99: number | null;
  samples: number | null;
  lost: number | null;
  avg: number | null;
  worst: number | null;
  percent: number | null;
}

/** Percentiles of one row: [percentile, µs]. */
export interface Curve {
  row: Row;
  points: [number, number][];
}

export interface Result {
  path: string;
  note: string;
  command: string;
  target: string;
  hostname: string;
  version: string;
  kernel: string;
  cpu: string;
  startedAtMs: number | null;
  endedAtMs: number | null;
  arguments: string;
  interrupted: boolean;
  nodes: ResultNode[];
  suspects: Suspect[] | null; // null: nobody looked for them to the end
  judged: boolean | null;
  notJudgedReason: string;
  checks: Check[];
  further: [name: string, words: string][]; // what else the document says of itself
  rows: Row[];
  curves: Curve[];
  summaries: LoadedSummary[];
}

export interface Report {
  version: string;
  madeAtMs: number;
  results: Result[];
}
