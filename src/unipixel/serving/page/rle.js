/** Masks as COCO run lengths: runs go down the columns, the first one is outside of the mask. */

/** A mask [height, width] as run lengths. */
export class Mask {
  /** @param {number} width @param {number} height @param {number[]} runs lengths, outside and inside by turns */
  constructor(width, height, runs) {
    this.width = width;
    this.height = height;
    this.runs = runs;
  }

  /** From the server's `{size: [height, width], counts}`. */
  static fromCoco({ size, counts }) {
    return new Mask(size[1], size[0], typeof counts === "string" ? readCounts(counts) : counts);
  }

  /** From one byte a pixel, row by row; 0 is outside. */
  static fromBits(bits, width, height) {
    const runs = [];
    let inside = false;
    let length = 0;
    for (let x = 0; x < width; x += 1) {
      for (let y = 0; y < height; y += 1) {
        if (bits[y * width + x] !== 0 === inside) {
          length += 1;
        } else {
          runs.push(length);
          inside = !inside;
          length = 1;
        }
      }
    }
    runs.push(length);
    return new Mask(width, height, runs);
  }

  toCoco() {
    return { size: [this.height, this.width], counts: writeCounts(this.runs) };
  }

  /**
   * One byte a pixel, row by row: 1 inside. With a box [x1, y1, x2, y2], corners inside, that part alone; the mask
   * must lie within it.
   */
  toBits([x1, y1, x2, y2] = [0, 0, this.width - 1, this.height - 1]) {
    const across = x2 - x1 + 1;
    const bits = new Uint8Array(across * (y2 - y1 + 1));
    let at = 0;
    this.runs.forEach((length, place) => {
      let x = Math.floor(at / this.height);
      let y = at % this.height;
      at += length;
      if (place % 2 === 0) return;
      for (let left = length; left > 0; left -= 1) {
        bits[(y - y1) * across + x - x1] = 1;
        y += 1;
        if (y === this.height) {
          x += 1;
          y = 0;
        }
      }
    });
    return bits;
  }

  /** Pixels inside. */
  get area() {
    return this.runs.reduce((sum, length, place) => sum + (place % 2 ? length : 0), 0);
  }

  /** Whether the pixel (x, y) is inside. */
  contains(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return false;
    let left = x * this.height + y;
    for (let place = 0; place < this.runs.length; place += 1) {
      left -= this.runs[place];
      if (left < 0) return place % 2 === 1;
    }
    return false;
  }
}

/** Run lengths from COCO's text: five bits a letter, and from the fourth on the difference to the last but one. */
function readCounts(text) {
  const counts = [];
  let at = 0;
  while (at < text.length) {
    let value = 0;
    let weight = 1;
    let letter;
    do {
      letter = text.charCodeAt(at) - 48;
      value += (letter & 31) * weight;
      weight *= 32;
      at += 1;
    } while (letter & 32);
    if (letter & 16) value -= weight;
    if (counts.length > 2) value += counts[counts.length - 2];
    counts.push(value);
  }
  return counts;
}

/** COCO's text for run lengths. */
export function writeCounts(counts) {
  let text = "";
  counts.forEach((count, place) => {
    let value = place > 2 ? count - counts[place - 2] : count;
    for (;;) {
      const bits = value & 31;
      value >>= 5;
      const last = bits & 16 ? value === -1 : value === 0;
      text += String.fromCharCode(48 + (last ? bits : bits | 32));
      if (last) break;
    }
  });
  return text;
}
