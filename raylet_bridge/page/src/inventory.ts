// A node's inventory as a picture: processors' NUMA nodes, GPUs and NICs in PCI order, rails, and each GPU's nearest NIC.

import { make, svg } from "base/web/dom.ts";
import { bytes, isNumber, linkRate } from "base/web/format.ts";
import type { Json } from "base/web/json.ts";

const RAILS = 8; // colours rail-0 … rail-7 of page.css
const CARD = { width: 190, height: 76, gap: 10 };
const PAD = 12;
const HEAD = 26;
const BETWEEN = 70;
const WIDTH = 2 * PAD + 2 * CARD.width + BETWEEN;

interface Card {
  id: string;
  kind: "gpu" | "port";
  pci: string;
  numa: number | null;
  lines: string[];
  rail: number | null;
  nearest: string;
  affinity: string;
}

// Proto JSON: 64-bit numbers are strings, enums their long names, and what is at its default may be missing.
const enumWord = (value: unknown, prefix: string) => (typeof value === "string" ? value.replace(prefix, "").toLowerCase().replace("_", " ") : "");
const text = (value: unknown) => (typeof value === "string" ? value : "");
const list = (value: unknown): Json[] => (Array.isArray(value) ? value : []);

function portCard(port: Json): Card {
  const fabric = enumWord(port.fabric, "FABRIC_KIND_") || "unknown";
  const speed = Number(port.speed_bps ?? 0);
  const state = enumWord(port.state, "PORT_STATE_") || "unknown";
  const rail = isNumber(port.rail) ? port.rail : null;
  return {
    id: text(port.name),
    kind: "port",
    pci: text(port.pci_address),
    numa: isNumber(port.numa_node) ? port.numa_node : null,
    rail,
    nearest: "",
    affinity: "",
    lines: [
      port.netdev && port.netdev !== port.name ? `${text(port.name)} (${text(port.netdev)})` : text(port.name),
      `${fabric}, ${speed > 0 ? linkRate(speed) : "speed not known"}`,
      `${state === "unknown" ? "state not known" : state}${rail === null ? ", no rail" : `, rail ${rail}`}`,
      text(port.pci_address) || "no PCI address",
    ],
  };
}

function gpuCard(gpu: Json): Card {
  const near = text(gpu.nearest_port);
  return {
    id: text(gpu.name),
    kind: "gpu",
    pci: text(gpu.pci_address),
    numa: isNumber(gpu.numa_node) ? gpu.numa_node : null,
    rail: null,
    nearest: near,
    affinity: text(gpu.nearest_affinity),
    lines: [
      text(gpu.name),
      `${text(gpu.vendor)} ${text(gpu.model)}`.trim() || "model not known",
      near === "" ? "nearest NIC not known" : `nearest ${near}${gpu.nearest_affinity ? ` (${text(gpu.nearest_affinity)})` : ""}`,
      text(gpu.pci_address) || "no PCI address",
    ],
  };
}

function drawCard(card: Card, x: number, y: number): SVGElement {
  const clipped = (line: string) => (line.length > 28 ? `${line.slice(0, 27)}…` : line);
  const rows = card.lines.map((line, i) =>
    svg("text", { x: x + 12, y: y + 18 + i * 16, class: i === 0 ? "name" : "detail" }, clipped(line), svg("title", {}, line)),
  );
  const rail = card.rail === null ? "rail-none" : `rail-${card.rail % RAILS}`;
  return svg(
    "g",
    { class: `card ${card.kind}` },
    svg("rect", { x, y, width: CARD.width, height: CARD.height, rx: 5 }),
    svg("rect", { x, y, width: 5, height: CARD.height, class: card.kind === "port" ? rail : "gpu-mark" }),
    ...rows,
  );
}

function boxTitle(numa: number | null, nodes: Json[]): string {
  if (numa === null) return "NUMA node not known";
  const known = nodes.find((node) => (node.index ?? 0) === numa);
  const memory = Number(known?.memory_bytes ?? 0);
  const facts = [known?.cpus ? `processors ${text(known.cpus)}` : "processors not known", memory > 0 ? bytes(memory) : ""].filter(Boolean);
  return `NUMA node ${numa}: ${facts.join(", ")}`;
}

