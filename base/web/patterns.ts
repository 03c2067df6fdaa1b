// Patterns on a canvas: they tell what is not good without colour. Small cells get them pixel by pixel.

import { cssColour } from "./dom.ts";
import { packed } from "./scale.ts";

export type Pattern = "none" | "hatch" | "back-hatch" | "dots" | "cross" | "bar";

/** How a cell is drawn that has no colour of the scale. */
export interface Look {
  name: string;
  /** Colour as a name of the style's variables; what is drawn on it has the same with -ink. */
  colour: string;
  pattern: Pattern;
  sign: string;
}

const TILE = 8;

/** Whether the second colour of a pattern lies at a place; for cells of a pixel or a few. */
function inked(pattern: Pattern, row: number, column: number): boolean {
  switch (pattern) {
    case "hatch":
      return (row + column) % 4 === 0;
    case "back-hatch":
      return (row - column + 4096) % 4 === 0;
    case "cross":
      return (row + column) % 6 === 0 || (row - column + 6144) % 6 === 0;
    case "bar":
      return row % 4 === 0;
    case "dots":
      return row % 4 === 0 && column % 4 === 0;
    default:
      return false;
  }
}

function rgb(hex: string): [number, number, number] {
  const value = parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export interface Ink {
  fill: string;
  line: string;
  fillPixel: number;
  linePixel: number;
  tile: CanvasPattern | null;
}

function strokeTile(context: CanvasRenderingContext2D, pattern: Pattern): void {
  const line = (x0: number, y0: number, x1: number, y1: number) => {
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
  };
  for (const shift of [-TILE, 0, TILE]) {
    if (pattern === "hatch" || pattern === "cross") line(shift - 1, TILE + 1, shift + TILE + 1, -1);
    if (pattern === "back-hatch" || pattern === "cross") line(shift - 1, -1, shift + TILE + 1, TILE + 1);
  }
  if (pattern === "bar") line(0, TILE / 2, TILE, TILE / 2);
  if (pattern === "dots") {
    context.fillRect(1, 1, 2, 2);
    context.fillRect(5, 5, 2, 2);
  }
}

/** Inks of one theme. */
export class Inks {
  readonly #made = new Map<Look, Ink>();
  readonly diagonal = packed(...rgb(cssColour("diagonal")));
  readonly paper = packed(...rgb(cssColour("paper")));

  of(look: Look): Ink {
    const known = this.#made.get(look);
    if (known) return known;
    const fill = cssColour(look.colour);
    const line = cssColour(`${look.colour}-ink`) || cssColour("ink");
    const tile = document.createElement("canvas");
    tile.width = tile.height = TILE;
    const context = tile.getContext("2d")!;
    context.fillStyle = fill;
    context.fillRect(0, 0, TILE, TILE);
    context.strokeStyle = context.fillStyle = line;
    context.lineWidth = 1.2;
    strokeTile(context, look.pattern);
    const made: Ink = {
      fill,
      line,
      fillPixel: packed(...rgb(fill)),
      linePixel: packed(...rgb(line)),
      tile: look.pattern === "none" ? null : context.createPattern(tile, "repeat"),
    };
    this.#made.set(look, made);
    return made;
  }

  pixel(look: Look, row: number, column: number, patterned: boolean): number {
    const ink = this.of(look);
    return patterned && inked(look.pattern, row, column) ? ink.linePixel : ink.fillPixel;
  }
}

/** A sample for a legend. */
export function swatch(inks: Inks, look: Look): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 18;
  canvas.className = "swatch";
  const context = canvas.getContext("2d")!;
  const ink = inks.of(look);
  context.fillStyle = ink.tile ?? ink.fill;
  context.fillRect(0, 0, 18, 18);
  if (look.sign !== "") drawSign(context, look, ink, 9, 9, 18);
  return canvas;
}

/** The state's sign on a plate of its colour, so that the pattern does not hide it. */
export function drawSign(context: CanvasRenderingContext2D, look: Look, ink: Ink, x: number, y: number, size: number): void {
  const height = Math.min(size * 0.75, 26);
  context.fillStyle = ink.fill;
  context.fillRect(x - height / 2.4, y - height / 2.2, height / 1.2, height / 1.1);
  context.fillStyle = ink.line;
  context.font = `600 ${Math.round(height)}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(look.sign, x, y + height * 0.04);
}
