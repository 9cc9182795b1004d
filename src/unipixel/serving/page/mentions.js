/** Texts in which objects are mentioned: `[1]` in a question, and what an answer says of each. */

/**
 * A question as pieces: text, and `{id}` where it mentions one of the known objects.
 * @returns {{text: string, id?: number}[]}
 */
export function piecesOfQuestion(text, known) {
  const pieces = [];
  let at = 0;
  for (const found of text.matchAll(/\[(\d{1,9})\]/g)) {
    const id = Number(found[1]);
    if (!known.has(id)) continue;
    pieces.push({ text: text.slice(at, found.index) }, { text: found[0], id });
    at = found.index + found[0].length;
  }
  pieces.push({ text: text.slice(at) });
  return pieces.filter((piece) => piece.text !== "");
}

/** An answer as pieces; `mentions` count letters as Python does, one for each code point. */
export function piecesOfAnswer(text, mentions) {
  const letters = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const { start, stop, object_id: id } of [...mentions].sort((one, two) => one.start - two.start)) {
    if (start < at) continue;
    pieces.push({ text: letters.slice(at, start).join("") }, { text: letters.slice(start, stop).join(""), id });
    at = stop;
  }
  pieces.push({ text: letters.slice(at).join("") });
  return pieces.filter((piece) => piece.text !== "");
}
