// Round trips idle and under load.

import { make } from "base/web/dom.ts";
import { barChart } from "./charts.ts";
import type { Result, Row } from "./result.ts";
import { table } from "./table.ts";
import { distinctNames, groupBy, median, valueOf } from "./words.ts";

const LOADS = ["idle", "loaded", "loaded-priority"] as const;

const p99Of = (row: Row) => row.networkP99 ?? row.p99;

function medianUnder(rows: Row[], load: string, of: (row: Row) => number | null): number | null {
  return median(rows.filter((row) => row.load === load && row.error === null).map(of));
}

export function loadedSection({ rows, summaries }: Result): HTMLElement[] {
  const pings = rows.filter((row) => row.kind === "ping" && LOADS.some((load) => load === row.load));
  if (pings.length === 0) return [];
  const keyOf = (row: Row) => JSON.stringify([row.source, row.target, row.transport, row.mode, row.device, row.bytes]);
  const groups = [...groupBy(pings, keyOf).values()];
  const names = distinctNames(groups.map((same) => ({ ...same[0]!, load: "", repeat: null })));
  const cells = groups.map((same, i) => {
    const [idle, loaded, priority] = LOADS.map((load) => [medianUnder(same, load, valueOf), medianUnder(same, load, p99Of)] as const);
    const factor = (high: number | null) => (high !== null && idle![0] !== null && idle![0] > 0 ? high / idle![0] : null);
    return [names[i]!, ...idle!, ...loaded!, factor(loaded![0]), ...priority!, factor(priority![0])];
  });
  const bars = LOADS.filter((load) => pings.some((row) => row.load === load)).flatMap((load) => {
    const series = LOADS.indexOf(load) + 1;
    return [
      { label: `${load} p50`, series, isFaint: false, values: groups.map((same) => medianUnder(same, load, valueOf)) },
      { label: `${load} p99`, series, isFaint: true, values: groups.map((same) => medianUnder(same, load, p99Of)) },
    ];
  });
  const formulas = [...new Set(summaries.map((summary) => summary.formula).filter(Boolean))];
  const said = summaries.map(({ way, repeat, addedUs, priorityAddedUs, rpm }) => [way, repeat, addedUs, priorityAddedUs, rpm]);
  return [
    make("h2", {}, "Idle and under load"),
    make("p", { class: "quiet" }, "Round-trip times in µs; the factor is the loaded median over the idle one."),
    ...(said.length > 0 ? [table(["measurement", "run", "added µs", "added with priority µs", "round trips a minute"], said)] : []),
    ...formulas.map((formula) => make("p", { class: "quiet" }, formula)),
    table(["measurement", "idle p50", "idle p99", "loaded p50", "loaded p99", "factor", "priority p50", "priority p99", "factor"], cells),
    make("div", { class: "charts" }, barChart("Round-trip time, idle and under load", names, bars, "µs (logarithmic)")),
  ];
}
