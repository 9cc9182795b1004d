// Reads questions as JSON from the standard input, and writes what the page's modules answer.
import { readFileSync } from "node:fs";

const home = process.argv[2];
const load = (name) => import(`${home}/${name}.js`);
const [rle, outline, colours, viewport, mentions, pointing, code, prompts] = await Promise.all(
  ["rle", "outline", "colours", "viewport", "mentions", "pointing", "code", "prompts"].map(load),
);

const answers = {
  masks: (coco) =>
    coco.map((one) => {
      const mask = rle.Mask.fromCoco(one);
      const bits = mask.toBits();
      return {
        bits: [...bits],
        area: mask.area,
        again: rle.Mask.fromBits(bits, mask.width, mask.height).toCoco(),
        rewritten: rle.writeCounts(mask.runs),
        contains: [...bits].map((_, at) => mask.contains(at % mask.width, Math.floor(at / mask.width))),
      };
    }),
  outlines: ({ bits, width, height }) => {
    const lines = outline.borders(Uint8Array.from(bits), width, height);
    return lines.map((line) => ({ line: [...line], smooth: [...outline.smoothed(line)] }));
  },
  colours: (ids) => ids.map((id) => ({ colour: colours.colourOf(id), ink: colours.inkOn(id) })),
  views: ({ picture, screen, steps }) => {
    let view = viewport.fitted(picture, screen);
    const seen = [view];
    for (const { factor, at, by } of steps) {
      const before = viewport.toPicture(view, at);
      view = viewport.zoomed(view, factor, at, 0.01);
      seen.push({ ...view, before, after: viewport.toPicture(view, at) });
      view = viewport.moved(view, by, picture, screen);
      seen.push(view);
    }
    return seen;
  },
  questions: (all) => all.map(({ text, known }) => mentions.piecesOfQuestion(text, new Set(known))),
  answers: (all) => all.map((one) => mentions.piecesOfAnswer(one.text, one.mentions)),
  painted: ({ width, height, places, radius }) => {
    const bits = new Uint8Array(width * height);
    pointing.paint(bits, width, height, places, radius, 1);
    return [...bits];
  },
  prompts: () => [
    prompts.box({ x: 9, y: 2 }, { x: 3, y: 7 }, 4),
    prompts.clicksAlong([{ x: 1.6, y: 2.2 }, { x: 5, y: 5 }, { x: 8.9, y: 9.9 }], 2),
    prompts.scribble([{ x: 1.2345, y: 6 }], 0, 3),
  ],
  code: (done) => ({ python: code.asPython(done), curl: code.asCurl(done) }),
};

const asked = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, answers[name](value)]))));
