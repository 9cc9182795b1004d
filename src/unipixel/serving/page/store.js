/** The page's state: one object, and who wants to hear when parts of it change. */

export class Store {
  #state;
  #listeners = new Set();
  #changed = new Set();

  /** @param {object} initial every key that there will ever be */
  constructor(initial) {
    this.#state = { ...initial };
  }

  get state() {
    return this.#state;
  }

  /** Put values in place of others; listeners hear of it together, once the caller has finished. */
  set(values) {
    for (const [key, value] of Object.entries(values)) {
      if (!(key in this.#state)) throw new Error(`the state has no "${key}"`);
      if (Object.is(this.#state[key], value)) continue;
      this.#state = { ...this.#state, [key]: value };
      if (this.#changed.size === 0) queueMicrotask(() => this.#tell());
      this.#changed.add(key);
    }
  }

  /** Call `listener(state)` now and whenever one of the keys has changed. */
  on(keys, listener) {
    this.#listeners.add({ keys, listener });
    listener(this.#state);
  }

  #tell() {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const { keys, listener } of this.#listeners) {
      if (keys.some((key) => changed.has(key))) listener(this.#state);
    }
  }
}
