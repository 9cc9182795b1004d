/**
 * Review: annotated objects, worst first. One is looked at, and accepted, rejected or corrected; a correction is
 * made in a session as any other, with the same picture and tools, and its masks are kept in the end.
 */

import { announce } from "./announce.js";
import { emptySession, labelOf, objectOf, objectsOf } from "./state.js";

const PAGE = 200; // rows that are fetched at once
const FEW = 20; // with fewer rows left, more are fetched

export class Review {
  #store;
  #api;
  #opening;
  #player;
  #work;
  #at = null; // the key of what is shown, or on its way
  #frames = {}; // whose pictures are there, and their path: objects of one item share them
  #decided = []; // keys of what was decided here, the latest last
  #under = Promise.resolve(); // what is under way
  #isBusy = false; // a decision under way: keys pressed meanwhile are about something not yet seen

  constructor(store, api, opening, player, work) {
    this.#store = store;
    this.#api = api;
    this.#opening = opening;
    this.#player = player;
    this.#work = work;
    store.on(["reviewing"], ({ reviewing }) => markAddress(Boolean(reviewing)));
  }

  get isLooking() {
    const { reviewing } = this.#store.state;
    return Boolean(reviewing) && !reviewing.correcting;
  }

  get isCorrecting() {
    return Boolean(this.#store.state.reviewing?.correcting);
  }

  /** Whether a decision of this tab can be taken back. */
  get canUndo() {
    const { reviewing } = this.#store.state;
    return this.#decided.length > 0 || (this.isLooking && reviewing.row.state !== "undecided");
  }

  /** Ask whether the server has anything to review; if the address says so, go there. */
  begin() {
    return this.#try(async () => {
      const found = await this.#api.json("GET", "v1/review?limit=0");
      if (!found.folders.length) return;
      this.#store.set({ review: { ...found, rows: [], filter: "undecided" } });
      if (location.hash === "#review" && !this.#store.state.clip) await this.#enter();
    });
  }

  /** Begin with the worst that nobody has decided about. */
  enter() {
    return this.#try(() => this.#enter());
  }

  /** List objects of one state, or all. */
  filter(name) {
    return this.#try(() => this.#load(name));
  }

  /** List more of them. */
  async more() {
    const { rows, filter } = this.#review;
    const found = await this.#api.json("GET", this.#query(filter, rows.length));
    if (this.#review.filter !== filter) return;
    const known = new Set(this.#review.rows.map((row) => row.key));
    const fresh = found.data.filter((row) => !known.has(row.key));
    this.#change({ ...found, rows: [...this.#review.rows, ...fresh] });
  }

  /** Look at an object. */
  open(row) {
    return this.#try(() => this.#show(row));
  }

  /** Look at the next object of the list, or the one before. */
  step(by) {
    if (!this.isLooking || this.#isBusy) return;
    const { rows } = this.#review;
    const place = rows.findIndex((row) => row.key === this.#at);
    const next = rows[place < 0 ? 0 : place + by];
    if (next && next.key !== this.#at) this.open(next);
    else announce(by > 0 ? "This is the last one." : "This is the first one.");
  }

  /** Go to the frame of the lowest quality. */
  worst() {
    this.#player.pause();
    this.#player.seek(this.#store.state.reviewing.row.worst);
  }

  /** Accept or reject what is shown, and go on to the next. */
  decide(decision) {
    return this.#settle(() => this.isLooking, () => ({ decision }));
  }

  /** Open what is shown for correction. @returns {Promise<boolean>} whether it is open */
  async correct() {
    const { reviewing, clip, media, frame } = this.#store.state;
    if (!this.isLooking || !this.#isShown) return false;
    await this.#try(async () => {
      this.#isBusy = true;
      this.#store.set({ busy: { what: "Opening for correction", done: 0, total: 0, left: null } });
      this.#player.pause();
      const session = await this.#api.json("POST", `v1/review/${reviewing.row.key}/session`);
      const objects = objectsOf(session.objects);
      const known = { clip, media, frame, objects, session: session.id, nextId: session.next_id };
      this.#store.set({ ...emptySession(), ...known, selected: reviewing.row.id, reviewing: { ...reviewing, correcting: true } });
      announce(`Correcting ${labelOf(objects.get(reviewing.row.id))}: click on what is missing, right click on what is too much.`);
    });
    return this.isCorrecting;
  }

  /** Keep the corrected masks: those of the selected object. */
  async save() {
    const { acts, session } = this.#store.state;
    if (!this.isCorrecting) return;
    if (!acts.some((act) => !act.automatic)) {
      announce("Nothing is corrected yet.");
      this.#fail("Nothing is corrected yet: point at the object first, or discard.");
      return;
    }
    await this.#work.settled();
    await this.#settle(() => this.isCorrecting, ({ selected, objects, reviewing }) => {
      const object = objects.has(selected) ? selected : reviewing.row.id;
      return { decision: "corrected", session, object };
    });
  }

  /** Leave a correction; what was annotated stays. */
  async discard() {
    if (!this.isCorrecting) return;
    const { reviewing, frame } = this.#store.state;
    this.#work.cancel();
    this.#forgetSession();
    await this.#try(() => this.#show(reviewing.row, frame));
  }

  /** Take back the latest decision of this tab; without one, that about what is shown. */
  async undo() {
    await this.#under; // a decision that was just made is the one that is meant
    if (!this.isLooking || !this.canUndo || this.#isBusy) return;
    const key = this.#decided.pop() ?? this.#at;
    await this.#try(async () => {
      this.#isBusy = true;
      const row = await this.#api.json("DELETE", `v1/review/${key}/decision`);
      await this.#load(this.#review.filter);
      await this.#show(row);
      announce(`Taken back. ${labelOf(row)} of ${row.item} is ${row.state}.`);
    });
  }

  // Inside -------------------------------------------------------------------------------------------------

  async #enter() {
    await this.#load("undecided");
    if (!this.#review.total) await this.#load("all");
    const [first] = this.#review.rows;
    if (first) await this.#show(first);
    else this.#fail("There is no object to review: nothing was found in these folders.");
  }

  get #review() {
    return this.#store.state.review;
  }

