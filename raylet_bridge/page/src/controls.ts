// What the person chooses: layer, metric, order of nodes, pause.

import { button, make, setText } from "base/web/dom.ts";
import { countsInWords, layerTitle, type Matrix } from "./matrix.ts";
import { METRICS } from "./metrics.ts";
import { layerKey, type View } from "./view.ts";

function labelled(label: string, control: HTMLElement): HTMLElement {
  return make("label", {}, make("span", { class: "quiet" }, label), control);
}

export class Controls {
  readonly element: HTMLElement;
  readonly #layer = make("select");
  readonly #sort = make("select", {}, make("option", { value: "name" }, "by name"), make("option", { value: "worst" }, "worst first"));
  readonly #metrics: HTMLInputElement[];
  readonly #pause: HTMLButtonElement;
  #layers = "";

  constructor(change: (chosen: Partial<View>) => void, pause: () => void) {
    this.#layer.addEventListener("change", () => change({ layer: this.#layer.value, state: "", reason: "" }));
    this.#sort.addEventListener("change", () => change({ sort: this.#sort.value as View["sort"] }));
    this.#metrics = METRICS.map(({ id }) => make("input", { type: "radio", name: "metric", id: `metric-${id}`, value: id }));
    for (const input of this.#metrics) input.addEventListener("change", () => change({ metric: input.value }));
    this.#pause = button("Pause", pause);
    const radios = METRICS.map((metric, i) =>
      make("span", {}, this.#metrics[i]!, make("label", { for: `metric-${metric.id}`, title: metric.explains }, metric.label)),
    );
    this.element = make(
      "div",
      { class: "controls" },
      labelled("Layer ", this.#layer),
      make("fieldset", { class: "metrics" }, make("legend", { class: "spoken" }, "Figure"), ...radios),
      labelled("Nodes ", this.#sort),
      this.#pause,
    );
  }

  show(view: View, matrix: Pick<Matrix, "layerNames" | "layerCounts">, paused: boolean): void {
    const known = JSON.stringify(matrix.layerNames);
    if (known !== this.#layers) {
      this.#layers = known;
      this.#layer.replaceChildren(...matrix.layerNames.map((layer) => make("option", { value: layerKey(layer) })));
    }
    matrix.layerNames.forEach((layer, i) => {
      const counts = countsInWords(matrix.layerCounts[i]!);
      setText(this.#layer.options[i]!, counts === "" ? layerTitle(layer) : `${layerTitle(layer)} (${counts})`);
    });
    this.#layer.value = view.layer;
    this.#sort.value = view.sort;
    for (const input of this.#metrics) input.checked = input.value === view.metric;
    setText(this.#pause, paused ? "Go on" : "Pause");
    this.#pause.setAttribute("aria-pressed", String(paused));
  }
}
