import assert from "node:assert/strict";
import { test } from "node:test";
import { joined, logarithmicTicks, nearest } from "../src/charts.ts";
import { pairLines, percentileLines, sweepLines } from "../src/curves.ts";
import { BW, bwRow, PING, pingRow, read } from "./document.ts";

test("a sweep is the median of its repeats by size, one line a way", () => {
  const sizes = [64, 4096, 1024];
  const series = ["tcp", "ucx"].flatMap((transport) => sizes.map((bytes) => ({ ...BW, transport, bytes })));
  const rows = series.flatMap((_, i) => [1, 2, 3].map((repeat) => bwRow(i, 0, 1, 10 * i + repeat, repeat)));
  const lines = sweepLines(read({ texts: ["a", "b"], series, rows }).rows, "bw");
  assert.deepEqual(
    lines.map((line) => line.label),
    ["tcp", "ucx"],
  );
  assert.deepEqual(lines[0]!.points, [
    [64, 2],
    [1024, 22],
    [4096, 12],
  ]);
});

test("curves by percentile, and over all pairs", () => {
  const { rows, curves } = read({
    texts: ["a", "b"],
    series: [PING, { ...PING, transport: "ucx" }],
    rows: [pingRow(0, 0, 1, 30), pingRow(0, 1, 0, 20), pingRow(0, 0, 1, 40), pingRow(1, 0, 1, 5)],
    curves: [
      {
        row: 0,
        points: [
          [0, 0],
          [50, 30],
        ],
      },
      {
        row: 3,
        points: [
          [0, 4],
          [50, 5],
        ],
      },
    ],
  });
  assert.deepEqual(percentileLines(curves), [
    { label: "tcp", points: [[50, 30]] },
    {
      label: "ucx",
      points: [
        [0, 4],
        [50, 5],
      ],
    },
  ]);
  assert.deepEqual(pairLines(rows), [
    {
      label: "tcp stream, 64 B",
      points: [
        [0, 20],
        [50, 30],
        [100, 40],
      ],
    },
  ]);
});

test("lines over different places share an axis, and the pointer finds the nearest of each", () => {
  const data = joined([
    {
      label: "a",
      points: [
        [1, 10],
        [3, 30],
      ],
    },
    { label: "b", points: [[2, 5]] },
  ]);
  assert.deepEqual(data, [
    [1, 2, 3],
    [10, undefined, 30],
    [undefined, 5, undefined],
  ]);
  assert.deepEqual([nearest(data[1]!, 1), nearest(data[2]!, 2), nearest([null], 0)], [0, 1, 0]);
});

test("a logarithmic axis has round marks, and some of them whatever it spans", () => {
  assert.deepEqual(logarithmicTicks(0.5, 20_000), [1, 10, 100, 1000, 10_000]);
  assert.deepEqual(logarithmicTicks(9, 120), [10, 20, 50, 100]);
  for (const [low, high] of [
    [19, 26],
    [1.01, 1.4],
    [95, 105],
  ] as const)
    assert.ok(logarithmicTicks(low, high).length > 1, `${low} to ${high}`);
});
