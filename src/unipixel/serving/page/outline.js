/** From a mask to the lines around it, which stay sharp at any zoom. */

const RIGHT = 1;
const DOWN = 2;
const LEFT = 4;
const UP = 8;
const STEP = { [RIGHT]: [1, 0], [DOWN]: [0, 1], [LEFT]: [-1, 0], [UP]: [0, -1] };
// Coming from one direction: the way that hugs the same pixel first, so that pixels that touch at a corner stay apart.
const NEXT = {
  [RIGHT]: [DOWN, RIGHT, UP],
  [DOWN]: [LEFT, DOWN, RIGHT],
  [LEFT]: [UP, LEFT, DOWN],
  [UP]: [RIGHT, UP, LEFT],
};

/**
 * The closed lines between the pixels inside and those outside, the inside to the right of the way.
 * @param {Uint8Array} bits one byte a pixel, row by row
 * @returns {number[][]} lines as x, y, x, y …: corners of pixels, one pixel apart
 */
export function borders(bits, width, height) {
  const ways = waysOut(bits, width, height);
  const lines = [];
  for (let start = 0; start < ways.length; start += 1) {
    while (ways[start] & RIGHT) lines.push(walk(ways, start, width + 1));
  }
  return lines;
}

/** For every corner of pixels, in which directions a border leaves it. */
function waysOut(bits, width, height) {
  const across = width + 1;
  const ways = new Uint8Array(across * (height + 1));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      if (!bits[at]) continue;
      const corner = y * across + x;
      if (y === 0 || !bits[at - width]) ways[corner] |= RIGHT;
      if (x === width - 1 || !bits[at + 1]) ways[corner + 1] |= DOWN;
      if (y === height - 1 || !bits[at + width]) ways[corner + across + 1] |= LEFT;
      if (x === 0 || !bits[at - 1]) ways[corner + across] |= UP;
    }
  }
  return ways;
}

function walk(ways, start, across) {
  const line = [];
  let at = start;
  let direction = RIGHT;
  do {
    ways[at] &= ~direction;
    line.push(at % across, Math.floor(at / across));
    const [x, y] = STEP[direction];
    at += x + y * across;
    direction = NEXT[direction].find((way) => ways[at] & way);
  } while (direction !== undefined);
  return line;
}

/**
 * The same line without its stairs: the middles of its edges, each drawn half towards its neighbours. It leaves the
 * true border by less than a pixel; lines of a few pixels stay as they are.
 */
export function smoothed(line) {
  const count = line.length / 2;
  if (count < 12) return line;
  let points = Float32Array.from(line, (value, place) => (value + line[(place + 2) % line.length]) / 2);
  for (let round = 0; round < 4; round += 1) {
    const last = points;
    points = last.map((value, place) => {
      const before = last[(place - 2 + last.length) % last.length];
      return (before + 2 * value + last[(place + 2) % last.length]) / 4;
    });
  }
  return points;
}