  #change(values) {
    this.#store.set({ review: { ...this.#review, ...values } });
  }

  #query(filter, offset) {
    const only = filter === "all" ? "" : `&state=${filter}`;
    return `v1/review?offset=${offset}&limit=${PAGE}${only}`;
  }

  async #load(filter) {
    const found = await this.#api.json("GET", this.#query(filter, 0));
    this.#change({ ...found, rows: found.data, filter });
  }

  /** Whether the object that is wanted is the one on the screen. */
  get #isShown() {
    return !this.#isBusy && this.#store.state.reviewing?.row.key === this.#at;
  }

  /** Show an object on its worst frame. The latest wish wins. */
  async #show(row, frame = row.worst) {
    this.#at = row.key;
    const found = await this.#api.json("GET", `v1/review/${row.key}`);
    if (this.#at !== row.key) return;
    const object = objectOf({ id: row.id, name: row.name, origin: "given", frames: found.frames });
    const ratings = new Map(found.ratings.map((one) => [one.frame, one.quality]));
    const opened = {
      clip: found.clip,
      media: { name: row.item, file: null },
      objects: new Map([[row.id, object]]),
      nextId: row.id + 1,
      reviewing: { row: found.row, ratings, correcting: false },
    };
    this.#opening.show(opened, this.#pathOf(row), frame);
    const rated = row.lowest === undefined ? "not rated" : `quality from ${row.lowest.toFixed(2)}`;
    announce(`${labelOf(object)} of ${row.item}, ${found.row.state}, ${rated}, frame ${frame}`);
  }

  #pathOf({ key, folder, item }) {
    if (this.#frames.folder !== folder || this.#frames.item !== item) {
      this.#frames = { folder, item, path: `v1/review/${key}/frames` };
    }
    return this.#frames.path;
  }

  /** Send a decision about what is shown, and go on. */
  async #settle(isRight, bodyOf) {
    if (!isRight() || !this.#isShown) return;
    await this.#try(async () => {
      this.#isBusy = true;
      const { reviewing } = this.#store.state;
      const row = await this.#api.json("POST", `v1/review/${this.#at}/decision`, bodyOf(this.#store.state));
      if (reviewing.correcting) this.#forgetSession();
      this.#decided.push(row.key);
      const next = this.#took(row, reviewing.row.state);
      announce(`${labelOf(row)} ${row.state}.${next ? "" : " Nothing is left in this list."}`);
      await this.#show(next ?? row);
    });
  }

  /** Count a decision, and take what no longer belongs there out of the list. @returns the row behind it */
  #took(row, before) {
    const { rows, filter, counts, total } = this.#review;
    const place = rows.findIndex((one) => one.key === row.key);
    const stays = filter === "all" || filter === row.state;
    const left = stays ? rows.map((one) => (one.key === row.key ? row : one)) : rows.filter((one) => one.key !== row.key);
    const counted = { ...counts, [before]: counts[before] - 1 };
    counted[row.state] += 1;
    const gone = rows.length - left.length;
    this.#change({ rows: left, counts: counted, total: total - gone });
    if (left.length < Math.min(FEW, total - gone)) this.more().catch((error) => this.#fail(error.message));
    if (place < 0) return left[0];
    return stays ? left[place + 1] : (left[place] ?? left[place - 1]);
  }

  #forgetSession() {
    this.#api.json("DELETE", `v1/sessions/${this.#store.state.session}`).catch(() => {}); // it would expire anyway
  }

  #try(run) {
    this.#under = this.#run(run);
    return this.#under;
  }

  async #run(run) {
    this.#store.set({ failure: null });
    try {
      await run();
    } catch (error) {
      if (error.status !== 401) this.#fail(error.message);
    } finally {
      this.#isBusy = false;
      this.#store.set({ busy: null });
    }
  }

  #fail(message) {
    this.#at = this.#store.state.reviewing?.row.key ?? null;
    this.#store.set({ failure: { message } });
  }
}

/** Let the address say that this is the review: loaded again, it comes back here. */
function markAddress(isReviewing) {
  const is = location.hash === "#review";
  if (isReviewing && !is) history.replaceState(null, "", "#review");
  if (!isReviewing && is && document.body.dataset.review) history.replaceState(null, "", location.pathname);
}
