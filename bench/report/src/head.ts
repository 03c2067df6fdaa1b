// What the result is of, in a few figures; whom it suspects; what it was to pass.

import { make } from "base/web/dom.ts";
import { count, isNumber } from "base/web/format.ts";
import type { Result, Suspect } from "./result.ts";
import { table } from "./table.ts";
import { figure, fullName, utc, withUnit } from "./words.ts";

/** Why nobody can say that there are no (further) suspects; "" where they were looked for to the end. */
function notJudged(result: Result): string {
  if ((result.command !== "matrix" && result.suspects === null) || result.judged === true) return "";
  if (result.judged === false) return result.notJudgedReason || "the document does not say why";
  if (result.interrupted) return "the run was interrupted";
  return result.suspects === null ? "the run did not come to its end" : "";
}

function factsOf(result: Result): HTMLElement {
  const facts = make("ul", { class: "facts" });
  const fact = (value: number, one: string, isWrong = false, many = `${one}s`) =>
    facts.append(make("li", { class: isWrong ? "wrong" : null }, make("b", {}, count(value)), value === 1 ? one : many));
  const { nodes, rows, suspects, checks } = result;
  const dead = nodes.filter((node) => node.alive === false).length;
  const failures = rows.filter((row) => row.error !== null).length;
  if (nodes.length > 0) fact(nodes.length, "node");
  if (dead > 0) fact(dead, "dead node", true);
  fact(rows.length, "row");
  if (failures > 0) fact(failures, "failure", true);
  const isUnjudged = notJudged(result) !== "";
  if (isUnjudged) facts.append(make("li", { class: "wrong" }, "not judged"));
  if (suspects !== null && !(isUnjudged && suspects.length === 0)) fact(suspects.length, "suspect", suspects.length > 0);
  const broken = checks.filter((check) => !check.passed).length;
  const ofChecks = `of ${checks.length} checks not passed`;
  if (checks.length > 0) fact(broken, ofChecks, broken > 0, ofChecks);
  return facts;
}

export function headSection(result: Result): HTMLElement[] {
  const { startedAtMs, endedAtMs } = result;
  const took = isNumber(endedAtMs) && isNumber(startedAtMs) ? `${figure((endedAtMs - startedAtMs) / 1000)} s` : "";
  const details: [string, string][] = [
    ["target", result.target],
    ["measured on", result.hostname],
    ["started", utc(startedAtMs)],
    ["took", took],
    ["arguments", result.arguments],
    ["netsense", result.version],
    ["kernel", result.kernel],
    ["processor", result.cpu],
    ...result.further,
    ["read from", result.path],
  ];
  const told = details.filter(([, words]) => words !== "").flatMap(([name, words]) => [make("dt", {}, name), make("dd", {}, words)]);
  const warnings = [result.interrupted ? "Interrupted: only what was measured until then is here." : "", result.note].filter(Boolean);
  return [
    make("h1", {}, `${result.command || "result"}${result.target && ` ${result.target}`}`),
    factsOf(result),
    ...warnings.map((words) => make("p", { class: "bad" }, words)),
    make("dl", {}, ...told),
  ];
}

export function suspectsSection(result: Result): HTMLElement[] {
  const { suspects, nodes } = result;
  const why = notJudged(result);
  if (why === "" && suspects === null) return [];
  const title = make("h2", {}, "Suspects");
  const doubt = why === "" ? [] : [make("p", { class: "bad" }, `Not judged: ${why.replace(/\.$/, "")}.`)];
  if (suspects === null || suspects.length === 0) {
    const none = "None: no pair stands out from its class, and none falls short of what was expected of it.";
    return [title, ...(why === "" ? [make("p", {}, none)] : doubt)];
  }
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const card = (suspect: Suspect) => {
    const { unit, expected } = suspect;
    const names = suspect.nodes.map((name) => fullName(byName.get(name) ?? { name, hostname: "" }));
    const metric = suspect.ofBandwidth ? "bandwidth" : "round-trip time";
    const usual = `, usual in its class ${withUnit(suspect.classMedian, unit)}${expected === null ? "" : `, expected ${withUnit(expected, unit)}`}`;
    return make(
      "section",
      { class: "suspect" },
      make("h3", {}, `${suspect.what} ${names.join(suspect.what === "node" ? ", " : " → ")}`),
      make("div", {}, `${metric} over ${suspect.transport}: `, make("span", { class: "bad" }, withUnit(suspect.measured, unit)), usual),
      make("ul", {}, ...suspect.evidence.map((line) => make("li", {}, line))),
    );
  };
  return [title, ...doubt, make("div", { class: "suspects" }, ...suspects.map(card))];
}

export function checksSection({ checks }: Result): HTMLElement[] {
  if (checks.length === 0) return [];
  const rows = checks.map((check) => [check.row, check.check, check.limit, check.value, check.passed ? "passed" : "NOT PASSED"]);
  return [make("h2", {}, "Checks"), table(["row", "check", "limit", "value", ""], rows)];
}
