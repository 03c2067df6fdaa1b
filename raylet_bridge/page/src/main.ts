// Puts the page together: one view, one matrix, the parts that show them.

import "base/web/theme.css";
import "./page.css";
import { ApiError, getMatrix, token } from "./api.ts";
import { BoardMaker, type Board } from "./board.ts";
import { Controls } from "./controls.ts";
import { byId, make } from "base/web/dom.ts";
import { EdgePanel } from "./edge_panel.ts";
import { HeatMap } from "./heatmap.ts";
import { legend } from "./legend.ts";
import { Liveness } from "./liveness.ts";
import { decodeMatrix, worstLayer, type Matrix } from "./matrix.ts";
import { worstMetric } from "./metrics.ts";
import { NodePanel } from "./node_panel.ts";
import { NodesList } from "./nodes_list.ts";
import { Poller } from "./polling.ts";
import { ReasonsList } from "./reasons_list.ts";
import { summary, warnings } from "./summary.ts";
import { tokenForm } from "./token_form.ts";
import { formatView, layerKey, parseView, type View } from "./view.ts";
import { WorstList } from "./worst_list.ts";

let view: View = parseView(location.hash);
let matrix: Matrix | null = null;
let board: Board | null = null;
let pausedByHand = false;

const maker = new BoardMaker();
const poller = new Poller(ask);
const liveness = new Liveness(poller);
const controls = new Controls(
  (chosen) => change(chosen, chosen.layer !== undefined),
  () => {
    pausedByHand = !pausedByHand;
    poller.pause(pausedByHand);
    liveness.tell();
    showControls();
  },
);
const heatmap = new HeatMap({ select: (src, dst) => select(src, dst), open: (src, dst) => (src === dst ? openNode(src) : openEdge(src, dst)) });
const worstList = new WorstList(openEdge);
const nodesList = new NodesList(openNode);
const reasonsList = new ReasonsList((state, reason) => change({ state, reason }));
const edgePanel = new EdgePanel(close, (id) => openNode(indexOf(id)));
const nodePanel = new NodePanel(close, openEdge);

const facts = make("div");
const notes = make("div");
const legendPlace = make("div");
const panelPlace = make("div", { class: "panel-place" });
const content = make(
  "div",
  { class: "content" },
  make("div", { class: "left" }, heatmap.element, legendPlace, heatmap.told),
  make("aside", { class: "right", "aria-label": "Details" }, panelPlace, worstList.element, reasonsList.element, nodesList.element),
);

function indexOf(id: string): number {
  return matrix === null || id === "" ? -1 : matrix.nodes.findIndex((node) => node.node_id === id);
}

function idOf(index: number): string {
  return matrix!.nodes[index]!.node_id;
}

// --- what is looked at ---

/** `asks`: what is now looked at must be fetched first. `push`: the browser's back button comes back here. */
function change(changes: Partial<View>, asks = false, push = false): void {
  view = { ...view, ...changes };
  const address = formatView(view);
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  if (asks) void poller.now();
  else render();
}

function select(src: number, dst: number): void {
  view = { ...view, src: idOf(src), dst: idOf(dst) };
  history.replaceState(null, "", formatView(view));
}

function openEdge(src: number, dst: number): void {
  edgePanel.restart();
  change({ src: idOf(src), dst: idOf(dst), open: "edge", node: "" }, false, true);
  edgePanel.element.focus({ preventScroll: false });
  void showPanel(true);
}

function openNode(index: number): void {
  if (index < 0) return;
  change({ open: "node", node: idOf(index) }, false, true);
  nodePanel.element.focus({ preventScroll: false });
  void showPanel(true);
}

function close(): void {
  change({ open: "", node: "" }, false, true);
  heatmap.focus();
}

// --- asking ---

/** True: answered. */
async function ask(): Promise<boolean> {
  try {
    matrix = await fetchMatrix();
    openOnTheWorst(matrix);
    liveness.answered(matrix.generatedAtMs, matrix.message);
    render();
    await showPanel(false);
    return true;
  } catch (error) {
    trouble(error);
    return false;
  }
}

/** What the address does not say is chosen once: it stays while one looks. */
function openOnTheWorst({ layer, layerNames, layerCounts }: Matrix): void {
  if (layer === null) return;
  if (view.layer === "") view.layer = layerKey(layer);
  const counts = layerCounts[layerNames.findIndex((name) => layerKey(name) === layerKey(layer))];
  if (view.metric === "" && counts !== undefined) view.metric = worstMetric(counts);
}

