// One edge: every figure that is known of it, both ways, and its last hour.

import { getEdge } from "./api.ts";
import { button, make } from "base/web/dom.ts";
import { age, count, isNumber, percent, rate, time, NOT_KNOWN } from "base/web/format.ts";
import { HistoryCharts } from "./history.ts";
import type { Json } from "base/web/json.ts";
import { layerTitle } from "./matrix.ts";
import { isOk, lookOf } from "./states.ts";
import { layerKey } from "./view.ts";

type Show = (edge: Json) => string;
const words =
  (name: string): Show =>
  (edge) =>
    edge[name] === undefined || edge[name] === null || edge[name] === "" ? "–" : String(edge[name]);
const number =
  (name: string): Show =>
  (edge) =>
    isNumber(edge[name]) ? count(edge[name]) : NOT_KNOWN;
const of =
  (name: string, show: (value: unknown) => string): Show =>
  (edge) =>
    show(edge[name]);
const samples =
  (name: string): Show =>
  (edge) =>
    `${number(`${name}_samples`)(edge)} of ${number(`${name}_window`)(edge)}`;

function distribution(name: string): Show {
  return (edge) => {
    const told = edge[name];
    if (!told) return NOT_KNOWN;
    return `${time(told.min)} / ${time(told.p50)} / ${time(told.p90)} / ${time(told.p99)} / ${time(told.max)}, ${count(told.count)} samples of ${age(told.span_ms)}`;
  };
}

function counters(edge: Json): string {
  const moved = Object.entries(edge.counters ?? {});
  return moved.length === 0 ? "none moved" : moved.map(([name, value]) => `${name} +${isNumber(value) ? count(value) : value}`).join(", ");
}

function pings(edge: Json): string {
  return isNumber(edge.pings_sent) ? `${count(edge.pings_sent)} sent, ${number("pings_lost")(edge)} lost` : NOT_KNOWN;
}

function probes(edge: Json): string {
  return isNumber(edge.bw_probes) ? `${count(edge.bw_probes)} done, ${number("bw_busy")(edge)} busy, ${number("bw_deferred")(edge)} put off` : NOT_KNOWN;
}

function slow(edge: Json): string {
  if (!edge.slow) return "–";
  const times = [
    [edge.slow.bw_times, "less"],
    [edge.slow.rtt_times, "longer"],
  ]
    .filter(([value]) => isNumber(value))
    .map(([value, what]) => `${Number(value).toPrecision(2)} times ${what}`);
  return `${times.join(", ")}: ${edge.slow.reason}`;
}

const crossesRails = (path: Json) => path.cross_rail === true;

const GROUPS: [title: string, rows: [label: string, show: Show][]][] = [
  [
    "State",
    [
      ["state", words("state")],
      ["reason", words("reason")],
      ["slow", slow],
      ["for", of("state_age_ms", age)],
      ["last OK", (edge) => (isNumber(edge.last_ok_age_ms) ? `${age(edge.last_ok_age_ms)} ago` : "never")],
      ["report's age", of("age_ms", age)],
    ],
  ],
  [
    "Round trip",
    [
      ["p50 of the window", of("rtt_p50_ms", time)],
      ["smoothed", of("rtt_ms", time)],
      ["jitter (p95 − p50)", of("jitter_ms", time)],
      ["network p50", of("network_rtt_p50_ms", time)],
      ["network smoothed", of("network_rtt_ms", time)],
      ["network jitter", of("network_rtt_jitter_ms", time)],
      ["age", of("rtt_age_ms", age)],
      ["samples", samples("rtt")],
      ["clock", words("timestamp_source")],
      ["pings", pings],
      ["min / p50 / p90 / p99 / max", distribution("rtt_distribution_ms")],
      ["network, the same", distribution("network_rtt_distribution_ms")],
      ["peer's hold, the same", distribution("responder_hold_distribution_ms")],
    ],
  ],
  [
    "Bandwidth",
    [
      ["p50 of the window", of("bw_p50_mbps", rate)],
      ["smoothed", of("bw_mbps", rate)],
      ["expected at best", of("bw_expected_mbps", rate)],
      ["of expected", of("bw_percent", percent)],
      ["limit", words("bw_limit")],
      ["age", of("bw_age_ms", age)],
      ["samples", samples("bw")],
      ["probes", probes],
      ["why no sample", words("bw_reason")],
    ],
  ],
  [
    "Path",
    [
      ["from port", words("src_port")],
      ["to port", words("dst_port")],
      ["crosses rails", (edge) => (crossesRails(edge) ? "yes" : "no")],
      ["bound to", words("binding")],
      ["peer bound to", words("peer_binding")],
      ["counters", counters],
    ],
  ],
];

const keyOf = (path: Json) => layerKey({ transport: path.transport ?? "", fabric: path.fabric ?? "", rail: path.rail ?? null });
const titleOf = (path: Json) =>
  layerTitle({ transport: String(path.transport ?? ""), fabric: String(path.fabric ?? ""), rail: path.rail ?? null }) +
  (crossesRails(path) ? " · between rails" : "");

