// What is looked at, kept in the page's address, so that a view can be shared.

import type { LayerName } from "./matrix.ts";

export interface View {
  layer: string; // layerKey(); "" = the worst
  metric: string; // "" = what is worst where one comes in
  sort: "name" | "worst";
  src: string; // node ids of the selected cell; "" = none
  dst: string;
  open: "" | "edge" | "node";
  node: string; // whose panel is open
  state: string; // only edges of this state are shown bright; "" = all
  reason: string; // and of this reason, as reasons.ts words it
}

const DEFAULTS: View = { layer: "", metric: "", sort: "name", src: "", dst: "", open: "", node: "", state: "", reason: "" };

export function layerKey({ transport, fabric, rail }: LayerName): string {
  return [transport, fabric, rail ?? ""].join("/");
}

export function parseView(fragment: string): View {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const view: View = { ...DEFAULTS };
  for (const name of ["layer", "metric", "src", "dst", "node", "state", "reason"] as const) view[name] = given.get(name) ?? DEFAULTS[name];
  if (given.get("sort") === "worst") view.sort = "worst";
  const open = given.get("open");
  if (open === "edge" || open === "node") view.open = open;
  return view;
}

export function formatView(view: View): string {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) if (value !== DEFAULTS[name as keyof View]) told.set(name, value);
  return `#${told}`;
}
