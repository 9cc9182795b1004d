/** Decoded masks and their lines, kept as long as the entry that they come from. */

import { borders, smoothed } from "./outline.js";
import { Mask } from "./rle.js";

const decoded = new WeakMap();
const drawn = new WeakMap();

/** The mask of an object's entry for a frame. */
export function maskOf(entry) {
  let mask = decoded.get(entry);
  if (!mask) {
    mask = Mask.fromCoco(entry.rle);
    decoded.set(entry, mask);
  }
  return mask;
}

/** The lines around an entry's mask, in pixels of the picture. */
export function pathOf(entry) {
  let path = drawn.get(entry);
  if (!path) {
    path = linesAround(maskOf(entry), entry.box);
    drawn.set(entry, path);
  }
  return path;
}

/** Whether an object is to be seen on a frame. */
export function isThere(entry) {
  return Boolean(entry && entry.present && entry.area > 0 && entry.rle);
}

/** Objects shown on a frame, the one on top first: as in exports, the lower id. */
export function shownOn(state, frame) {
  const found = [];
  for (const object of [...state.objects.values()].sort((one, two) => one.id - two.id)) {
    const entry = object.frames.get(frame);
    if (!state.hidden.has(object.id) && isThere(entry)) found.push({ object, entry });
  }
  return found;
}

/** The id of the object at a pixel, or null. */
export function objectAt(state, { x, y }) {
  const found = shownOn(state, state.frame).find(({ entry }) => maskOf(entry).contains(x, y));
  return found ? found.object.id : null;
}

function linesAround(mask, [x1, y1, x2, y2]) {
  const path = new Path2D();
  for (const line of borders(mask.toBits([x1, y1, x2, y2]), x2 - x1 + 1, y2 - y1 + 1)) {
    const points = smoothed(line);
    path.moveTo(x1 + points[0], y1 + points[1]);
    for (let at = 2; at < points.length; at += 2) path.lineTo(x1 + points[at], y1 + points[at + 1]);
    path.closePath();
  }
  return path;
}
