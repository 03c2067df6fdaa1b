import assert from "node:assert/strict";
import { test } from "node:test";
import { freshness } from "../src/board_cells.ts";
import { countsInWords, decodeMatrix, NO_EDGE, SLOW_BANDWIDTH, worstLayer } from "../src/matrix.ts";
import { METRICS, metricOf, worstMetric } from "../src/metrics.ts";
import { filterCells, groupReasons } from "../src/reasons.ts";
import { survey } from "../src/survey.ts";
import { worstEdges } from "../src/worst.ts";
import { document, TCP } from "./document.ts";

const rtt = metricOf("rtt");
const bandwidth = metricOf("bandwidth");

test("a document is read as it was written", () => {
  const matrix = decodeMatrix(document(3, TCP, (row, column) => ({ figures: { rtt_p50_ms: row + column / 8 } })));
  assert.equal(matrix.nodes.length, 3);
  assert.deepEqual(
    matrix.layerNames.map((layer) => layer.transport),
    ["tcp", "grpc"],
  );
  assert.equal(matrix.layer!.state[0], NO_EDGE);
  assert.equal(matrix.layer!.figures.rtt_p50_ms[1 * 3 + 2], 1.25);
  assert.ok(Number.isNaN(matrix.layer!.figures.bw_p50_mbps[1]));
});

test("what is no document is refused in words", () => {
  const good = document(2, TCP, () => ({}));
  assert.throws(() => decodeMatrix(new ArrayBuffer(3)), /no NSM1 document/);
  assert.throws(() => decodeMatrix(new TextEncoder().encode('{"result":false}').buffer as ArrayBuffer), /no NSM1 document/);
  assert.throws(() => decodeMatrix(good.slice(0, 100)), /cut off/);
  assert.throws(() => decodeMatrix(good.slice(0, good.byteLength - 8)), /outside of the document/);
  assert.throws(() => decodeMatrix(document(2, TCP, () => ({}), { schema_version: 2 })), /schema version 2/);
});

test("only OK edges have figures, and every edge is counted once", () => {
  const matrix = decodeMatrix(
    document(4, TCP, (row, column) =>
      row === 3 ? { state: 3, reason: 2, figures: { rtt_p50_ms: 99 } } : column === 3 ? { state: 4, reason: 1 } : { figures: { rtt_p50_ms: 1 + row } },
    ),
  );
  const found = survey(matrix, rtt);
  assert.deepEqual([found.low, found.high, found.withFigure, found.edges], [1, 3, 6, 12]);
  assert.deepEqual(Object.fromEntries(found.byState), { OK: 6, STALE: 3, UNREACHABLE: 3 });
});

test("the worst come first: at fault, then slow, and one cause does not hide another", () => {
  const n = 200;
  const matrix = decodeMatrix(
    document(n, TCP, (row, column) => {
      if (column === n - 1) return { state: 4, reason: 1 };
      if (row === 5 && column === 6) return { state: 2 };
      const slow = row === 8 && column === 9;
      return { figures: { rtt_p50_ms: slow ? 50 : 1 + row / n, bw_p50_mbps: slow ? 3 : 1000 } };
    }),
  );
  for (const metric of [rtt, bandwidth]) {
    const { notOk, notOkInAll, slow } = worstEdges(matrix, metric, null, 50);
    assert.equal(notOkInAll, n);
    assert.equal(notOk.length + slow.length, 50);
    assert.deepEqual([notOk[0]!.dst, notOk.at(-1)!.src, notOk.at(-1)!.dst], [n - 1, 5, 6]);
    assert.deepEqual([slow[0]!.src, slow[0]!.dst], [8, 9]);
  }
});

test("a filter lets through what its group counts", () => {
  const matrix = decodeMatrix(document(4, TCP, (row) => (row === 1 ? { state: 3, reason: 2 } : row === 2 ? { state: 3, reason: 3 } : { state: 7 })));
  const groups = groupReasons(matrix);
  assert.deepEqual(groups, [
    { state: "STALE", reason: "its report is … ms old", count: 6 },
    { state: "ISOLATED", reason: "", count: 6 },
  ]);
  const keep = filterCells(matrix, groups[0]!.state, groups[0]!.reason)!;
  assert.equal([...Array(16).keys()].filter(keep).length, 6);
  assert.equal(filterCells(matrix, "", ""), null);
  assert.equal(worstEdges(matrix, rtt, null, 50).notOkInAll, 6); // ISOLATED is no fault
});

test("a state that this page does not know is no good state", () => {
  const states = ["UNKNOWN", "OK", "MELTED"];
  const matrix = decodeMatrix(document(2, TCP, () => ({ state: 2, figures: { rtt_p50_ms: 1 } }), { states }));
  assert.equal(survey(matrix, rtt).withFigure, 0);
  assert.equal(worstEdges(matrix, rtt, null, 50).notOkInAll, 2);
});

test("every metric has a column of the document or none", () => {
  assert.deepEqual(
    METRICS.filter((metric) => metric.column === null).map((metric) => metric.id),
    ["state"],
  );
});

test("names cannot turn or break the text around them", () => {
  const warnings = ["a\u202eb\u0000c\nd <img src=x>"];
  assert.deepEqual(decodeMatrix(document(1, TCP, () => ({}), { warnings })).warnings, ["a\ufffdb\ufffdc d <img src=x>"]);
});

test("what is slow beside its class is counted, and comes before what has the worst figure by chance", () => {
  const matrix = decodeMatrix(
    document(4, TCP, (row, column) =>
      row === 2 && column === 1 ? { slow: SLOW_BANDWIDTH, figures: { rtt_p50_ms: 1, bw_p50_mbps: 90 } } : { figures: { rtt_p50_ms: 2 + row, bw_p50_mbps: 80 } },
    ),
  );
  assert.equal(survey(matrix, rtt).slow, 1);
  for (const metric of [rtt, bandwidth])
    assert.deepEqual([worstEdges(matrix, metric, null, 5).slow[0]!.src, worstEdges(matrix, metric, null, 5).slow[0]!.dst], [2, 1]);
});

test("the page opens on the layer and the figure that are worst", () => {
  const good = { not_ok: 0, unknown: 0, slow_bandwidth: 0, slow_rtt: 0 };
  assert.equal(worstLayer([]), 0);
  assert.equal(worstLayer([good, good]), 0);
  assert.equal(worstLayer([good, { ...good, slow_bandwidth: 6 }, { ...good, slow_rtt: 2 }]), 1);
  assert.equal(worstLayer([good, { ...good, slow_bandwidth: 6 }, { ...good, not_ok: 1 }]), 2);
  assert.equal(worstLayer([good, { ...good, unknown: 90 }, { ...good, slow_rtt: 1 }]), 2);
  assert.equal(worstLayer([good, { ...good, unknown: 90 }]), 1);
  assert.equal(worstMetric(good), "rtt");
  assert.equal(worstMetric({ ...good, slow_bandwidth: 6 }), "bandwidth");
  assert.equal(countsInWords(good), "");
  assert.equal(countsInWords({ not_ok: 3, unknown: 0, slow_bandwidth: 6, slow_rtt: 0 }), "3 not OK, 6 slow");
});

test("a bandwidth fades with its age, from its first round on", () => {
  assert.deepEqual(
    [0, 20_000].map((age) => freshness(age, 60_000)),
    [1, 1],
  );
  assert.ok(freshness(40_000, 60_000) < 0.7 && freshness(60_000, 60_000) < 0.34);
  assert.equal(freshness(NaN, 60_000), 1);
  assert.equal(freshness(5, NaN), 1);
});