/** Of all edges of a pair, the one of the layer, as the map has it: none between rails. An edge without a result does not know its fabric, and may be of any. */
function pick(edges: Json[], layer: string): Json | null {
  const [transport, , rail] = layer.split("/");
  const ofAnyFabric = (edge: Json) => (edge.fabric ?? "unknown") === "unknown" || edge.fabric === "";
  const inLayers = edges.filter((edge) => !crossesRails(edge));
  return (
    inLayers.find((edge) => keyOf(edge) === layer) ??
    inLayers.find((edge) => ofAnyFabric(edge) && (edge.transport ?? "") === transport && String(edge.rail ?? "") === rail) ??
    null
  );
}

function table(columns: { name: string; edge: Json }[]): HTMLElement {
  const bodies = GROUPS.map(([title, rows]) =>
    make(
      "tbody",
      {},
      make("tr", {}, make("th", { colspan: columns.length + 1, scope: "rowgroup", class: "group" }, title)),
      ...rows.map(([label, show]) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, label),
          ...columns.map(({ edge }) => {
            const look = label === "state" && !isOk(edge.state) ? `state-${lookOf(String(edge.state)).colour}` : null;
            return make("td", { class: look }, show(edge));
          }),
        ),
      ),
    ),
  );
  const head = make("tr", {}, make("td"), ...columns.map(({ name }) => make("th", { scope: "col" }, name)));
  return make("div", { class: "scroll" }, make("table", { class: "figures" }, make("thead", {}, head), ...bodies));
}

/** The pair's other paths in a line each. */
function others(edges: Json[], shown: Json): HTMLElement {
  const lines = edges
    .filter((edge) => edge !== shown)
    .map((edge) => {
      const figures = isOk(edge.state) ? `${time(edge.rtt_p50_ms)}, ${rate(edge.bw_p50_mbps)}` : String(edge.reason ?? "");
      return make("li", {}, make("b", {}, titleOf(edge)), ` ${edge.state} `, make("span", { class: "quiet" }, figures));
    });
  return lines.length === 0 ? make("div") : make("div", {}, make("h3", {}, "The same pair in other layers"), make("ul", {}, ...lines));
}

export interface EdgeEnds {
  src: { id: string; name: string };
  dst: { id: string; name: string };
}

export class EdgePanel {
  readonly element = make("section", { class: "panel", "aria-labelledby": "panel-title", tabindex: -1 });
  readonly #title = make("h2", { id: "panel-title" });
  readonly #nodes = make("p");
  readonly #problem = make("p", { class: "state-bad" });
  readonly #figures = make("div");
  readonly #others = make("div");
  readonly #charts = new HistoryCharts();
  #key = "";

  constructor(
    close: () => void,
    readonly openNode: (id: string) => void,
  ) {
    const bar = make("div", { class: "panel-bar" }, this.#title, button("Close", close));
    this.element.append(bar, this.#nodes, this.#problem, make("h3", {}, "The last hour"), this.#charts.element, this.#figures, this.#others);
  }

  /** Fetches both directions and shows them; throws ApiError of a token. A later call overtakes an earlier one. */
  async show({ src, dst }: EdgeEnds, layer: string): Promise<void> {
    const key = `${src.id} ${dst.id} ${layer}`;
    if (key !== this.#key) {
      this.#key = key;
      this.#title.textContent = `${src.name} → ${dst.name}`;
      this.#nodes.replaceChildren(
        "Nodes: ",
        button(src.name, () => this.openNode(src.id), { class: "link" }),
        " and ",
        button(dst.name, () => this.openNode(dst.id), { class: "link" }),
      );
      this.#charts.clear();
      this.#figures.replaceChildren(make("p", { class: "quiet" }, "asking …"));
      this.#others.replaceChildren();
      this.#problem.textContent = "";
    }
    const there = await getEdge(src.id, dst.id);
    const back = await getEdge(dst.id, src.id);
    if (key !== this.#key) return;
    this.#problem.textContent = "";
    const edges: Json[] = there.edges ?? [];
    const both = [pick(edges, layer), pick(back.edges ?? [], layer)];
    const names = [`${src.name} → ${dst.name}`, `${dst.name} → ${src.name}`];
    const history = (told: Json) => (told.history ?? []).find((each: Json) => keyOf(each) === layer) ?? null;
    this.#charts.show(key, names, [history(there), history(back)]);
    this.#figures.replaceChildren(
      both.some((edge) => edge !== null)
        ? table(both.map((edge, i) => ({ name: names[i]!, edge: edge ?? { state: "UNKNOWN", reason: "no path in this layer" } })))
        : make("p", {}, "This pair has no path in this layer."),
    );
    this.#others.replaceChildren(others(edges, both[0]));
  }

  /** The next show() asks and draws anew: the colours changed, or what it holds is of some time ago. */
  restart(): void {
    this.#key = "";
  }

  /** Nothing can be shown of what was to be shown. */
  gone(message: string): void {
    this.restart();
    this.#title.textContent = "Edge";
    for (const part of [this.#nodes, this.#figures, this.#others]) part.replaceChildren();
    this.#charts.clear();
    this.fail(message);
  }

  fail(message: string): void {
    this.#problem.textContent = message;
  }
}
