/** The clip from left to right: the slider, the transport, and where each object is. */

import { colourOf, css } from "./colours.js";
import { byId, icon } from "./dom.js";
import { PAUSE, PLAY } from "./icons.js";
import { isThere } from "./masks.js";
import { clock } from "./player.js";

const ROW = 16;
const MOST_ROWS = 6;

export class Timeline {
  #store;
  #player;
  #slider = byId("scrubber");
  #lanes = byId("lanes");

  constructor(store, player) {
    this.#store = store;
    this.#player = player;
    this.#slider.addEventListener("input", () => {
      player.pause();
      player.seek(Number(this.#slider.value));
    });
    byId("play").addEventListener("click", () => player.toggle());
    byId("back").addEventListener("click", () => player.step(-1));
    byId("forward").addEventListener("click", () => player.step(1));
    this.#lanes.addEventListener("pointerdown", (event) => this.#pick(event));
    new ResizeObserver(() => this.#paint(store.state)).observe(this.#lanes.parentElement);
    store.on(["phase", "clip", "frame"], (state) => this.#place(state));
    store.on(["playing"], (state) => this.#transport(state));
    store.on(["clip", "frame", "objects", "hidden", "selected", "hovered"], (state) => this.#paint(state));
  }

  /** Draw the rows again: the colours around them have changed. */
  draw() {
    this.#paint(this.#store.state);
  }

  #place({ clip, frame }) {
    byId("timeline").hidden = !clip || clip.num_frames < 2;
    if (!clip) return;
    const last = clip.num_frames - 1;
    this.#slider.max = String(last);
    this.#slider.value = String(frame);
    this.#slider.style.setProperty("--part", String(last ? frame / last : 0));
    const time = clock(frame, clip.fps);
    this.#slider.setAttribute("aria-valuetext", `frame ${frame} of 0 to ${last}, ${time}`);
    byId("position").textContent = `${frame} / ${last}`;
    byId("time").textContent = time;
  }

  #transport({ playing }) {
    const button = byId("play");
    button.replaceChildren(icon(playing ? PAUSE : PLAY));
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    button.title = `${playing ? "Pause" : "Play"} (Space)`;
  }

  /** A row for each object: a bar where it is present, diamonds where it was pointed out. */
  #paint(state) {
    const rows = [...state.objects.values()].slice(0, 200);
    const shown = Math.min(rows.length, MOST_ROWS);
    this.#lanes.parentElement.style.blockSize = `${shown * ROW}px`;
    this.#lanes.style.blockSize = `${rows.length * ROW}px`;
    const { width } = this.#lanes.getBoundingClientRect();
    if (!state.clip || !width || !rows.length) return;
    const ratio = window.devicePixelRatio || 1;
    this.#lanes.width = Math.round(width * ratio);
    this.#lanes.height = Math.round(rows.length * ROW * ratio);
    const context = this.#lanes.getContext("2d");
    context.scale(ratio, ratio);
    rows.forEach((object, row) => this.#row(context, state, object, row * ROW, width));
    const at = across(state.frame, state.clip, width);
    context.fillStyle = getComputedStyle(this.#lanes).color;
    context.fillRect(at - 0.75, 0, 1.5, rows.length * ROW);
  }

  #row(context, state, object, top, width) {
    const isLit = state.hovered === object.id || state.selected === object.id;
    const step = (width - 16) / Math.max(1, state.clip.num_frames - 1);
    context.globalAlpha = state.hidden.has(object.id) ? 0.3 : 1;
    context.fillStyle = css(object.id, 0.16);
    context.beginPath();
    context.roundRect(8 - Math.min(step / 2, 4), top + 4, width - 16 + Math.min(step, 8), ROW - 8, 4);
    context.fill();
    context.fillStyle = css(object.id, isLit ? 1 : 0.75);
    for (const [from, to] of spans(object)) {
      const left = across(from, state.clip, width) - Math.min(step / 2, 4);
      const right = across(to, state.clip, width) + Math.min(step / 2, 4);
      context.beginPath();
      context.roundRect(left, top + (isLit ? 3 : 4), right - left, ROW - (isLit ? 6 : 8), 4);
      context.fill();
    }
    for (const frame of new Set(object.pointings.flatMap((one) => one.prompts.map((prompt) => prompt.frame)))) {
      this.#diamond(context, across(frame, state.clip, width), top + ROW / 2, object.id);
    }
    context.globalAlpha = 1;
  }

  #diamond(context, x, y, id) {
    const [red, green, blue] = colourOf(id).map((value) => Math.round(value * 0.55));
    context.save();
    context.translate(x, y);
    context.rotate(Math.PI / 4);
    context.fillStyle = "#fff";
    context.strokeStyle = `rgb(${red}, ${green}, ${blue})`;
    context.lineWidth = 1.5;
    context.beginPath();
    context.rect(-3, -3, 6, 6);
    context.fill();
    context.stroke();
    context.restore();
  }

  #pick(event) {
    const { objects, clip } = this.#store.state;
    const object = [...objects.values()][Math.floor(event.offsetY / ROW)];
    const width = this.#lanes.getBoundingClientRect().width;
    this.#player.pause();
    this.#player.seek(((event.offsetX - 8) / (width - 16)) * (clip.num_frames - 1));
    if (object) this.#store.set({ selected: object.id });
  }
}

/** Where a frame lies: the slider's thumb is as wide as the room at both ends. */
export function across(frame, { num_frames: all }, width) {
  return 8 + ((width - 16) * frame) / Math.max(1, all - 1);
}

/** Runs of frames on which an object is present: [first, last]. */
export function spans(object) {
  const found = [];
  const there = [...object.frames.values()].filter(isThere).map((entry) => entry.index);
  for (const frame of there.sort((one, two) => one - two)) {
    const last = found.at(-1);
    if (last && last[1] === frame - 1) last[1] = frame;
    else found.push([frame, frame]);
  }
  return found;
}
