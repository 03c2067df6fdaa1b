// Draws the report. The data is other people's: names in it become text, never markup.

import "base/web/theme.css";
import "./page.css";
import { byId, make } from "base/web/dom.ts";
import { curvesSection } from "./curves.ts";
import { checksSection, headSection, suspectsSection } from "./head.ts";
import { loadedSection } from "./loaded.ts";
import { mapsSection } from "./maps.ts";
import { failuresSection, nodesSection } from "./nodes.ts";
import { readReport } from "./read_result.ts";
import type { Result } from "./result.ts";
import { rowsSection } from "./rows.ts";
import { utc } from "./words.ts";

function article(result: Result, index: number): HTMLElement {
  return make(
    "article",
    { id: `result-${index + 1}` },
    ...headSection(result),
    ...suspectsSection(result),
    ...checksSection(result),
    ...mapsSection(result),
    ...loadedSection(result),
    ...curvesSection(result),
    ...failuresSection(result),
    ...nodesSection(result),
    ...rowsSection(result.rows),
  );
}

const { version, madeAtMs, results } = readReport(byId("data").textContent ?? "");
const place = byId("report");
if (results.length > 1)
  place.append(make("nav", {}, ...results.map(({ command, path }, i) => make("a", { href: `#result-${i + 1}` }, `${command} (${path})`))));
place.append(...results.map(article), make("p", { class: "quiet" }, `Made by netsense-bench ${version}, ${utc(madeAtMs)}.`));
document.title = `netsense report: ${results.map((result) => result.command).join(", ")}`;
