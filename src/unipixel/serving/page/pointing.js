/** From what a mouse, finger or the keys do on the picture to prompts. */

import { maskOf, objectAt } from "./masks.js";
import * as prompts from "./prompts.js";
import { isInside, moved, pixelAt, toPicture, zoomed } from "./viewport.js";

const CLICK = 5; // pixels of the screen that a click may wander

export class Pointing {
  #store;
  #stage;
  #canvas;
  #onPrompts;
  #fingers = new Map();
  #drag = null;
  spaceIsDown = false;

  /** @param {(prompts: object[]) => void} onPrompts hears what was pointed with */
  constructor(store, stage, canvas, onPrompts) {
    this.#store = store;
    this.#stage = stage;
    this.#canvas = canvas;
    this.#onPrompts = onPrompts;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#drop(event));
    canvas.addEventListener("pointerleave", () => this.#drag || this.#store.set({ hovered: null }));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#store.set({ cursor: null }));
  }

  /** Zoom around the middle of the screen. */
  zoom(factor) {
    const { width, height } = this.#stage.size;
    this.#zoomAt(factor, { x: width / 2, y: height / 2 });
  }

  /** Leave what is being drawn. @returns {boolean} whether there was anything */
  cancel() {
    const was = this.#drag !== null;
    this.#drag = null;
    this.#store.set({ gesture: null });
    return was;
  }

  #down(event) {
    const { state } = this.#store;
    if (state.phase !== "open") return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, place(event));
    this.#store.set({ cursor: null });
    if (this.#fingers.size === 2) {
      this.cancel(); // two fingers zoom
      return;
    }
    const at = toPicture(state.view, place(event));
    const moves = event.button === 1 || this.spaceIsDown || state.tool === "move";
    if (!moves && !isInside(at, state.clip)) return;
    const positive = state.positive !== (event.button === 2 || event.altKey);
    this.#drag = { from: place(event), last: place(event), tool: moves ? "move" : state.tool, positive, places: [at] };
    if (event.shiftKey && !moves) this.#drag.tool = "select";
    this.#show();
  }

  #move(event) {
    const { state } = this.#store;
    if (state.phase !== "open") return;
    if (this.#fingers.size === 2 && this.#fingers.has(event.pointerId)) {
      this.#pinch(event);
      return;
    }
    const drag = this.#drag;
    if (!drag) {
      const at = toPicture(state.view, place(event));
      const hovered = isInside(at, state.clip) ? objectAt(state, pixelAt(at, state.clip)) : null;
      if (event.pointerType === "mouse") this.#store.set({ hovered });
      return;
    }
    const now = place(event);
    if (drag.tool === "move") {
      const by = { x: now.x - drag.last.x, y: now.y - drag.last.y };
      this.#store.set({ view: moved(state.view, by, state.clip, this.#stage.size) });
    } else {
      for (const one of event.getCoalescedEvents?.() ?? []) drag.places.push(toPicture(state.view, place(one)));
      drag.places.push(toPicture(state.view, now));
    }
    drag.last = now;
    this.#show();
  }

  #up(event) {
    this.#fingers.delete(event.pointerId);
    const drag = this.#drag;
    if (!drag) return;
    this.cancel();
    const { state } = this.#store;
    if (drag.tool === "select") this.#store.set({ selected: objectAt(state, pixelAt(drag.places[0], state.clip)) });
    else if (drag.tool !== "move") this.#give(this.#promptsOf(drag, state));
  }

  #drop(event) {
    this.#fingers.delete(event.pointerId);
    this.cancel();
  }

  #give(found) {
    if (found.length) this.#onPrompts(found);
  }

  /** Let the canvas draw the gesture. */
  #show() {
    const { state } = this.#store;
    const { tool, positive, places } = this.#drag;
    if (tool === "point" && positive && this.#isDragged()) {
      const corners = this.#corners(this.#drag, state);
      this.#store.set({ gesture: { kind: "box", box: prompts.box(...corners, state.frame) } });
    } else if (tool === "scribble" || tool === "mask") {
      const thickness = tool === "mask" ? state.brush : null;
      this.#store.set({ gesture: { kind: "stroke", places: [...places], positive, thickness, id: state.selected } });
    }
  }

  #isDragged() {
    const { from, last } = this.#drag;
    return Math.hypot(last.x - from.x, last.y - from.y) > CLICK;
  }

  #corners({ places }, { clip }) {
    return [pixelAt(places[0], clip), pixelAt(places.at(-1), clip)];
  }

  #promptsOf(drag, state) {
    const { clip, frame } = state;
    const inside = drag.places.filter((one) => isInside(one, clip));
    if (drag.tool === "mask") return this.#painted(drag, state);
    const wandered = Math.hypot(drag.last.x - drag.from.x, drag.last.y - drag.from.y) > CLICK;
    if (!wandered) return [prompts.point(pixelAt(drag.places[0], clip), frame, drag.positive)];
    if (drag.tool === "scribble") {
      const places = thinned(inside, 2);
      return drag.positive
        ? [prompts.scribble(places, frame, Math.max(1, 4 / state.view.scale))]
        : prompts.clicksAlong(places, frame);
    }
    if (!drag.positive) return [prompts.point(pixelAt(drag.places.at(-1), clip), frame, false)];
    return [prompts.box(...this.#corners(drag, state), frame)];
  }

  /** The selected object's mask with the stroke added or taken away; without one, the stroke alone. */
  #painted(drag, state) {
    const { width, height } = state.clip;
    const entry = state.objects.get(state.selected)?.frames.get(state.frame);
    const bits = entry?.rle ? maskOf(entry).toBits() : new Uint8Array(width * height);
    const before = bits.slice();
    paint(bits, width, height, drag.places, state.brush / 2, drag.positive ? 1 : 0);
    if (bits.every((bit, at) => bit === before[at])) return [];
    return [prompts.mask(bits, width, height, state.frame)];
  }

  #wheel(event) {
    if (this.#store.state.phase !== "open") return;
    event.preventDefault();
    this.#zoomAt(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015)), place(event));
  }

  #zoomAt(factor, at) {
    const { view, clip } = this.#store.state;
    if (!clip) return;
    const closer = zoomed(view, factor, at, this.#stage.least);
    this.#store.set({ view: moved(closer, { x: 0, y: 0 }, clip, this.#stage.size) });
  }

  #pinch(event) {
    const [one, two] = [...this.#fingers.keys()];
    const far = () => {
      const [a, b] = [this.#fingers.get(one), this.#fingers.get(two)];
      return { length: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    };
    const before = far();
    this.#fingers.set(event.pointerId, place(event));
    const now = far();
    this.#zoomAt(now.length / Math.max(1, before.length), now);
    const { view, clip } = this.#store.state;
    const by = { x: now.x - before.x, y: now.y - before.y };
    this.#store.set({ view: moved(view, by, clip, this.#stage.size) });
  }

  /** The crosshair: arrows move it, Enter clicks there, with Alt a negative point. */
  #key(event) {
    const { state } = this.#store;
    const step = STEPS[event.key];
    if (state.phase !== "open" || event.ctrlKey || event.metaKey) return;
    // Behind a mouse click, arrows are for the clip; the crosshair is for those who came by keyboard.
    if (step && (state.cursor || this.#canvas.matches(":focus-visible"))) {
      const by = event.shiftKey ? 1 : Math.max(1, Math.round(state.clip.width / 50));
      const from = state.cursor ?? { x: Math.floor(state.clip.width / 2), y: Math.floor(state.clip.height / 2) };
      const cursor = state.cursor ? pixelAt({ x: from.x + by * step[0], y: from.y + by * step[1] }, state.clip) : from;
      this.#store.set({ cursor, hovered: objectAt(state, cursor) });
    } else if (event.key === "Enter" && state.cursor) {
      this.#give([prompts.point(state.cursor, state.frame, state.positive !== event.altKey)]);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function place(event) {
  return { x: event.offsetX, y: event.offsetY };
}

/** Fewer places of a stroke, none nearer than `far` pixels to the one before. */
function thinned(places, far) {
  const kept = [];
  for (const one of places) {
    const last = kept.at(-1);
    if (!last || Math.hypot(one.x - last.x, one.y - last.y) >= far) kept.push(one);
  }
  return kept;
}

/** Set the pixels whose middles lie within `radius` of a stroke. */
export function paint(bits, width, height, places, radius, value) {
  places.forEach((to, turn) => {
    const from = places[Math.max(0, turn - 1)];
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius));
    const right = Math.min(width - 1, Math.ceil(Math.max(from.x, to.x) + radius));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius));
    const bottom = Math.min(height - 1, Math.ceil(Math.max(from.y, to.y) + radius));
    for (let y = top; y <= bottom; y += 1) {
      for (let x = left; x <= right; x += 1) {
        if (distance(from, to, x + 0.5, y + 0.5) <= Math.max(radius, 0.71)) bits[y * width + x] = value;
      }
    }
  });
}

/** From (x, y) to the nearest place of a line. */
function distance(from, to, x, y) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const part = length ? Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length)) : 0;
  return Math.hypot(x - from.x - part * dx, y - from.y - part * dy);
}
