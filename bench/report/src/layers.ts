// Rows as maps: one for each way of measuring, by transport, fabric and rail.

import { size } from "base/web/format.ts";
import type { Port, ResultNode, Row } from "./result.ts";
import { wayOf } from "./words.ts";

export interface Layer {
  title: string;
  kind: string; // "ping", "bw"
  like: Row; // one of its rows, with the fabric and rail that it was taken for
  cells: Map<number, Row[]>; // source * nodes + target
}

/** The port a row was measured through. Only what goes over sockets does not tell its device: it is taken for the node's first port that can carry it. */
function portOf(row: Row, ports: Port[]): Port | null {
  if (row.device !== "") {
    const names = [row.device, row.device.split(/[ :]/, 1)[0]!, row.device.split(" ", 1)[0]!]; // "mlx5_0:1 gid 3"
    return ports.find((port) => [port.name, port.netdev, port.rdmaDevice].some((name) => name !== "" && names.includes(name))) ?? null;
  }
  return ports.find((port) => port.fabric === "ethernet") ?? ports.find((port) => port.fabric !== "loopback") ?? ports[0] ?? null;
}

const TOLD = ["kind", "transport", "mode", "direction", "bytes", "streams", "load", "fabric", "rail"] as const;

/** Whether a failure may be one of a layer's measurements: mode and device are agreed upon when a session begins, and it may not know them. */
function mayBeOf({ like }: Layer, row: Row, ports: Port[]): boolean {
  if (TOLD.some((field) => row[field] !== null && row[field] !== "" && row[field] !== like[field])) return false;
  const possible = row.device === "" ? ports : [portOf(row, ports)];
  return possible.length === 0 || possible.some((port) => (port?.fabric ?? "") === like.fabric && (port?.rail ?? null) === like.rail);
}

export function layersOf(rows: Row[], nodes: ResultNode[]): Layer[] {
  const place = new Map(nodes.map((node, i) => [node.name, i]));
  const layers = new Map<string, Layer>();
  const unsure: Row[] = [];
  const portsAt = (row: Row) => nodes[place.get(row.source)!]!.ports;
  const put = (layer: Layer, row: Row) => {
    const index = place.get(row.source)! * nodes.length + place.get(row.target)!;
    const there = layer.cells.get(index);
    if (there === undefined) layer.cells.set(index, [row]);
    else there.push(row);
  };
  const putOnItsOwn = (row: Row) => {
    // Of a failure nobody knows where it would have gone.
    const port = row.error !== null && row.device === "" ? null : portOf(row, portsAt(row));
    const like = { ...row, fabric: row.fabric || (port?.fabric ?? ""), rail: row.rail ?? port?.rail ?? null };
    const what = row.kind === "bw" ? "Bandwidth" : "Round-trip time";
    const title = `${what} over ${wayOf(like)}${row.bytes === null ? "" : `, ${size(row.bytes)}`}`;
    const layer = layers.get(title) ?? { title, kind: row.kind, like, cells: new Map() };
    layers.set(title, layer);
    put(layer, row);
  };
  for (const row of rows) {
    if (!place.has(row.source) || !place.has(row.target) || (row.kind !== "ping" && row.kind !== "bw")) continue;
    if (row.error !== null && (row.mode === "" || row.device === "")) unsure.push(row);
    else putOnItsOwn(row);
  }
  const measured = [...layers.values()];
  for (const row of unsure) {
    const possible = measured.filter((layer) => mayBeOf(layer, row, portsAt(row)));
    for (const layer of possible) put(layer, row);
    if (possible.length === 0) putOnItsOwn(row);
  }
  return [...layers.values()].sort((a, b) => (a.kind === b.kind ? a.title.localeCompare(b.title) : a.kind === "ping" ? -1 : 1));
}
