/** The picture with masks, prompts and the gesture under way. Draws what the state says, and keeps none itself. */

import { css, inkOn } from "./colours.js";
import { pathOf, shownOn } from "./masks.js";
import { labelOf } from "./state.js";
import { fitted, toScreen } from "./viewport.js";

const DRAWN = ["phase", "clip", "frame", "arrived", "objects", "hidden", "selected", "hovered", "gesture", "cursor"];
const INCLUDE = "#1f9d55";
const EXCLUDE = "#d64545";
const FONT = '600 12px Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export class Stage {
  #store;
  #canvas;
  #context;
  #asked = false;
  #size = { width: 0, height: 0 };

  constructor(store, canvas) {
    this.#store = store;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.frames = null;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    store.on([...DRAWN, "pending", "view"], () => this.draw());
  }

  /** Width and height on the screen, in CSS pixels. */
  get size() {
    return this.#size;
  }

  /** Show the whole picture. */
  fit() {
    const { clip } = this.#store.state;
    if (clip) this.#store.set({ view: fitted(clip, this.#size) });
  }

  /** The smallest zoom. */
  get least() {
    return fitted(this.#store.state.clip, this.#size).scale / 2;
  }

  /** Draw before the screen is shown next. */
  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#paint(this.#store.state);
    });
  }

  #resize() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const old = this.#size;
    if (!width || !height || (old.width === width && old.height === height)) return;
    const { clip, view } = this.#store.state;
    const wasFitted = clip && Math.abs(fitted(clip, old).scale - view.scale) < 1e-6;
    this.#size = { width, height };
    if (clip && (wasFitted || !old.width)) this.fit();
    this.draw();
  }

  #paint(state) {
    const context = this.#context;
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = this.#size;
    if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!state.clip || !this.frames) return;
    const { scale, x, y } = state.view;
    context.translate(x, y);
    context.scale(scale, scale);
    this.#picture(state);
    const shown = shownOn(state, state.frame).reverse();
    for (const { object, entry } of shown) this.#mask(state, object, entry);
    this.#gesture(state);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const { object, entry } of shown) this.#label(state, object, entry);
    this.#prompts(state);
    this.#cursor(state);
  }

  #picture({ clip, frame, view }) {
    const context = this.#context;
    const picture = this.frames.at(frame);
    context.fillStyle = "#808080";
    if (!picture) {
      context.globalAlpha = 0.15;
      context.fillRect(0, 0, clip.width, clip.height);
      context.globalAlpha = 1;
      return;
    }
    context.imageSmoothingEnabled = view.scale < 6; // pixels are to be seen when one looks closely
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, clip.width, clip.height);
  }

  #mask(state, object, entry) {
    const context = this.#context;
    const path = pathOf(entry);
    const isLit = state.hovered === object.id;
    const isDim = state.hovered !== null && !isLit;
    const line = (isLit || state.selected === object.id ? 2.5 : 1.75) / state.view.scale;
    context.lineJoin = "round";
    context.fillStyle = css(object.id, isLit ? 0.55 : isDim ? 0.12 : 0.34);
    context.fill(path, "evenodd");
    context.globalAlpha = isDim ? 0.45 : 1;
    context.strokeStyle = "rgba(255, 255, 255, 0.85)"; // a light rim keeps the line apart from a picture of its colour
    context.lineWidth = line + 2 / state.view.scale;
    context.stroke(path);
    context.strokeStyle = css(object.id);
    context.lineWidth = line;
    context.stroke(path);
    context.globalAlpha = 1;
  }

  #label(state, object, entry) {
    const context = this.#context;
    const isDim = state.hovered !== null && state.hovered !== object.id;
    const [x1, y1, x2] = entry.box;
    const place = toScreen(state.view, { x: (x1 + x2 + 1) / 2, y: y1 });
    const text = labelOf(object).slice(0, 32);
    context.font = FONT;
    const width = context.measureText(text).width + 14;
    const left = Math.min(Math.max(place.x - width / 2, 4), Math.max(4, this.#size.width - width - 4));
    const top = Math.max(place.y - 26, 4);
    context.globalAlpha = isDim ? 0.4 : 1;
    context.beginPath();
    context.roundRect(left, top, width, 20, 10);
    context.fillStyle = css(object.id);
    context.fill();
    context.strokeStyle = "rgba(255, 255, 255, 0.9)";
    context.lineWidth = state.selected === object.id ? 2 : 1;
    context.stroke();
    context.fillStyle = inkOn(object.id);
    context.textBaseline = "middle";
    context.fillText(text, left + 7, top + 10.5);
    context.globalAlpha = 1;
  }

  /** What points at the selected object on this frame, and what is on its way to the server. */
  #prompts(state) {
    const selected = state.objects.get(state.selected);
    const given = (selected?.pointings ?? []).flatMap((pointing) => pointing.prompts);
    for (const prompt of given) if (prompt.frame === state.frame) this.#prompt(state, prompt);
    this.#context.globalAlpha = 0.75;
    for (const prompt of state.pending ?? []) if (prompt.frame === state.frame) this.#prompt(state, prompt);
    this.#context.globalAlpha = 1;
  }

  #prompt(state, prompt) {
    if (prompt.type === "point") this.#dot(toScreen(state.view, { x: prompt.x + 0.5, y: prompt.y + 0.5 }), prompt.positive);
    else if (prompt.type === "box") this.#box(state, prompt);
    else if (prompt.type === "scribble") this.#stroke(state, prompt.points, 2, INCLUDE);
  }

  #dot({ x, y }, positive) {
    const context = this.#context;
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    context.fillStyle = positive ? INCLUDE : EXCLUDE;
    context.fill();
    context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.stroke();
    context.beginPath();
    context.moveTo(x - 3.2, y);
    context.lineTo(x + 3.2, y);
    if (positive) {
      context.moveTo(x, y - 3.2);
      context.lineTo(x, y + 3.2);
    }
    context.lineWidth = 1.75;
    context.stroke();
  }

  #box({ view }, { x1, y1, x2, y2 }) {
    const context = this.#context;
    const from = toScreen(view, { x: x1, y: y1 });
    const to = toScreen(view, { x: x2 + 1, y: y2 + 1 });
    for (const [colour, dash] of [["rgba(0, 0, 0, 0.65)", []], ["#fff", [6, 4]]]) {
      context.strokeStyle = colour;
      context.lineWidth = dash.length ? 1.5 : 2.5;
      context.setLineDash(dash);
      context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
    }
    context.setLineDash([]);
  }

  #stroke({ view }, points, width, colour) {
    const context = this.#context;
    context.beginPath();
    points.forEach(([x, y], place) => {
      const at = toScreen(view, { x, y });
      if (place === 0) context.moveTo(at.x, at.y);
      context.lineTo(at.x, at.y);
    });
    context.lineCap = "round";
    context.lineJoin = "round";
    context.strokeStyle = "#fff";
    context.lineWidth = width + 3;
    context.stroke();
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }

  /** What is being drawn: in pixels of the picture. */
  #gesture(state) {
    const { gesture, view } = state;
    if (!gesture) return;
    const context = this.#context;
    if (gesture.kind === "box") {
      const ratio = window.devicePixelRatio || 1;
      context.save();
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.#box(state, gesture.box);
      context.restore();
    } else if (gesture.kind === "stroke") {
      context.beginPath();
      gesture.places.forEach(({ x, y }, place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (gesture.places.length === 1) context.lineTo(gesture.places[0].x + 0.01, gesture.places[0].y);
      context.lineCap = "round";
      context.lineJoin = "round";
      context.lineWidth = gesture.thickness ?? 4 / view.scale;
      const colour = gesture.id === null ? css(state.nextId) : css(gesture.id);
      context.strokeStyle = gesture.positive ? (gesture.thickness ? colour : INCLUDE) : EXCLUDE;
      context.globalAlpha = gesture.thickness ? 0.6 : 1;
      context.stroke();
      context.globalAlpha = 1;
    }
  }

  #cursor({ cursor, view, positive }) {
    if (!cursor) return;
    const context = this.#context;
    const { x, y } = toScreen(view, { x: cursor.x + 0.5, y: cursor.y + 0.5 });
    for (const [colour, width] of [["#fff", 3.5], [positive ? INCLUDE : EXCLUDE, 1.75]]) {
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 5 * dx, y + 5 * dy);
        context.lineTo(x + 15 * dx, y + 15 * dy);
      }
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }
}
