/** The quality of an object's masks below the timeline: a bar for each frame, low ones in another colour. */

import { byId } from "./dom.js";
import { across } from "./timeline.js";

const HEIGHT = 28;
const LOW = 0.5;

export class Quality {
  #store;
  #lane = byId("quality-lane");

  constructor(store, player) {
    this.#store = store;
    this.#lane.addEventListener("pointerdown", (event) => {
      const { width } = this.#lane.getBoundingClientRect();
      player.pause();
      player.seek(((event.offsetX - 8) / (width - 16)) * (store.state.clip.num_frames - 1));
    });
    new ResizeObserver(() => this.draw()).observe(byId("quality"));
    store.on(["reviewing", "clip", "frame"], () => this.draw());
  }

  draw() {
    const { reviewing, clip, frame } = this.#store.state;
    const ratings = reviewing?.correcting ? null : reviewing?.ratings;
    byId("quality").hidden = !ratings?.size;
    const here = ratings?.get(frame);
    byId("frame-quality").textContent = ratings ? (here === undefined ? "no quality" : `quality ${here.toFixed(2)}`) : "";
    const { width } = this.#lane.getBoundingClientRect();
    if (!ratings?.size || !width || clip.num_frames < 2) return;
    const ratio = window.devicePixelRatio || 1;
    this.#lane.width = Math.round(width * ratio);
    this.#lane.height = Math.round(HEIGHT * ratio);
    const context = this.#lane.getContext("2d");
    context.scale(ratio, ratio);
    this.#bars(context, ratings, clip, width);
    const { color } = getComputedStyle(this.#lane);
    context.fillStyle = color;
    context.fillRect(across(frame, clip, width) - 0.75, 0, 1.5, HEIGHT);
  }

  /** Where several frames share a pixel, the worst of them is seen. */
  #bars(context, ratings, clip, width) {
    const step = (width - 16) / Math.max(1, clip.num_frames - 1);
    const worst = new Map();
    for (const [frame, quality] of ratings) {
      const left = Math.round(2 * (across(frame, clip, width) - Math.min(step / 2, 8))) / 2;
      worst.set(left, Math.min(quality, worst.get(left) ?? 1));
    }
    const style = getComputedStyle(this.#lane);
    const wide = Math.max(1, Math.min(step - 1, 16));
    for (const [left, quality] of worst) {
      context.fillStyle = quality < LOW ? style.borderTopColor : style.outlineColor;
      const height = Math.max(2, quality * HEIGHT);
      context.fillRect(left, HEIGHT - height, wide, height);
    }
  }
}