function picture(cards: Card[], nodes: Json[]): SVGElement {
  const byPci = (a: Card, b: Card) => a.pci.localeCompare(b.pci) || a.id.localeCompare(b.id);
  const indexes = [...new Set<number | null>([...nodes.map((node) => Number(node.index ?? 0)), ...cards.map((card) => card.numa)])].sort(
    (a, b) => (a ?? 1e9) - (b ?? 1e9),
  );
  const middle = new Map<string, { x: number; y: number; rail: number | null }>();
  const boxes: SVGElement[] = [];
  const links: SVGElement[] = [];
  let y = 4;
  for (const numa of indexes) {
    const here = cards.filter((card) => card.numa === numa).sort(byPci);
    const columns = [here.filter((card) => card.kind === "gpu"), here.filter((card) => card.kind === "port")];
    const rows = Math.max(...columns.map((column) => column.length), 0);
    const height = HEAD + Math.max(rows * (CARD.height + CARD.gap) + PAD - CARD.gap, PAD);
    boxes.push(
      svg("rect", { x: 1, y, width: WIDTH - 2, height, rx: 6, class: "numa" }),
      svg("text", { x: PAD, y: y + 18, class: "title" }, boxTitle(numa, nodes)),
    );
    columns.forEach((column, side) =>
      column.forEach((card, row) => {
        const left = PAD + side * (CARD.width + BETWEEN);
        const top = y + HEAD + row * (CARD.height + CARD.gap);
        boxes.push(drawCard(card, left, top));
        middle.set(`${card.kind} ${card.id}`, { x: side === 0 ? left + CARD.width : left, y: top + CARD.height / 2, rail: card.rail });
      }),
    );
    y += height + 10;
  }
  for (const card of cards) {
    const from = middle.get(`gpu ${card.id}`);
    const to = middle.get(`port ${card.nearest}`);
    if (card.kind !== "gpu" || from === undefined || to === undefined) continue;
    const bend = (to.x - from.x) / 2;
    const rail = to.rail === null ? "rail-none" : `rail-${to.rail % RAILS}`;
    links.push(svg("path", { d: `M${from.x} ${from.y}C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`, class: `near ${rail}` }));
  }
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${y}`,
      width: WIDTH,
      height: y,
      class: "inventory",
      role: "img",
      "aria-label": "Devices of this node by NUMA node; the list below says the same in words",
    },
    ...boxes,
    ...links,
  );
}

/** The picture, the same in words, and what could not be known. */
export function inventory(told: Json, reason: string): HTMLElement {
  if (!told) return make("p", { class: "quiet" }, `The inventory of this node is not known: ${reason || "its bridge has not written one"}.`);
  const ports = list(told.ports);
  const gpus = list(told.gpus);
  const nodes = list(told.numa_nodes);
  const notes = list(told.inventory_notes).map(text);
  const cards = [...gpus.map(gpuCard), ...ports.map(portCard)];
  const words = [
    ...ports.map((port) => [portCard(port).lines.join(", "), text(port.role_reason), text(port.rail_reason)]),
    ...gpus.map((gpu) => [gpuCard(gpu).lines.join(", ")]),
  ];
  if (gpus.length === 0) notes.push("No GPU was found.");
  if (ports.length === 0) notes.push("No network port was found.");
  return make(
    "div",
    {},
    make("div", { class: "scroll" }, picture(cards, nodes) as unknown as Node),
    make("h4", {}, "What could not be known"),
    make("ul", { class: "quiet" }, ...(notes.length > 0 ? notes : ["Nothing is missing, as far as the engine can tell."]).map((note) => make("li", {}, note))),
    make("details", {}, make("summary", {}, "Devices in words"), make("ul", {}, ...words.map((parts) => make("li", {}, parts.filter(Boolean).join("; "))))),
  );
}
