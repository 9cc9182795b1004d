/** Shortcuts: one table for what they do and for the help that lists them. */

/**
 * @typedef {{keys: string, shown: string[], what: string, run: (event: KeyboardEvent) => void}} Shortcut
 * `keys` is a key as the browser names it, with "Ctrl+" and "Shift+" before it; Ctrl stands for Command, too.
 */

const one = (keys, shown, what, run) => ({ keys: [keys].flat(), shown, what, run });

/** @param {Record<string, Function>} does what the page can do, by name  @returns {[string, Shortcut[]][]} */
export function shortcutTable(does) {
  return [
    [
      "Clip",
      [
        one(" ", ["Space"], "Play or pause; held, move the picture", does.play),
        one(["ArrowLeft", ","], ["←", ","], "One frame back", () => does.step(-1)),
        one(["ArrowRight", "."], ["→", "."], "One frame on", () => does.step(1)),
        one("Shift+ArrowLeft", ["Shift ←"], "Ten frames back", () => does.step(-10)),
        one("Shift+ArrowRight", ["Shift →"], "Ten frames on", () => does.step(10)),
        one("Home", ["Home"], "First frame", () => does.seek(0)),
        one("End", ["End"], "Last frame", () => does.seek(Infinity)),
      ],
    ],
    [
      "Pointing",
      [
        one("p", ["P"], "Points and boxes", () => does.tool("point")),
        one("s", ["S"], "Scribble", () => does.tool("scribble")),
        one("b", ["B"], "Brush for masks", () => does.tool("mask")),
        one("v", ["V"], "Move the picture", () => does.tool("move")),
        one("x", ["X"], "Include or exclude", does.polarity),
        one("[", ["["], "Smaller brush", () => does.brush(1 / 1.25)),
        one("]", ["]"], "Larger brush", () => does.brush(1.25)),
      ],
    ],
    [
      "Objects",
      [
        one("n", ["N"], "New object", does.newObject),
        ...[..."123456789"].map((key, at) => one(key, [], "", () => does.select(at))),
        { keys: [], shown: ["1", "…", "9"], what: "Select the first … ninth object", run: () => {} },
        one("h", ["H"], "Hide or show the selected object", does.hide),
        one(["Delete", "Backspace"], ["Del"], "Remove the selected object", does.remove),
        one("Ctrl+z", ["Ctrl Z"], "Undo", does.undo),
        one(["Ctrl+Shift+z", "Ctrl+y"], ["Ctrl Shift Z"], "Redo", does.redo),
      ],
    ],
    [
      "Page",
      [
        one("/", ["/"], "Write a question", does.question),
        one("Ctrl+o", ["Ctrl O"], "Open a picture or video", does.open),
        one("e", ["E"], "Export", does.export),
        one("c", ["C"], "Code and replay", does.code),
        one(["+", "="], ["+"], "Zoom in", () => does.zoom(1.25)),
        one("-", ["-"], "Zoom out", () => does.zoom(0.8)),
        one("0", ["0"], "Show the whole picture", does.fit),
        one("Escape", ["Esc"], "Cancel, or deselect", does.escape),
        one("?", ["?"], "These shortcuts", does.help),
      ],
    ],
  ];
}

/** Keys of the review: while an object is looked at, and while it is corrected. They go before the others. */
export function reviewTables(review) {
  const looking = [
    one("a", ["A"], "Accept", () => review.decide("accepted")),
    one("x", ["X"], "Reject", () => review.decide("rejected")),
    one("c", ["C"], "Correct", () => review.correct()),
    one(["j", "ArrowDown"], ["J", "↓"], "Next object", () => review.step(1)),
    one(["k", "ArrowUp"], ["K", "↑"], "Previous object", () => review.step(-1)),
    one("w", ["W"], "Worst frame", () => review.worst()),
    one("u", ["U"], "Take back the latest decision", () => review.undo()),
  ];
  const correcting = [
    one("a", ["A"], "Save the correction", () => review.save()),
    one("d", ["D"], "Discard the correction", () => review.discard()),
  ];
  return { looking: [["Review", looking]], correcting: [["Correcting, in review", correcting]] };
}

/** Keys of the picture itself, for the help. */
export const ON_PICTURE = [
  [["Click"], "This is part of the object"],
  [["Right click"], "This is not (or Alt and click)"],
  [["Drag"], "A box around the object"],
  [["Shift click"], "Select the object there"],
  [["Wheel"], "Zoom"],
  [["↑", "↓", "←", "→"], "With the picture focused: move the crosshair (Shift: one pixel)"],
  [["Enter"], "Click at the crosshair (Alt: negative)"],
];

/** Listen for the table's keys, but not while somebody writes. */
export function listen(table, isOn) {
  const byKeys = new Map(table.flatMap(([, all]) => all).flatMap((one) => one.keys.map((keys) => [keys, one])));
  addEventListener("keydown", (event) => {
    const found = byKeys.get(named(event));
    if (!found || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const isPlain = !event.ctrlKey && !event.metaKey && event.key !== "Escape";
    if (isPlain && (!isOn() || isWriting(event.target))) return;
    if (!isPlain && isWriting(event.target) && /z|y$/i.test(event.key)) return; // undo of the text itself
    if (isPlain && isControl(event.target) && [" ", "Home", "End", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    found.run(event);
  });
}

function named(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isLetter = /^[a-z]$/.test(key) || event.key.length > 1;
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  return `${control}${event.shiftKey && isLetter ? "Shift+" : ""}${key}`;
}

function isWriting(target) {
  return target instanceof HTMLElement && target.matches("input:not([type=range], [type=checkbox]), textarea, select");
}

/** Controls that use some keys themselves. */
function isControl(target) {
  return target instanceof HTMLElement && target.matches("button, a, input, summary");
}
