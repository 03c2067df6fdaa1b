import assert from "node:assert/strict";
import { test } from "node:test";
import { age, bytes, rate, size, time } from "../format.ts";
import { harmless } from "../json.ts";

test("figures in words", () => {
  assert.deepEqual([time(0.0862), time(1.5), time(2500), time(0), time(NaN), time(null)], ["86.2 µs", "1.5 ms", "2.5 s", "0 ms", "not known", "not known"]);
  assert.deepEqual([rate(13916), rate(200), rate(null)], ["13.92 Gb/s", "200 Mb/s", "not known"]);
  assert.deepEqual(
    [age(312), age(4100), age(59_999), age(192_000), age(7_500_000), age(90_000_000)],
    ["312 ms", "4.1 s", "1 min", "3 min 12 s", "2 h 5 min", "1 d 1 h"],
  );
});

test("sizes of messages are exact, those of memory are not", () => {
  assert.deepEqual([1, 1023, 1024, 1536, 2 ** 20, 1_000_000].map(size), ["1 B", "1023 B", "1 KiB", "1536 B", "1 MiB", "1000000 B"]);
  assert.deepEqual([1023, 1536, 540_000_000_000].map(bytes), ["1023 B", "1.5 KiB", "503 GiB"]);
});

test("text of other people neither turns nor breaks the text around it", () => {
  assert.equal(harmless("a\u202eb\u0000c\r\nd <img src=x>"), "a\ufffdb\ufffdc d <img src=x>");
});
