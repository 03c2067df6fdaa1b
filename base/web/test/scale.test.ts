import assert from "node:assert/strict";
import { test } from "node:test";
import { faded, inkOn, packed, PALETTE, scaleBetween, shade, viridis } from "../scale.ts";

test("a scale grows brighter from its best to its worst value, whichever end that is", () => {
  const slow = scaleBetween(1, 100, false, true);
  const narrow = scaleBetween(1, 100, true, true);
  assert.deepEqual([slow.best, slow.worst, narrow.best, narrow.worst], [1, 100, 100, 1]);
  assert.deepEqual([1, 10, 100, 1000].map(slow.place), [0, 0.5, 1, 1]);
  assert.deepEqual([100, 10, 1, 0.1].map(narrow.place), [0, 0.5, 1, 1]);
  assert.ok(Math.abs(narrow.place(narrow.at(0.3)) - 0.3) < 1e-9);
  assert.deepEqual([shade(narrow, 1), shade(narrow, 100)], [packed(253, 231, 37), packed(68, 1, 84)]);
  assert.deepEqual([25, 200].map(scaleBetween(0, 100, true, false).place), [0.75, 0]);
});

test("the colours are viridis, and can be written on", () => {
  assert.deepEqual(
    [viridis(0), viridis(1), viridis(7)],
    [
      [68, 1, 84],
      [253, 231, 37],
      [253, 231, 37],
    ],
  );
  assert.deepEqual([inkOn(PALETTE[0]!), inkOn(PALETTE.at(-1)!)], ["#fff", "#000"]);
});

test("what fades goes towards grey, and stays opaque", () => {
  const yellow = packed(253, 231, 37);
  assert.equal(faded(yellow, 1), yellow);
  assert.equal(faded(yellow, 0), packed(128, 128, 128));
  assert.equal(faded(yellow, 0.5), packed(191, 180, 83));
});
