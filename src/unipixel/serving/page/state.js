/** Everything that the page knows, with what it is at the beginning. */

import { Store } from "./store.js";

export const TOOLS = ["point", "scribble", "mask", "move"];

export function newStore() {
  return new Store({
    phase: "starting", // starting, login, empty, opening, open
    model: "",
    opening: null, // {name, part}: what is being opened, and which part of it is uploaded
    recent: [], // sessions that the server still keeps
    ...emptySession(),
    // How it is looked at and worked on
    view: { scale: 1, x: 0, y: 0 },
    tool: "point",
    positive: true,
    brush: 12, // pixels of the picture
    follow: true, // follow an object through the clip as soon as it is pointed at
    followUp: false, // earlier questions stand before the next one
    requireMask: false,
    shortcuts: true,
    tab: "objects", // what a narrow screen shows below the picture
    review: null, // {folders, counts, total, rows, filter}: what the server has for review
    failure: null, // {message, asJob}: what went wrong last, and whether a job could do it
    waiting: false, // whether the server is busy and a request waits in line
  });
}

/** What belongs to one clip. */
export function emptySession() {
  return {
    clip: null,
    session: null,
    media: null, // {name, file}: what was opened; no file for a session that was taken up again
    frame: 0,
    arrived: 0, // counts frames that have come, so that they are drawn
    playing: false,
    objects: new Map(), // id → {id, name, origin, pointings, frames: Map of index → entry}
    nextId: 0,
    hidden: new Set(),
    selected: null,
    hovered: null,
    gesture: null, // what is being drawn with the pointer
    cursor: null, // the crosshair of the keyboard, in pixels of the picture
    pending: null, // prompts on their way to the server
    busy: null, // {what, done, total, left}: what is under way
    turns: [], // the conversation
    acts: [], // what was done, for undo, code and replay
    undone: [],
    job: null, // the latest job that followed this clip
    toFollow: new Set(), // objects that are to be followed when there is time
    reviewing: null, // {row, ratings: Map of frame → quality, correcting}: the object under review
  };
}

/** An object as the page keeps it, from the server's. */
export function objectOf(entry) {
  return {
    id: entry.id,
    name: entry.name ?? null,
    origin: entry.origin ?? "said",
    pointings: entry.pointings ?? [],
    frames: new Map((entry.frames ?? []).map((frame) => [frame.index, frame])),
  };
}

/** All objects, from the server's list. */
export function objectsOf(entries) {
  return new Map(entries.map((entry) => [entry.id, objectOf(entry)]));
}

/** What an object is called: `[3] ball`. */
export function labelOf(object) {
  return object.name ? `[${object.id}] ${object.name}` : `[${object.id}]`;
}
