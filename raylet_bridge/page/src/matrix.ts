// The document of GET /api/v0/network_matrix: a JSON header and columns of n × n figures, one set a layer.
//
// Columns are views into the answer's own bytes, so 512 nodes cost their 8 MB once. Row = source, column = destination.

import { parseJson } from "base/web/json.ts";

export interface MatrixNode {
  node_id: string;
  address: string;
  hostname: string;
  is_head: boolean;
  state: string;
  reason: string;
  reachable: boolean;
  report_age_ms: number | null;
}

/** A node that ended without saying so. It has no edges. */
export interface LostNode {
  node_id: string;
  address: string;
  hostname: string;
  lost_age_ms: number;
  reason: string;
}

export const FIGURES = ["rtt_p50_ms", "network_rtt_p50_ms", "jitter_ms", "bw_p50_mbps", "bw_percent", "rtt_age_ms", "bw_age_ms"] as const;
export type FigureName = (typeof FIGURES)[number];

export interface LayerName {
  transport: string;
  fabric: string;
  rail: number | null;
}

/** What is to be said of a layer's edges before its figures are here. */
export interface LayerCounts {
  not_ok: number; // without what is unknown or stale
  unknown: number;
  slow_bandwidth: number;
  slow_rtt: number;
}

/** Bits of Layer.slow. */
export const SLOW_BANDWIDTH = 1;
export const SLOW_RTT = 2;

/** One transport over one fabric and rail. NaN = not known. */
export interface Layer extends LayerName {
  state: Uint8Array; // indexes Matrix.states; NO_EDGE
  slow: Uint8Array; // of OK edges: SLOW_BANDWIDTH, SLOW_RTT, or both; 0 = not slow
  reason: Uint16Array; // indexes Matrix.reasons; 0 = none; of a slow edge: beside what
  bwLifeMs: number; // so old a bandwidth may become; NaN = none is probed
  figures: Record<FigureName, Float32Array>;
}

export const NO_EDGE = 255;

export interface Matrix {
  generatedAtMs: number;
  message: string;
  warnings: string[];
  version: string;
  nodes: MatrixNode[];
  lost: LostNode[];
  states: string[];
  reasons: string[];
  layerNames: LayerName[];
  layerCounts: LayerCounts[]; // of each of them
  /** Only the layer that was asked for is here; null = the document has no figures. */
  layer: Layer | null;
}

interface Column {
  name: string;
  type: string;
  offset: number;
}

const SIZES: Record<string, number> = { u8: 1, u16: 2, f32: 4 };

function view(bytes: ArrayBuffer, column: Column, length: number): Uint8Array | Uint16Array | Float32Array {
  const size = SIZES[column.type];
  if (size === undefined) throw new Error(`column ${column.name} has the type ${column.type}`);
  if (!Number.isInteger(column.offset) || column.offset < 0 || column.offset % size !== 0 || column.offset + length * size > bytes.byteLength)
    throw new Error(`column ${column.name} lies outside of the document`);
  if (column.type === "u8") return new Uint8Array(bytes, column.offset, length);
  if (column.type === "u16") return new Uint16Array(bytes, column.offset, length);
  return new Float32Array(bytes, column.offset, length);
}

function decodeLayer(bytes: ArrayBuffer, name: LayerName, columns: Column[], bwLifeMs: number, n: number): Layer {
  const found = new Map(columns.map((column) => [column.name, view(bytes, column, n * n)]));
  const state = found.get("state");
  const slow = found.get("slow");
  const reason = found.get("reason");
  if (!(state instanceof Uint8Array)) throw new Error("the document has no column of states");
  const figures = {} as Record<FigureName, Float32Array>;
  for (const each of FIGURES) {
    const column = found.get(each);
    figures[each] = column instanceof Float32Array ? column : new Float32Array(n * n).fill(NaN);
  }
  return {
    ...name,
    state,
    slow: slow instanceof Uint8Array ? slow : new Uint8Array(n * n),
    bwLifeMs,
    reason: reason instanceof Uint16Array ? reason : new Uint16Array(n * n),
    figures,
  };
}

/** Throws what is wrong with a document that is not one. */
export function decodeMatrix(bytes: ArrayBuffer): Matrix {
  const data = new DataView(bytes);
  if (bytes.byteLength < 8 || data.getUint32(0, false) !== 0x4e534d31) throw new Error("the answer is no NSM1 document");
  const headerBytes = data.getUint32(4, true);
  if (8 + headerBytes > bytes.byteLength) throw new Error("the document is cut off");
  const header = parseJson(new Uint8Array(bytes, 8, headerBytes));
  if (header.schema_version !== 1) throw new Error(`the document has schema version ${header.schema_version}, this page reads 1: reload the page`);
  const nodes: MatrixNode[] = header.nodes;
  const layers: (LayerName & Partial<LayerCounts> & { columns: Column[]; bw_life_ms?: number | null })[] = header.layers;
  const filled = layers.find((layer) => layer.columns.length > 0);
  const nameOf = ({ transport, fabric, rail }: LayerName): LayerName => ({ transport, fabric, rail: rail ?? null });
  return {
    generatedAtMs: header.generated_at_ms,
    message: header.message ?? "",
    warnings: header.warnings ?? [],
    version: header.version ?? "",
    nodes,
    lost: header.lost_nodes ?? [],
    states: header.states,
    reasons: header.reasons,
    layerNames: layers.map(nameOf),
    layerCounts: layers.map(({ not_ok = 0, unknown = 0, slow_bandwidth = 0, slow_rtt = 0 }) => ({ not_ok, unknown, slow_bandwidth, slow_rtt })),
    layer: filled === undefined ? null : decodeLayer(bytes, nameOf(filled), filled.columns, filled.bw_life_ms ?? NaN, nodes.length),
  };
}

/** "tcp/ethernet/rail 0": what a layer is called, on the page and in its address. */
export function layerTitle(layer: LayerName): string {
  const parts = [layer.transport, layer.fabric || "fabric not known"];
  if (layer.rail !== null) parts.push(`rail ${layer.rail}`);
  return parts.join(" · ");
}

/** The place of the layer with most edges that are not OK, or else slow, or else unknown; the first where all are good. */
export function worstLayer(counts: LayerCounts[]): number {
  const worse = (a: LayerCounts, b: LayerCounts) =>
    a.not_ok - b.not_ok || a.slow_bandwidth + a.slow_rtt - b.slow_bandwidth - b.slow_rtt || a.unknown - b.unknown;
  return counts.reduce((worst, each, i) => (worse(each, counts[worst]!) > 0 ? i : worst), 0);
}

/** "3 not OK, 6 slow"; empty where there is nothing to say. */
export function countsInWords({ not_ok, unknown, slow_bandwidth, slow_rtt }: LayerCounts): string {
  const parts = [
    [not_ok, "not OK"],
    [slow_bandwidth, "slow"],
    [slow_rtt, "slow to answer"],
    [unknown, "unknown"],
  ] as const;
  return parts
    .filter(([edges]) => edges > 0)
    .map(([edges, what]) => `${edges} ${what}`)
    .join(", ");
}
