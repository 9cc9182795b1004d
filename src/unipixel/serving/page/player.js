/** Moving through the clip: to a frame, a step, or playing at the clip's own pace. */

export class Player {
  #store;
  #frames = null;
  #began = 0;
  #from = 0;

  constructor(store) {
    this.#store = store;
  }

  /** Frames of a newly opened clip, of which one is seen first. */
  take(frames, first = 0) {
    this.#frames = frames;
    frames.want(first);
  }

  /** Show a frame. */
  seek(frame) {
    const { clip } = this.#store.state;
    if (!clip) return;
    const to = Math.min(clip.num_frames - 1, Math.max(0, Math.round(frame)));
    this.#frames.want(to, 6, to < this.#store.state.frame ? -1 : 1);
    this.#store.set({ frame: to, gesture: null });
    this.#restart();
  }

  /** Some frames on, or back. */
  step(by) {
    this.pause();
    this.seek(this.#store.state.frame + by);
  }

  toggle() {
    if (this.#store.state.playing) this.pause();
    else this.play();
  }

  pause() {
    this.#store.set({ playing: false });
  }

  play() {
    const { clip, frame } = this.#store.state;
    if (!clip || clip.num_frames < 2) return;
    if (frame === clip.num_frames - 1) this.seek(0);
    this.#store.set({ playing: true });
    this.#restart();
    requestAnimationFrame(() => this.#tick());
  }

  #restart() {
    this.#began = performance.now();
    this.#from = this.#store.state.frame;
  }

  /** Show the frame whose time it is; where one has not come yet, the clock waits for it. */
  #tick() {
    const { playing, clip, frame } = this.#store.state;
    if (!playing || !clip) return;
    const due = this.#from + Math.floor(((performance.now() - this.#began) / 1000) * (clip.fps || 8));
    if (due > frame) {
      const next = Math.min(due, clip.num_frames - 1);
      this.#frames.want(frame + 1, 12);
      if (this.#frames.at(next)) this.#store.set({ frame: next });
      else if (this.#frames.at(frame + 1)) this.#waitAt(frame + 1);
      else this.#restart();
      if (this.#store.state.frame === clip.num_frames - 1) this.pause();
    }
    requestAnimationFrame(() => this.#tick());
  }

  #waitAt(frame) {
    this.#store.set({ frame });
    this.#restart();
  }
}

/** A time in the clip: `1:02.50`. */
export function clock(frame, fps) {
  const seconds = frame / (fps || 1);
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}