async function fetchMatrix(): Promise<Matrix> {
  const place = (known: Pick<Matrix, "layerNames" | "layerCounts"> | null) =>
    known === null
      ? 0
      : view.layer === ""
        ? worstLayer(known.layerCounts)
        : Math.max(
            0,
            known.layerNames.findIndex((layer) => layerKey(layer) === view.layer),
          );
  const asked = place(matrix);
  let answer: ArrayBuffer;
  try {
    answer = await getMatrix(asked);
  } catch (error) {
    // The layers are not those that they were.
    if (!(error instanceof ApiError) || error.status !== 400 || asked === 0) throw error;
    answer = await getMatrix(0);
  }
  const got = decodeMatrix(answer);
  const wanted = place(got);
  if (got.layer === null || layerKey(got.layer) === layerKey(got.layerNames[wanted]!)) return got;
  return decodeMatrix(await getMatrix(wanted));
}

function trouble(error: unknown): void {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
    askForToken(error.status === 403);
    return;
  }
  liveness.failed(error instanceof Error ? error.message : String(error));
  showControls();
}

function askForToken(wrong: boolean): void {
  token.forget();
  poller.pause(true);
  const form = tokenForm(wrong, (given) => {
    token.set(given);
    document.body.classList.remove("asks-token");
    byId("main").replaceChildren(content);
    poller.pause(pausedByHand);
    void poller.now();
  });
  document.body.classList.add("asks-token");
  byId("main").replaceChildren(form);
  form.querySelector("input")?.focus();
}

// --- showing ---

/** The layer is the one whose figures stand there; another one that was chosen comes with its figures. */
function showControls(): void {
  const layer = matrix?.layer ? layerKey(matrix.layer) : view.layer;
  controls.show({ ...view, layer }, matrix ?? { layerNames: [], layerCounts: [] }, pausedByHand);
}

function makeBoard(): Board | null {
  if (matrix === null) return null;
  // A link from elsewhere may name a layer that this cluster has not.
  if (matrix.layer !== null && !matrix.layerNames.some((layer) => layerKey(layer) === view.layer)) view.layer = layerKey(matrix.layer);
  return maker.make(matrix, view);
}

/** The lists, each in a task of its own: some ten milliseconds with 512 nodes. */
const lists: ((board: Board) => void)[] = [
  (board) => legendPlace.replaceChildren(legend(board)),
  (board) => worstList.show(board),
  (board) => reasonsList.show(board, view.state, view.reason),
  (board) => nodesList.show(board),
];
let listsToShow = 0;
let listing = false;

/** The map and the panel at once, the lists soon: nothing may freeze the page. */
function render(): void {
  board = makeBoard();
  if (board === null) return;
  facts.replaceChildren(summary(board));
  notes.replaceChildren(warnings(board));
  showControls();
  heatmap.show(board, indexOf(view.src), indexOf(view.dst));
  const panel = view.open === "edge" ? edgePanel.element : view.open === "node" ? nodePanel.element : null;
  if (panel === null) panelPlace.replaceChildren();
  else if (panelPlace.firstChild !== panel) panelPlace.replaceChildren(panel);
  listsToShow = lists.length;
  if (!listing) {
    listing = true;
    setTimeout(showNextList);
  }
}

function showNextList(): void {
  lists[lists.length - listsToShow]!(board!);
  --listsToShow;
  listing = listsToShow > 0;
  if (listing) setTimeout(showNextList);
}

/** What the open panel shows beside the board is asked of its own: an edge with every update, a node's inventory when it is opened. */
async function showPanel(opened: boolean): Promise<void> {
  if (board === null) return;
  const ofEdge = view.open === "edge";
  try {
    if (ofEdge) {
      const src = indexOf(view.src);
      const dst = indexOf(view.dst);
      if (src < 0 || dst < 0) return edgePanel.gone("One of these nodes is no longer in the cluster.");
      if (src === dst) return edgePanel.gone("This is a node itself: it is not measured.");
      const end = (index: number) => ({ id: idOf(index), name: board!.labels[index]! });
      await edgePanel.show({ src: end(src), dst: end(dst) }, view.layer);
    } else if (view.open === "node") {
      const index = indexOf(view.node);
      if (index < 0) return nodePanel.gone("This node is no longer in the cluster.");
      await nodePanel.show(board, index, opened);
    }
  } catch (error) {
    if (!ofEdge || (error instanceof ApiError && (error.status === 401 || error.status === 403))) throw error;
    edgePanel.fail(error instanceof Error ? error.message : String(error));
  }
}

byId("head").append(make("div", { class: "title" }, make("h1", {}, "netsense"), facts, liveness.element), controls.element, notes);
byId("main").append(content);
window.addEventListener("popstate", () => {
  const { layer, metric } = view;
  const asked = parseView(location.hash);
  view = { ...asked, layer: asked.layer || layer, metric: asked.metric || metric }; // what was chosen when one came in stays
  void poller.now();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && view.open !== "") close();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  heatmap.repaint();
  edgePanel.restart();
  render();
});
showControls();
void poller.now();
