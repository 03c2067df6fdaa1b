// What all charts have in common: uPlot, in the colours of the style.

import uPlot from "uplot";
import { cssColour } from "./dom.ts";

export { uPlot };

export const axisLook = {
  stroke: () => cssColour("quiet"),
  grid: { stroke: () => cssColour("line"), width: 1 },
  ticks: { stroke: () => cssColour("line") },
};

/** The colours of lines are numbered from 1. */
export const seriesColour = (number: number) => cssColour(`series-${number}`);
