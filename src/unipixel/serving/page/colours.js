/** The colours of objects: those of `unipixel.output.draw.Palette`, so that page and exports look alike. */

const FIRST = [
  [230, 60, 60],
  [30, 136, 229],
  [60, 180, 75],
  [255, 179, 0],
  [142, 68, 173],
  [0, 188, 190],
  [240, 98, 200],
  [121, 85, 72],
];

/** [red, green, blue], 0 to 255, of an object; the same id always has the same. */
export function colourOf(id) {
  if (id < FIRST.length) return FIRST[id];
  const step = id - FIRST.length;
  const bright = [1.0, 0.75, 0.55][step % 3];
  return fromHsv((0.38 + step * 0.381966) % 1.0, step % 2 ? 0.85 : 0.6, bright);
}

/** The same for a style sheet or a canvas. */
export function css(id, alpha = 1) {
  const [red, green, blue] = colourOf(id);
  return alpha === 1 ? `rgb(${red}, ${green}, ${blue})` : `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/** Black or white, whichever is easier to read on an object's colour. */
export function inkOn(id) {
  const [red, green, blue] = colourOf(id).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function fromHsv(hue, saturation, value) {
  const sector = Math.floor(hue * 6);
  const rest = hue * 6 - sector;
  const low = value * (1 - saturation);
  const down = value * (1 - saturation * rest);
  const up = value * (1 - saturation * (1 - rest));
  const all = [
    [value, up, low],
    [down, value, low],
    [low, value, up],
    [low, down, value],
    [up, low, value],
    [value, low, down],
  ];
  return all[sector % 6].map((part) => roundHalfEven(part * 255));
}

/** As Python rounds. */
function roundHalfEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
