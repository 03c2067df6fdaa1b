// Asks again and again: one question at a time, at most a fifth of the time busy with answers, none while nobody looks.

const LEAST_MS = 2000;
const MOST_MS = 60_000; // a computer may have slept in the middle of a question
const BUSY_SHARE = 5;

export class Poller {
  #timer = 0;
  #asking = false;
  #again = false;
  #paused = false;
  /** Milliseconds between an answer and the next question. */
  delayMs = LEAST_MS;

  /** `ask` fetches and shows, and says whether there was an answer; it never throws. */
  constructor(readonly ask: () => Promise<boolean>) {
    document.addEventListener("visibilitychange", () => this.#wake());
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.#wake();
  }

  /** Now, or as soon as the question under way is answered. */
  async now(): Promise<void> {
    if (this.#asking) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#asking = true;
    const begun = performance.now();
    const answered = await this.ask();
    this.#asking = false;
    this.delayMs = answered ? Math.max(LEAST_MS, Math.min(MOST_MS, BUSY_SHARE * (performance.now() - begun))) : LEAST_MS;
    if (this.#again) {
      this.#again = false;
      void this.now();
    } else {
      this.#schedule(this.delayMs);
    }
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#paused && !document.hidden) this.#timer = window.setTimeout(() => void this.now(), ms);
  }

  #wake(): void {
    if (!this.#asking) this.#schedule(0);
  }
}
