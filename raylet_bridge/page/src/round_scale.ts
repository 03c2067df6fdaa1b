// The scale of figures that change while one looks.

import { scaleBetween, type Scale } from "base/web/scale.ts";

/** The next of 1, 2, 5, 10, 20 … at or below (or at or above) a positive value. */
export function round125(value: number, up: boolean): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 5, 10].map((step) => step * power);
  const close = 1 + 1e-6; // 0.1 + 0.2 is no reason for a step of its own
  return up ? (steps.find((step) => step * close >= value) ?? 10 * power) : (steps.reverse().find((step) => step <= value * close) ?? power);
}

/**
 * Of the least and the greatest value. Its ends are round numbers, so that it does not change with every update, and it
 * spans at least a factor of four, so that it makes no picture of noise. null: there is no value to make one of.
 */
export function makeScale(low: number, high: number, lowIsWorse: boolean, logarithmic: boolean): Scale | null {
  if (!(high >= low) || !Number.isFinite(high)) return null;
  let from: number, to: number;
  if (logarithmic) {
    const floor = Math.max(low, 1e-6); // a jitter of 0 has no logarithm
    from = round125(floor, false);
    to = round125(Math.max(high, 1e-6), true);
    while (to < 4 * from) {
      if (to / Math.max(high, floor) < floor / from) to = round125(to * 1.9, true);
      else from = round125(from / 1.9, false);
    }
  } else {
    from = 0;
    to = Math.max(100, high);
  }
  return scaleBetween(from, to, lowIsWorse, logarithmic);
}
