/**
 * What is done to a session, one act after the other: each is asked of the server, shown, and noted.
 *
 * A click is answered on its own frame first. What was pointed out is followed through the clip as soon as nothing
 * else is to be done; a further click interrupts that, unless it needs a mask that is still to come, and then all
 * that has not been followed is followed together. So the same acts, done again one by one, give the same masks.
 */

import { announce } from "./announce.js";
import { isCancelled } from "./api.js";
import { runJob } from "./jobs.js";
import { described } from "./prompts.js";
import { labelOf, objectOf, objectsOf } from "./state.js";

export class Work {
  #store;
  #api;
  #last = Promise.resolve();
  #current = null;
  #inLine = 0;
  #waits = false; // after undo nothing is followed by itself, or there would be nothing to do again

  #position = null; // how many acts led to the server's present; null where it must be asked for

  constructor(store, api) {
    this.#store = store;
    this.#api = api;
    store.on(["session"], ({ session }) => {
      this.#position = null;
      if (session) this.#act("change", () => {}); // asked for now, the first click need not wait for it
    });
  }

  /** Point at something: the selected object is corrected; with none selected, a new one begins. */
  point(prompts) {
    this.#store.set({ pending: [...(this.#store.state.pending ?? []), ...prompts] });
    this.#interrupt(prompts[0].frame);
    return this.#act("pointing", async (signal) => {
      const { selected, nextId, objects } = this.#store.state;
      const known = objects.get(selected);
      const act = known ? { op: "correct", id: known.id, prompts } : { op: "refer", id: nextId, prompts };
      this.#busy("Finding the object");
      const entry = await this.#send("POST", ...requestOf(act), signal);
      this.#put(objectOf(entry));
      this.#note(act);
      const { clip, follow, toFollow } = this.#store.state;
      this.#store.set({ selected: entry.id, pending: null });
      if (clip.num_frames === 1) this.#sayFound([entry]);
      else if (follow) this.#store.set({ toFollow: new Set(toFollow).add(entry.id) });
    });
  }

  /** Follow an object through the clip. */
  track(id) {
    this.#store.set({ toFollow: new Set(this.#store.state.toFollow).add(id) });
    this.#waits = false;
    return this.#inLine || this.#current ? this.#last : this.#followSome();
  }

  /** Ask about the clip and its objects. */
  ask(text) {
    const { followUp, requireMask, turns } = this.#store.state;
    const act = { op: "ask", text, follow_up: followUp, require_mask: requireMask };
    let turn = { role: "assistant", text: "", mentions: [], state: "waiting" };
    this.#store.set({ turns: [...turns, { role: "user", text }, turn] });
    const show = (values) => {
      const changed = { ...turn, ...values };
      this.#store.set({ turns: this.#store.state.turns.map((one) => (one === turn ? changed : one)) });
      turn = changed;
    };
    return this.#act("asking", async (signal) => {
      try {
        await this.#answer(act, show, signal);
      } catch (error) {
        show(isCancelled(error) ? { state: "stopped" } : { state: "failed", text: error.message });
        throw error;
      }
    });
  }

  rename(id, name) {
    return this.#act("change", async (signal) => {
      const entry = await this.#send("PATCH", `/objects/${id}`, { name }, signal);
      this.#put({ ...this.#store.state.objects.get(id), name: entry.name ?? null });
      this.#note({ op: "rename", id, name });
    });
  }

  remove(id) {
    this.#interrupt(null);
    return this.#act("change", async (signal) => {
      const label = labelOf(this.#store.state.objects.get(id));
      await this.#send("DELETE", `/objects/${id}`, undefined, signal);
      const objects = new Map(this.#store.state.objects);
      objects.delete(id);
      this.#take(objects);
      this.#note({ op: "remove", id });
      announce(`${label} removed`);
    });
  }

  /** Take back the latest act of the person, with the following that belongs to it. */
  undo() {
    this.#interrupt(null);
    return this.#act("turning", async (signal) => {
      const { acts, undone } = this.#store.state;
      const place = acts.findLastIndex((act) => !act.automatic);
      if (place < 0) return;
      const gone = acts.slice(place);
      const after = this.#position;
      await this.#go(gone[0].before, signal);
      const turns = this.#withoutTurns(gone[0]);
      this.#store.set({
        acts: acts.slice(0, place),
        undone: [...undone, { acts: gone, turns, after, toFollow: this.#store.state.toFollow }],
        toFollow: gone[0].toFollow,
      });
      announce(`Taken back: ${inWords(gone[0])}`);
    });
  }

  /** Do again what was taken back last. */
  redo() {
    this.#interrupt(null);
    return this.#act("turning", async (signal) => {
      const { acts, undone, turns } = this.#store.state;
      const back = undone.at(-1);
      if (!back) return;
      await this.#go(back.after, signal);
      this.#store.set({
        acts: [...acts, ...back.acts],
        undone: undone.slice(0, -1),
        turns: [...turns, ...back.turns],
        toFollow: back.toFollow,
      });
      announce(`Done again: ${inWords(back.acts[0])}`);
    });
  }

  /** Follow all objects of a long clip as a job of its own. */
  followAsJob() {
    return this.#act("change", async (signal) => {
      this.#busy("Submitting a job");
      const tell = ({ steps_done: done, steps_total: total, progress }) => {
        const what = `Job, step ${Math.min(done + 1, total)} of ${total}`;
        this.#store.set({ busy: { what, done: progress?.done ?? 0, total: progress?.total ?? 0, left: progress?.seconds_left ?? null } });
      };
      const { id, objects } = await runJob(this.#api, this.#store.state, tell, signal);
      const { objects: here } = this.#store.state;
      const shown = [...objects.values()].filter((one) => here.has(one.id));
      for (const one of shown) this.#put({ ...here.get(one.id), frames: one.frames });
      this.#store.set({ job: id });
      announce("The job is done. Its result is among the exports.");
    });
  }

  /** Wait until nothing is under way or in line. */
  async settled() {
    while (this.#inLine || this.#current) await this.#last;
  }

  /** Stop what is under way; what was found is kept. */
  cancel() {
    if (!this.#current) return;
    this.#store.set({ toFollow: new Set() });
    this.#current.controller.abort();
  }

  /** Objects as the server has them. */
  async refresh() {
    const found = await this.#send("GET", "/objects");
    this.#take(objectsOf(found.data), found.next_id);
  }

  // Inside -------------------------------------------------------------------------------------------------

  get #path() {
    return `v1/sessions/${this.#store.state.session}`;
  }

  #send(method, path, body, signal) {
    return this.#api.json(method, this.#path + path, body, signal);
  }

  /** Do something once all before it has ended; then follow what is left to be followed. */
  #act(kind, run) {
    const { session } = this.#store.state;
    this.#inLine += 1;
    this.#waits = kind === "turning";
    this.#last = this.#last.then(async () => {
      this.#inLine -= 1;
      if (this.#store.state.session === session) await this.#perform(kind, run, session);
      if (this.#inLine === 0) this.#followSome();
    });
    return this.#last;
  }

  async #perform(kind, run, session) {
    const controller = new AbortController();
    this.#current = { kind, controller, reached: new Map(), interrupted: false };
    this.#busy("Working");
    try {
      if (kind !== "following") await this.#remember(controller.signal);
      await run(controller.signal);
    } catch (error) {
      this.#position = null;
      if (this.#store.state.session === session) await this.#ended(error);
    } finally {
      this.#current = null;
      this.#store.set({ busy: null, pending: this.#inLine ? this.#store.state.pending : null });
    }
  }

  /** Where undo comes back to. Asked for, the server answers once what was interrupted has really ended. */
  async #remember(signal) {
    this.#position ??= (await this.#send("GET", "/history", undefined, signal)).position;
    this.#current.before = { before: this.#position, toFollow: this.#store.state.toFollow };
  }

  async #ended(error) {
    if (!isCancelled(error)) {
      const isLong = this.#current.kind === "following" && error.code === "TooLarge";
      this.#store.set({ failure: { message: error.message, asJob: isLong && !this.#store.state.reviewing }, toFollow: new Set() });
      if (isLong) this.#store.set({ follow: false });
    } else if (!this.#current.interrupted) {
      announce("Stopped. What was found is kept.");
      await this.#send("GET", "/history"); // the server has stopped then, too
      await this.refresh();
    }
  }

  /**
   * Let following go on later, for something else is wanted. A correction on `frame` needs the mask there: if it is
   * still to come, following is waited for.
   */
  #interrupt(frame) {
    const current = this.#current;
    if (current?.kind !== "following") return;
    const { selected, objects } = this.#store.state;
    const object = objects.get(selected);
    const isAwaited = frame !== null && object && current.ids.includes(selected);
    const isPointed = object?.pointings.some((one) => one.prompts[0].frame === frame);
    if (isAwaited && !isPointed && !current.reached.get(selected)?.has(frame)) return;
    current.interrupted = true;
    current.controller.abort();
  }

  #followSome() {
    const { toFollow, objects, clip } = this.#store.state;
    const ids = [...toFollow].filter((id) => objects.has(id)).sort((one, two) => one - two);
    if (!ids.length || !clip || this.#waits) return this.#last;
    return this.#act("following", async (signal) => {
      this.#current.ids = ids;
      this.#busy("Following");
      for await (const told of this.#api.events(`${this.#path}/track`, { ids }, signal)) {
        if (told.type === "frame") {
          this.#found(told);
        } else if (told.type === "done") {
          for (const entry of told.reply.data) this.#put(objectOf(entry));
          this.#store.set({ toFollow: without(this.#store.state.toFollow, ids) });
          this.#note({ op: "track", ids, automatic: true });
          this.#sayFound(told.reply.data);
        }
      }
    });
  }

  #sayFound(entries) {
    const { num_frames: all } = this.#store.state.clip;
    const said = entries.map((entry) => {
      const object = objectOf(entry);
      const there = [...object.frames.values()].filter((frame) => frame.present).length;
      return `${labelOf(object)} ${all === 1 ? (there ? "found" : "not found") : `on ${there} of ${all} frames`}`;
    });
    announce(said.join(", "));
  }

  async #answer(act, show, signal) {
    this.#busy("Thinking");
    let text = "";
    for await (const told of this.#api.events(`${this.#path}/ask`, requestOf(act)[1], signal)) {
      if (told.type === "words") {
        text += told.text;
        show({ text, state: "writing" });
      } else if (told.type === "frame") {
        this.#found(told);
      } else if (told.type === "done") {
        this.#answered(act, told.reply, show);
      }
    }
  }

  #answered(act, { answer, next_id: nextId }, show) {
    for (const entry of answer.objects) {
      const known = this.#store.state.objects.get(entry.id);
      this.#put({ ...objectOf({ ...entry, pointings: known?.pointings }), name: entry.name ?? known?.name ?? null });
    }
    this.#store.set({ nextId });
    const objects = answer.objects.map((one) => one.id);
    show({ text: answer.text, mentions: answer.mentions, objects, state: "done" });
    this.#note({ ...act, answer: answer.text, objects });
    announce(`Answer: ${answer.text}`);
  }

  /** Masks of one frame, as they come. */
  #found({ frame, masks, progress }) {
    const objects = new Map(this.#store.state.objects);
    for (const [number, entry] of Object.entries(masks)) {
      const id = Number(number);
      const known = objects.get(id) ?? objectOf({ id });
      objects.set(id, { ...known, frames: new Map(known.frames).set(frame, entry) });
      const reached = this.#current.reached;
      reached.set(id, (reached.get(id) ?? new Set()).add(frame));
    }
    this.#take(objects);
    const { done, total, seconds_left: left } = progress;
    this.#store.set({ busy: { what: "Following", done, total, left } });
  }

  #put(object) {
    this.#take(new Map(this.#store.state.objects).set(object.id, object));
  }

  #take(objects, nextId = null) {
    const { selected, hovered, nextId: next } = this.#store.state;
    this.#store.set({
      objects,
      nextId: nextId ?? Math.max(next, ...[...objects.keys()].map((id) => id + 1)),
      selected: objects.has(selected) ? selected : null,
      hovered: objects.has(hovered) ? hovered : null,
    });
  }

  #busy(what) {
    this.#store.set({ busy: { what, done: 0, total: 0, left: null }, failure: null });
  }

  #note(act) {
    if (this.#position !== null) this.#position += 1;
    this.#store.set({ acts: [...this.#store.state.acts, { ...act, ...this.#current.before }], undone: [] });
  }

  async #go(position, signal) {
    const found = await this.#send("POST", "/history", { position }, signal);
    this.#position = found.position;
    this.#take(objectsOf(found.data), found.next_id);
  }

  /** Take a question that is taken back out of the conversation. @returns {object[]} what was taken out */
  #withoutTurns(act) {
    if (act.op !== "ask") return [];
    const { turns } = this.#store.state;
    const end = turns.findLastIndex((turn) => turn.role === "assistant" && turn.state === "done");
    this.#store.set({ turns: turns.filter((_, place) => place !== end && place !== end - 1) });
    return turns.slice(end - 1, end + 1);
  }
}

function without(set, ids) {
  const rest = new Set(set);
  for (const id of ids) rest.delete(id);
  return rest;
}

/** The path below the session, and the body, by which the server does an act. */
function requestOf(act) {
  switch (act.op) {
    case "refer":
      return ["/refer", { prompts: act.prompts, follow: false }];
    case "correct":
      return [`/objects/${act.id}/correct`, { prompts: act.prompts, follow: false }];
    case "track":
      return ["/track", { ids: act.ids }];
    default: {
      const body = { text: act.text };
      if (act.follow_up) body.follow_up = true;
      if (act.require_mask) body.decoding = { require_mask: true };
      return ["/ask", body];
    }
  }
}

/** An act, for people. */
function inWords(act) {
  switch (act.op) {
    case "refer":
      return `[${act.id}], ${act.prompts.map(described).join(", ")}`;
    case "correct":
      return `correction of [${act.id}], ${act.prompts.map(described).join(", ")}`;
    case "track":
      return "following";
    case "rename":
      return `name of [${act.id}]`;
    case "remove":
      return `removal of [${act.id}]`;
    default:
      return `question “${act.text}”`;
  }
}
