/**
 * A replay: the clip, what was done and what came of it, for `python -m unipixel.serving.replay FILE --server URL`.
 * `docs/page.md` describes the file.
 */

const MOST_INSIDE = 32 * 2 ** 20; // larger clips are named, not taken along

/** The document, with the clip inside where it is at hand and small enough. */
export async function replayOf({ acts, objects, clip, media, model }) {
  const inside = media.file && media.file.size <= MOST_INSIDE ? await base64(media.file) : null;
  return {
    format: "unipixel-replay",
    version: 1,
    model,
    media: { name: media.name, ...clip, content: inside },
    acts: acts.map(stripped),
    objects: [...objects.values()].map((object) => ({
      id: object.id,
      name: object.name,
      frames: [...object.frames.values()].sort((one, two) => one.index - two.index),
    })),
  };
}

/** An act without what only the page needs. */
function stripped({ before, toFollow, automatic, turns, ...act }) {
  return act;
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 0x8000) {
    pieces.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  }
  return btoa(pieces.join(""));
}
