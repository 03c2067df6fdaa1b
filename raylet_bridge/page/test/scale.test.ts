import assert from "node:assert/strict";
import { test } from "node:test";
import { age, rate, time } from "base/web/format.ts";
import { faded, inkOn, makeScale, packed, PALETTE, round125, viridis } from "base/web/scale.ts";
import { formatView, parseView } from "../src/view.ts";
import { bands, joined, type History } from "../src/history.ts";

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

test("a scale makes no picture of noise, takes odd values, and knows when there is none", () => {
  const scale = makeScale(0.1, 0.1, false, true)!;
  assert.ok(scale.worst / scale.best >= 4 && scale.place(0.1) > 0.1 && scale.place(0.1) < 0.9);
  assert.ok(makeScale(0, 0, false, true)!.place(0) >= 0);
  assert.equal(makeScale(Infinity, -Infinity, false, true), null);
  const share = makeScale(2, 98, true, false)!;
  assert.deepEqual([share.best, share.worst, share.place(25)], [100, 0, 0.75]);
});

test("figures in words", () => {
  assert.deepEqual([time(0.0862), time(1.5), time(2500), time(0), time(NaN), time(null)], ["86.2 µs", "1.5 ms", "2.5 s", "0 ms", "not known", "not known"]);
  assert.deepEqual([rate(13916), rate(200), rate(null)], ["13.92 Gb/s", "200 Mb/s", "not known"]);
  assert.deepEqual(
    [age(312), age(4100), age(59_999), age(192_000), age(7_500_000), age(90_000_000)],
    ["312 ms", "4.1 s", "1 min", "3 min 12 s", "2 h 5 min", "1 d 1 h"],
  );
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

test("what fades goes towards grey, and stays opaque", () => {
  const yellow = packed(253, 231, 37);
  assert.equal(faded(yellow, 1), yellow);
  assert.equal(faded(yellow, 0), packed(128, 128, 128));
  assert.equal(faded(yellow, 0.5), packed(191, 180, 83));
});
