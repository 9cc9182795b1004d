/**
 * The clip's frames as pictures. They come from the server one by one, without loss and by number: what is seen is
 * what was clicked on and what the masks belong to, which a browser's video player cannot promise.
 */

const MOST_BYTES = 384 * 2 ** 20;
const AT_ONCE = 4;

export class Frames {
  #api;
  #path;
  #clip;
  #pictures = new Map();
  #coming = new Map();
  #failed = new Map();
  #wanted = [];
  #gone = new AbortController();

  /**
   * @param {string} path where they are at the server
   * @param {(frame: number) => void} onCome hears of every frame that is there now
   */
  constructor(api, path, clip, onCome) {
    this.#api = api;
    this.#path = path;
    this.#clip = clip;
    this.onCome = onCome;
  }

  get path() {
    return this.#path;
  }

  /** The picture of a frame if it is there. */
  at(frame) {
    const picture = this.#pictures.get(frame);
    if (picture) {
      this.#pictures.delete(frame); // the latest used is the last to go
      this.#pictures.set(frame, picture);
    }
    return picture;
  }

  /** Why a frame could not be had, if so. */
  failure(frame) {
    return this.#failed.get(frame);
  }

  /** Get this frame now, and those that may follow; the newest wish goes first. */
  want(frame, ahead = 6, step = 1) {
    const wishes = [];
    for (let far = 0; far <= ahead; far += 1) wishes.push(frame + far * step);
    for (let far = 1; far <= 2; far += 1) wishes.push(frame - far * step);
    this.#wanted = wishes.filter((one) => one >= 0 && one < this.#clip.num_frames);
    this.#failed.delete(frame);
    this.#fetchMore();
  }

  /** Let everything go. */
  close() {
    this.#gone.abort();
    for (const picture of this.#pictures.values()) picture.close();
    this.#pictures.clear();
  }

  #fetchMore() {
    while (this.#coming.size < AT_ONCE) {
      const next = this.#wanted.find(
        (one) => !this.#pictures.has(one) && !this.#coming.has(one) && !this.#failed.has(one),
      );
      if (next === undefined) return;
      this.#coming.set(next, this.#fetch(next));
    }
  }

  async #fetch(frame) {
    try {
      const content = await this.#api.blob(`${this.#path}/${frame}.png`, this.#gone.signal);
      this.#keep(frame, await createImageBitmap(content));
    } catch (error) {
      if (this.#gone.signal.aborted) return;
      this.#failed.set(frame, error);
    } finally {
      this.#coming.delete(frame);
    }
    this.onCome(frame);
    this.#fetchMore();
  }

  #keep(frame, picture) {
    if (this.#gone.signal.aborted) {
      picture.close();
      return;
    }
    this.#pictures.set(frame, picture);
    const most = Math.max(12, Math.floor(MOST_BYTES / (4 * picture.width * picture.height)));
    for (const [old, kept] of this.#pictures) {
      if (this.#pictures.size <= most) break;
      kept.close();
      this.#pictures.delete(old);
    }
  }
}
