/** The tools above the picture: what a pointer does, for which object, and how large. */

import { css } from "./colours.js";
import { byId } from "./dom.js";
import { labelOf, TOOLS } from "./state.js";

export class Tools {
  #store;

  constructor(store, stage, pointing) {
    this.#store = store;
    for (const tool of TOOLS) byId(`tool-${tool}`).addEventListener("change", () => store.set({ tool }));
    byId("include").addEventListener("change", () => store.set({ positive: true }));
    byId("exclude").addEventListener("change", () => store.set({ positive: false }));
    byId("brush").addEventListener("input", (event) => store.set({ brush: Number(event.target.value) }));
    byId("follow").addEventListener("change", (event) => store.set({ follow: event.target.checked }));
    byId("zoom-in").addEventListener("click", () => pointing.zoom(1.25));
    byId("zoom-out").addEventListener("click", () => pointing.zoom(0.8));
    byId("zoom-fit").addEventListener("click", () => stage.fit());
    byId("deselect").addEventListener("click", () => store.set({ selected: null }));
    store.on(["tool", "positive", "brush", "clip", "follow"], (state) => this.#show(state));
    store.on(["selected", "objects", "nextId", "clip"], (state) => this.#target(state));
    store.on(["tool", "hovered"], ({ tool }) => {
      byId("canvas").dataset.tool = tool;
    });
  }

  /** A larger or smaller brush. */
  resizeBrush(factor) {
    const { brush, clip } = this.#store.state;
    if (!clip) return;
    const step = factor > 1 ? Math.max(brush + 1, brush * factor) : Math.min(brush - 1, brush * factor);
    this.#store.set({ brush: Math.round(Math.min(mostBrush(clip), Math.max(1, step))) });
  }

  #show({ tool, positive, brush, clip, follow }) {
    byId(`tool-${tool}`).checked = true;
    byId(positive ? "include" : "exclude").checked = true;
    byId("brush-size").hidden = tool !== "mask";
    byId("polarity").hidden = tool === "move";
    const slider = byId("brush");
    slider.max = String(clip ? mostBrush(clip) : 100);
    slider.value = String(brush);
    slider.setAttribute("aria-valuetext", `${brush} pixels`);
    byId("follow").checked = follow;
    byId("follow-choice").hidden = !clip || clip.num_frames < 2;
  }

  /** Which object the next click is about: to correct the wrong one is the commonest mistake. */
  #target({ selected, objects, nextId }) {
    const object = objects.get(selected);
    const target = byId("target");
    target.style.setProperty("--colour", css(object ? object.id : nextId));
    target.classList.toggle("corrects", Boolean(object));
    byId("target-word").textContent = object ? "Correcting " : "";
    byId("target-text").textContent = object ? labelOf(object) : "New object";
    byId("deselect").hidden = !object;
  }
}

function mostBrush(clip) {
  return Math.max(8, Math.round(Math.min(clip.width, clip.height) / 3));
}
