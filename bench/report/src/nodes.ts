// What failed and what nobody measured; the nodes and their ports.

import { make } from "base/web/dom.ts";
import { count } from "base/web/format.ts";
import type { Port, Result, ResultNode, Row } from "./result.ts";
import { table } from "./table.ts";
import { fullName, wayOf } from "./words.ts";

const LISTED = 50;

/** Pairs of living nodes of which no row tells anything. */
function silentPairs(rows: Row[], nodes: ResultNode[]): string[] {
  const pair = (from: string, to: string) => `${from}\n${to}`;
  const measured = new Set(rows.map((row) => pair(row.source, row.target)));
  for (const row of rows) if (row.kind === "ping") measured.add(pair(row.target, row.source)); // a round trip tells of both ways
  const living = nodes.filter((node) => node.alive !== false);
  const silent: string[] = [];
  for (const from of living) for (const to of living) if (from !== to && !measured.has(pair(from.name, to.name))) silent.push(`${from.name} → ${to.name}`);
  return silent;
}

export function failuresSection({ rows, nodes }: Result): HTMLElement[] {
  const parts: HTMLElement[] = [];
  const dead = nodes.filter((node) => node.alive === false);
  const failed = rows.filter((row) => row.error !== null);
  const silent = nodes.length > 1 ? silentPairs(rows, nodes) : [];
  if (dead.length > 0)
    parts.push(
      make("h3", {}, "Dead nodes"),
      table(
        ["node", "reason"],
        dead.map((node) => [fullName(node), node.reason]),
      ),
    );
  if (failed.length > 0) {
    const lines = failed.slice(0, LISTED).map((row) => [row.kind, row.source, row.target, wayOf(row), row.error]);
    parts.push(make("h3", {}, "Failed measurements"), table(["kind", "from", "to", "way", "why"], lines));
    if (failed.length > LISTED) parts.push(make("p", { class: "quiet" }, `… and ${count(failed.length - LISTED)} more: search the rows for “failed”.`));
  }
  if (silent.length > 0) {
    const listed = `${silent.slice(0, LISTED).join(", ")}${silent.length > LISTED ? ", …" : ""}`;
    parts.push(make("h3", {}, "Not measured"), make("p", {}, `${count(silent.length)} pairs of living nodes: ${listed}`));
  }
  return parts.length === 0 ? [] : [make("h2", {}, "Failures"), ...parts];
}

function portInWords({ name, fabric, rail, speedGbps, state }: Port): string {
  return [name, fabric, rail === null ? "" : `rail ${rail}`, speedGbps === null ? "" : `${speedGbps} Gb/s`, state].filter(Boolean).join(" ");
}

function stateInWords({ alive, reason }: ResultNode): string {
  if (alive === null) return "not known";
  return alive ? "alive" : `dead: ${reason}`;
}

export function nodesSection({ nodes }: Result): HTMLElement[] {
  if (nodes.length === 0) return [];
  const rows = nodes.map((node, i) => [
    i + 1,
    node.name,
    node.hostname,
    [node.address, node.port].filter(Boolean).join(" "),
    stateInWords(node),
    node.ports.map(portInWords).join("; "),
  ]);
  const all = table(["#", "name", "host", "address", "state", "ports"], rows);
  all.classList.add("tall");
  return [make("h2", {}, "Nodes"), all];
}
