// What is shown for each state, by colour, pattern and sign. Only OK is ever drawn in a colour of the scale.

import type { Look } from "base/web/patterns.ts";

export interface StateLook extends Look {
  meaning: string;
  /** Place in "worst first": 0 is worst. Fault-free states have none. */
  rank: number;
}

const LOOKS: StateLook[] = [
  { name: "UNREACHABLE", meaning: "no answer", rank: 0, colour: "bad", pattern: "cross", sign: "×" },
  { name: "REFUSED", meaning: "the peer will not serve us", rank: 1, colour: "bad", pattern: "bar", sign: "–" },
  { name: "VERSION_MISMATCH", meaning: "no common protocol version", rank: 2, colour: "bad", pattern: "bar", sign: "≠" },
  { name: "DEGRADED", meaning: "answers come, but some are lost or damaged", rank: 3, colour: "warn", pattern: "dots", sign: "!" },
  { name: "STALE", meaning: "nobody has measured for too long", rank: 4, colour: "stale", pattern: "hatch", sign: "~" },
  { name: "UNKNOWN", meaning: "not measured, or our side cannot tell", rank: 5, colour: "unknown", pattern: "back-hatch", sign: "?" },
  { name: "OK", meaning: "answered in time", rank: NaN, colour: "good", pattern: "none", sign: "" },
  { name: "ISOLATED", meaning: "no way between these rails: often by design", rank: NaN, colour: "isolated", pattern: "none", sign: "·" },
];

/** An OK edge without the figure that is shown: bandwidth that nobody has measured yet. */
export const NO_FIGURE: StateLook = { name: "no figure", meaning: "OK, but this is not measured", rank: NaN, colour: "no-figure", pattern: "dots", sign: "" };

/** The look of a state; one that this page does not know is as good as UNKNOWN, and is never taken for good. */
export function lookOf(state: string): StateLook {
  return LOOKS.find((look) => look.name === state) ?? { ...LOOKS.find((look) => look.name === "UNKNOWN")!, name: state };
}

export const isOk = (state: string) => state === "OK";
/** A state that somebody should look at. */
export const isFault = (state: string) => Number.isFinite(lookOf(state).rank);
export const isUnsure = (state: string) => state === "UNKNOWN" || state === "STALE";
