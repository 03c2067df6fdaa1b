import assert from "node:assert/strict";
import { test } from "node:test";
import { layersOf } from "../src/layers.ts";
import { FAILED, Figures, NOT_MEASURED, scaleOf } from "../src/map_figures.ts";
import { BW, bwRow, PING, pingRow, read } from "./document.ts";

const NAMES = ["a", "b", "c"];

function nodes(ports: unknown[]): unknown[] {
  return NAMES.map((name) => ({ name, alive: true, reason: "", ports }));
}

test("a row without a device counts for the first port that can carry it; a failure for every map that it may belong to", () => {
  const rails = [0, 1].map((rail) => ({ name: `mlx5_${rail}:1`, fabric: "roce", rail, rdma_device: `mlx5_${rail}` }));
  const ports = [...rails, { name: "eth0", fabric: "ethernet" }];
  const of = (rail: number) => ({ ...BW, transport: "verbs", mode: "write", device: `mlx5_${rail}:1 gid 3` });
  const failure = { ...BW, transport: "verbs", mode: "", device: "" };
  const { rows, nodes: known } = read({
    head: { nodes: nodes(ports) },
    texts: [...NAMES, "DEADLINE_EXCEEDED: late"],
    series: [of(0), of(1), failure, { ...failure, transport: "ucx" }, BW],
    rows: [bwRow(0, 0, 1, 300), bwRow(1, 0, 1, 290), [2, 2, 1, 1, 3], [3, 2, 1, 1, 3], bwRow(4, 0, 2, 310)],
  });
  const layers = layersOf(rows, known);
  assert.deepEqual(
    layers.map((layer) => layer.title),
    [
      "Bandwidth over tcp stream ethernet to_peer",
      "Bandwidth over ucx to_peer",
      "Bandwidth over verbs write roce rail 0 to_peer",
      "Bandwidth over verbs write roce rail 1 to_peer",
    ],
  );
  assert.deepEqual(
    layers.map((layer) => layer.cells.has(2 * 3 + 1)),
    [false, true, true, true],
  );
});

test("a round trip that only the other side measured stands in both cells; what nobody measured has no figure", () => {
  const { rows, nodes: known } = read({
    head: { nodes: nodes([]) },
    texts: [...NAMES, "gone"],
    series: [PING],
    rows: [pingRow(0, 0, 1, 30), pingRow(0, 0, 1, 50), [0, 1, 2, 1, 3]],
  });
  const figures = new Figures(layersOf(rows, known)[0]!, known);
  assert.deepEqual([figures.at(0, 1).middle, figures.at(1, 0).middle, figures.at(1, 0).fromOtherSide], [40, 40, true]);
  assert.deepEqual([figures.look(0, 1), figures.look(0, 2), figures.look(2, 1)], [null, NOT_MEASURED, FAILED]);
  assert.match(figures.tell(1, 0), /^b → a: 40 µs, 100 % of the median\nmeasured from the other side\np50 30 µs/);
  assert.equal(figures.tell(0, 2), "a → c\nnot measured");
  assert.deepEqual(figures.pairs(), [1, 3]);
});

test("a scale ends where its figures do, and makes no picture of noise", () => {
  const bw = scaleOf([3.5, 90, 92, 94], true)!;
  assert.deepEqual([bw.scale.best, bw.scale.worst, bw.middle], [136.5, 3.5, 91]);
  assert.ok(scaleOf([20, 20.1], false)!.scale.place(20.1) < 0.51);
  assert.equal(scaleOf([], false), null);
});
