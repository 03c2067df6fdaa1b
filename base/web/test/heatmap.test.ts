import assert from "node:assert/strict";
import { test } from "node:test";
import { cellAt, moved } from "../heatmap_cursor.ts";

test("keys move from cell to cell, and stay on the map", () => {
  assert.deepEqual(moved("ArrowRight", null, 9), [0, 0]);
  assert.deepEqual(moved("ArrowRight", [3, 4], 9), [3, 5]);
  assert.deepEqual(moved("ArrowUp", [0, 4], 9), [0, 4]);
  assert.deepEqual(moved("PageDown", [3, 4], 9), [8, 4]);
  assert.deepEqual(
    [moved("Home", [3, 4], 9), moved("End", [3, 4], 9)],
    [
      [0, 0],
      [8, 8],
    ],
  );
  assert.equal(moved("Enter", [3, 4], 9), null);
});

test("the pointer is over a cell, or over none", () => {
  const frame = { left: 40, top: 20, side: 90, cell: 10, firstRow: 0, firstColumn: 0.5 };
  const at = (offsetX: number, offsetY: number) => cellAt({ offsetX, offsetY } as MouseEvent, frame, 9);
  assert.deepEqual(
    [at(40, 20), at(44, 20), at(46, 35)],
    [
      [0, 0],
      [0, 0],
      [1, 1],
    ],
  );
  assert.deepEqual([at(39, 20), at(40, 19), at(130, 20), at(127, 20)], [null, null, null, null]);
});
