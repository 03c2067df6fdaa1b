// Figures in words. What is not known is "not known", never a zero.

const four = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
const three = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const NOT_KNOWN = "not known";

export function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

export function count(value: number): string {
  return whole.format(value);
}

export const fourDigits = (value: number) => four.format(value);

/** "3 edges", "1 edge". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

type Unit = [size: number, name: string];
const MILLISECONDS: Unit[] = [
  [1000, "s"],
  [1, "ms"],
  [0.001, "µs"],
];
const MEGABITS: Unit[] = [
  [1000, "Gb/s"],
  [1, "Mb/s"],
  [0.001, "kb/s"],
];

function scaled(value: unknown, units: Unit[], digits: Intl.NumberFormat): string {
  if (!isNumber(value)) return NOT_KNOWN;
  const [size, name] = units.find(([size]) => Math.abs(value) >= size) ?? (value === 0 ? units[1]! : units.at(-1)!);
  return `${digits.format(value / size)} ${name}`;
}

/** Milliseconds of a round trip: "86.2 µs". */
export const time = (ms: unknown) => scaled(ms, MILLISECONDS, four);
/** Decimal megabits a second: "13.9 Gb/s". */
export const rate = (mbps: unknown) => scaled(mbps, MEGABITS, four);
export const percent = (value: unknown) => (isNumber(value) ? `${three.format(value)} %` : NOT_KNOWN);

/** Milliseconds of an age: "312 ms", "4.1 s", "3 min 12 s", "2 h 5 min", "3 d 4 h". */
export function age(ms: unknown): string {
  if (!isNumber(ms)) return NOT_KNOWN;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const parts = (large: number, largeName: string, small: number, smallName: string) =>
    small === 0 ? `${large} ${largeName}` : `${large} ${largeName} ${small} ${smallName}`;
  if (seconds < 3600) return parts(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return parts(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return parts(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h");
}

/** Epoch milliseconds as the wall clock of whoever looks: "10:31:05". */
export function clock(epochMs: unknown): string {
  return isNumber(epochMs) ? new Date(epochMs).toLocaleTimeString("en-GB") : NOT_KNOWN;
}

const BINARY: Unit[] = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];

/** Of memory: "503 GiB". */
export function bytes(value: number): string {
  const unit = BINARY.find(([size]) => value >= size);
  return unit === undefined ? `${value} B` : `${three.format(value / unit[0])} ${unit[1]}`;
}

/** Of a message, to the byte: "64 KiB", "1000000 B". */
export function size(value: number): string {
  const unit = BINARY.find(([size]) => value >= size && value % size === 0);
  return unit === undefined ? `${value} B` : `${value / unit[0]} ${unit[1]}`;
}

/** Link rates, in bits a second: "100 Gb/s". */
export const linkRate = (bps: number) => rate(bps / 1e6);
