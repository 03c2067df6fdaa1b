import assert from "node:assert/strict";
import { test } from "node:test";
import { rowInWords, valueOf, wayOf } from "../src/words.ts";
import { BW, bwRow, PING, pingRow, read } from "./document.ts";

test("rows have the figures of their kind, and a failure has none", () => {
  const { rows } = read({
    texts: ["a", "b", "UNAVAILABLE: gone"],
    series: [PING, BW],
    rows: [pingRow(0, 0, 1, 30, 20), bwRow(1, 1, 0, 92.5), [1, 0, 1, 2, 2]],
  });
  assert.deepEqual(
    rows.map((row) => [row.source, row.target, row.repeat]),
    [
      ["a", "b", 1],
      ["b", "a", 1],
      ["a", "b", 2],
    ],
  );
  assert.deepEqual(
    rows.map((row) => [row.p50, row.networkP50, row.avg, row.error]),
    [
      [30, 20, null, null],
      [null, null, 92.5, null],
      [null, null, null, "UNAVAILABLE: gone"],
    ],
  );
  assert.deepEqual(rows.map(valueOf), [20, 92.5, null]);
  assert.match(rowInWords(rows[0]!), /^p50 30 µs \(network 20\), p99 30 µs, 30 to 30, 100 samples, 0 lost$/);
  assert.match(rowInWords(rows[1]!), /^92.5 Gb\/s on average, worst window 92.5 Gb\/s$/);
  assert.equal(rowInWords(rows[2]!), "failed: UNAVAILABLE: gone");
  assert.equal(wayOf(rows[1]!), "tcp stream to_peer");
});

test("what is odd in a document is text, or not known", () => {
  const head = {
    command: 7,
    arguments: 3,
    nodes: [{}, { name: 7, alive: "yes", ports: ["eth0", null, { rail: "a" }] }, null, "x"],
    suspects: [{}],
    checks: [{}],
    plan: { pairs: 6, rounds: [1, 2] },
    judged: "perhaps",
    interrupted: 1,
  };
  const result = read({ head, series: [{ kind: "dance", rail: "a" }], texts: [""], rows: [pingRow(0, 0, 0, null)] });
  assert.deepEqual([result.command, result.arguments, result.judged, result.interrupted, result.startedAtMs], ["7", "", null, false, null]);
  assert.deepEqual(
    result.nodes.map((node) => [node.name, node.alive, node.ports.map((port) => [port.name, port.rail])]),
    [
      ["", null, []],
      [
        "7",
        null,
        [
          ["eth0", null],
          ["", null],
        ],
      ],
    ],
  );
  assert.deepEqual(result.further, [["plan", "pairs 6, rounds 1, 2"]]);
  assert.deepEqual([result.suspects!.length, result.suspects![0]!.measured, result.checks[0]!.passed], [1, null, false]);
  assert.deepEqual([result.rows[0]!.rail, result.rows[0]!.p50], [null, null]);
  assert.equal(read({ head: { suspects: "none" } }).suspects, null);
});
