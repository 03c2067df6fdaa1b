// Makes NSM1 documents as the bridge does, for the tests.

import { FIGURES, type FigureName, type LayerName } from "../src/matrix.ts";

export interface CellSpec {
  state?: number;
  slow?: number;
  reason?: number;
  figures?: Partial<Record<FigureName, number>>;
}

export const STATES = ["UNKNOWN", "OK", "DEGRADED", "STALE", "UNREACHABLE", "REFUSED", "VERSION_MISMATCH", "ISOLATED"];
export const REASONS = ["", "connection refused", "its report is 7031 ms old", "its report is 9 ms old"];

/** `cell` says what stands at a row and column; a diagonal and undefined are no edge. */
export function document(n: number, layer: LayerName, cell: (row: number, column: number) => CellSpec | undefined, changes = {}): ArrayBuffer {
  const columns = [
    { name: "state", type: "u8" },
    { name: "slow", type: "u8" },
    { name: "reason", type: "u16" },
    ...FIGURES.map((name) => ({ name, type: "f32" })),
  ];
  const sizes: Record<string, number> = { u8: 1, u16: 2, f32: 4 };
  const nodes = Array.from({ length: n }, (_, i) => ({
    node_id: `${i}`,
    address: `10.0.0.${i + 1}`,
    hostname: "",
    is_head: i === 0,
    state: "OK",
    reason: "",
    reachable: true,
    report_age_ms: 1,
  }));
  let offset = 4096 + n * 200;
  const placed = columns.map((column) => {
    const made = { ...column, offset };
    offset += Math.ceil((n * n * sizes[column.type]!) / 8) * 8;
    return made;
  });
  const header = {
    schema_version: 1,
    generated_at_ms: 1000,
    message: "",
    warnings: [],
    version: "0.1.0",
    nodes,
    states: STATES,
    reasons: REASONS,
    layers: [
      { ...layer, columns: placed },
      { transport: "grpc", fabric: "ethernet", rail: null, columns: [] },
    ],
    ...changes,
  };
  const bytes = new ArrayBuffer(offset);
  const json = new TextEncoder().encode(JSON.stringify(header));
  const data = new DataView(bytes);
  data.setUint32(0, 0x4e534d31, false);
  data.setUint32(4, json.length, true);
  new Uint8Array(bytes, 8).set(json);
  for (let row = 0; row < n; ++row)
    for (let column = 0; column < n; ++column) {
      const at = row * n + column;
      const spec = row === column ? undefined : cell(row, column);
      data.setUint8(placed[0]!.offset + at, spec === undefined ? 255 : (spec.state ?? 1));
      data.setUint8(placed[1]!.offset + at, spec?.slow ?? 0);
      data.setUint16(placed[2]!.offset + 2 * at, spec?.reason ?? 0, true);
      FIGURES.forEach((name, i) => data.setFloat32(placed[i + 3]!.offset + 4 * at, spec?.figures?.[name] ?? NaN, true));
    }
  return bytes;
}

export const TCP: LayerName = { transport: "tcp", fabric: "ethernet", rail: null };
