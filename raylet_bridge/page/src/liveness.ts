// How old the page's data is, in words: a figure must never look newer than it is.

import { make, setText } from "base/web/dom.ts";
import { age, clock } from "base/web/format.ts";

const LATE_MS = 6000;

export class Liveness {
  readonly element = make("div", { class: "live" });
  readonly #text = make("span");
  readonly #spoken = make("span", { class: "spoken", role: "status" });
  #generatedAtMs = 0;
  #message = ""; // what the bridge says of its data when they are not of now, although it writes now
  #answeredAt = NaN; // performance.now() of the newest answer
  #newDataAt = NaN; // and of the newest one that had new data
  #seenAt = 0; // when the page came into sight: it asks nothing before
  #error = "";

  constructor(readonly poller: { paused: boolean; delayMs: number }) {
    this.element.append(this.#text, this.#spoken);
    setInterval(() => this.tell(), 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#seenAt = performance.now();
    });
    this.tell();
  }

  answered(generatedAtMs: number, message: string): void {
    this.#answeredAt = performance.now();
    if (generatedAtMs !== this.#generatedAtMs) this.#newDataAt = this.#answeredAt;
    this.#generatedAtMs = generatedAtMs;
    this.#message = message;
    this.#error = "";
    this.tell();
  }

  failed(reason: string): void {
    this.#error = reason;
    this.tell();
  }

  tell(): void {
    if (document.hidden) return;
    const { paused, delayMs } = this.poller;
    const since = (moment: number) => Math.max(0, Math.round((performance.now() - moment) / 1000) * 1000);
    const silent = since(Math.max(this.#answeredAt, this.#seenAt));
    const unchanged = since(this.#newDataAt);
    const late = Math.max(LATE_MS, 3 * delayMs);
    const why = this.#error === "" ? "" : ` (${this.#error})`;
    const data = `data of ${clock(this.#generatedAtMs)}${this.#message === "" ? "" : ` (${this.#message})`}`;
    let look: "good" | "old" | "paused", words: string, spoken: string;
    if (Number.isNaN(this.#answeredAt))
      [look, words, spoken] = this.#error ? ["old", `no answer yet${why}`, "The bridge does not answer."] : ["paused", "asking …", ""];
    else if (paused) [look, words, spoken] = ["paused", `paused: showing ${data}, ${age(unchanged)} old`, "Paused."];
    else if (this.#error !== "" || silent > late)
      [look, words, spoken] = ["old", `no answer for ${age(silent)}: showing ${data}${why}`, "The bridge does not answer."];
    else if (this.#answeredAt < this.#seenAt) [look, words, spoken] = ["paused", `asking again: showing ${data}, ${age(unchanged)} old`, ""];
    else if (unchanged > late) [look, words, spoken] = ["old", `the bridge answers with ${data}, ${age(unchanged)} old`, "The data is old."];
    else if (this.#message !== "") [look, words, spoken] = ["old", this.#message, "The data is old."];
    else [look, words, spoken] = ["good", `live: ${data}, every ${age(delayMs)}`, "Live."];
    this.element.dataset.look = look;
    document.body.classList.toggle("old-data", look === "old");
    setText(this.#text, words);
    setText(this.#spoken, spoken);
  }
}
