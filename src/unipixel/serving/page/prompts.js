/** What a person points with, as the server takes it: points, boxes, scribbles, masks, in pixels of the clip. */

import { Mask } from "./rle.js";

const tenth = (value) => Math.round(value * 10) / 10;

export function point({ x, y }, frame, positive = true) {
  return { type: "point", x, y, frame, positive };
}

/** A box between two pixels, whichever corners they are. */
export function box(one, other, frame) {
  return {
    type: "box",
    x1: Math.min(one.x, other.x),
    y1: Math.min(one.y, other.y),
    x2: Math.max(one.x, other.x),
    y2: Math.max(one.y, other.y),
    frame,
  };
}

/** A stroke through places of the picture. */
export function scribble(places, frame, thickness) {
  return { type: "scribble", points: places.map(({ x, y }) => [tenth(x), tenth(y)]), frame, thickness: tenth(thickness) };
}

/** Clicks along a stroke that say where the object is not. */
export function clicksAlong(places, frame, most = 5) {
  const count = Math.min(most, places.length);
  return Array.from({ length: count }, (_, turn) => {
    const { x, y } = places[Math.round((turn * (places.length - 1)) / Math.max(1, count - 1))];
    return point({ x: Math.floor(x), y: Math.floor(y) }, frame, false);
  });
}

export function mask(bits, width, height, frame) {
  return { type: "mask", rle: Mask.fromBits(bits, width, height).toCoco(), frame };
}

/** What was pointed with, in words. */
export function described(prompt) {
  switch (prompt.type) {
    case "point":
      return `${prompt.positive ? "point" : "negative point"} at ${prompt.x}, ${prompt.y}`;
    case "box":
      return `box from ${prompt.x1}, ${prompt.y1} to ${prompt.x2}, ${prompt.y2}`;
    case "scribble":
      return `scribble through ${prompt.points.length} places`;
    default:
      return "painted mask";
  }
}
