// Colours of figures: viridis, which colour-blind people can read and which grows brighter all the way. Brighter is worse.

const VIRIDIS = [
  [68, 1, 84],
  [72, 36, 117],
  [65, 68, 135],
  [53, 95, 141],
  [42, 120, 142],
  [33, 145, 140],
  [34, 168, 132],
  [68, 191, 112],
  [122, 209, 81],
  [189, 223, 38],
  [253, 231, 37],
] as const;

const SHADES = 256;

/** Red, green, blue of a place between 0 (best) and 1 (worst). */
export function viridis(place: number): [number, number, number] {
  const at = Math.max(0, Math.min(1, place)) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mix = (c: 0 | 1 | 2) => Math.round(VIRIDIS[low]![c] + (at - low) * (VIRIDIS[low + 1]![c] - VIRIDIS[low]![c]));
  return [mix(0), mix(1), mix(2)];
}

export interface Scale {
  best: number;
  worst: number;
  /** 0 (best) to 1 (worst). */
  place: (value: number) => number;
  /** The value at a place. */
  at: (place: number) => number;
}

/** A scale from one value to a greater one; of a logarithmic one both are positive. */
export function scaleBetween(from: number, to: number, lowIsWorse: boolean, logarithmic: boolean): Scale {
  const span = logarithmic ? Math.log(to / from) : to - from;
  const rising = logarithmic ? (value: number) => Math.log(Math.max(value, 1e-9) / from) / span : (value: number) => (value - from) / span;
  const clamp = (x: number) => Math.max(0, Math.min(1, x));
  const valueAt = (share: number) => (logarithmic ? from * Math.exp(share * span) : from + share * span);
  return {
    best: lowIsWorse ? to : from,
    worst: lowIsWorse ? from : to,
    place: lowIsWorse ? (value) => 1 - clamp(rising(value)) : (value) => clamp(rising(value)),
    at: lowIsWorse ? (place) => valueAt(1 - place) : valueAt,
  };
}

/** The scale's colours as ImageData wants them, in the machine's own byte order. */
export const PALETTE = new Uint32Array(SHADES).map((_, i) => packed(...viridis(i / (SHADES - 1))));

export function packed(red: number, green: number, blue: number): number {
  return new Uint32Array(new Uint8Array([red, green, blue, 255]).buffer)[0]!;
}

export function shade(scale: Scale, value: number): number {
  return PALETTE[Math.round(scale.place(value) * (SHADES - 1))]!;
}

// Where red, green and blue lie in a pixel, in the machine's own byte order.
const SHIFTS = packed(255, 0, 0) & 255 ? ([0, 8, 16] as const) : ([24, 16, 8] as const);
const channel = (pixel: number, c: 0 | 1 | 2) => (pixel >>> SHIFTS[c]) & 255;
const GREY = 128;
const OPAQUE = packed(0, 0, 0);

/** A colour of which `kept` (0 to 1) is left; the rest is grey, which is neither better nor worse. */
export function faded(pixel: number, kept: number): number {
  if (kept >= 1) return pixel;
  const mix = (c: 0 | 1 | 2) => Math.round(GREY + kept * (channel(pixel, c) - GREY)) << SHIFTS[c];
  return (OPAQUE | mix(0) | mix(1) | mix(2)) >>> 0;
}

/** Black or white, whichever can be read on a colour. */
export function inkOn(pixel: number): string {
  return 0.21 * channel(pixel, 0) + 0.72 * channel(pixel, 1) + 0.07 * channel(pixel, 2) > 120 ? "#000" : "#fff";
}
