import assert from "node:assert/strict";
import { test } from "node:test";
import { bands, joined, type History } from "../src/history.ts";
import { makeScale, round125 } from "../src/round_scale.ts";
import { formatView, parseView } from "../src/view.ts";

test("round numbers on both sides", () => {
  assert.deepEqual(
    [0.07, 0.1, 3, 5, 900].map((value) => round125(value, false)).map((value) => +value.toPrecision(3)),
    [0.05, 0.1, 2, 5, 500],
  );
  assert.deepEqual(
    [0.07, 0.1, 3, 5, 900].map((value) => round125(value, true)).map((value) => +value.toPrecision(3)),
    [0.1, 0.1, 5, 5, 1000],
  );
});

test("brighter is worse, whichever end is worse", () => {
  const slow = makeScale(0.06, 0.4, false, true)!;
  const narrow = makeScale(100, 14000, true, true)!;
  assert.ok(slow.place(0.06) < 0.2 && slow.place(0.4) > 0.8);
  assert.ok(narrow.place(100) > 0.9 && narrow.place(14000) < 0.2);
  assert.equal(slow.at(0), slow.best);
  assert.ok(Math.abs(slow.place(slow.at(0.3)) - 0.3) < 1e-9);
});

test("a scale makes no picture of noise, takes odd values, and knows when there is none", () => {
  const scale = makeScale(0.1, 0.1, false, true)!;
  assert.ok(scale.worst / scale.best >= 4 && scale.place(0.1) > 0.1 && scale.place(0.1) < 0.9);
  assert.ok(makeScale(0, 0, false, true)!.place(0) >= 0);
  assert.equal(makeScale(Infinity, -Infinity, false, true), null);
  const share = makeScale(2, 98, true, false)!;
  assert.deepEqual([share.best, share.worst, share.place(25)], [100, 0, 0.75]);
});

test("a view comes back from its address", () => {
  const view = { ...parseView(""), layer: "verbs/roce/1", metric: "jitter", sort: "worst" as const, state: "STALE", reason: "a & b = c # d" };
  assert.deepEqual(parseView(formatView(view)), view);
  assert.equal(parseView("#sort=<b>&open=all").sort, "name");
});

test("an hour has gaps where nothing is known, and bands where it was not OK", () => {
  const there: History = {
    step_ms: 1000,
    points: [
      [1000, 1, 5, "OK"],
      [2000, null, null, "UNREACHABLE"],
      [3000, null, null, "UNREACHABLE"],
      [9000, 2, 6, "OK"],
    ],
  };
  const back: History = { step_ms: 1000, points: [[1500, 7, 8, "OK"]] };
  const [axis, first, second] = joined([there, back], 1);
  assert.deepEqual(axis, [1, 1.5, 2, 3, 4, 9]);
  assert.deepEqual(first, [1, undefined, null, null, null, 2]);
  assert.deepEqual(second, [undefined, 7, undefined, undefined, undefined, undefined]);
  assert.deepEqual(bands(there), [{ from: 2, to: 4, state: "UNREACHABLE" }]);
  const flaps: History = {
    step_ms: 1000,
    points: [
      [1000, null, null, "STALE"],
      [2000, 1, 5, "OK"],
      [3000, null, null, "STALE"],
    ],
  };
  assert.deepEqual(bands(flaps), [
    { from: 1, to: 2, state: "STALE" },
    { from: 3, to: 4, state: "STALE" },
  ]);
  assert.deepEqual(bands(null), []);
});
