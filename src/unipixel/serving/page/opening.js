/** Opening a picture or video: from a file, a drop, the clipboard, a sample, or a session that is still there. */

import { announce } from "./announce.js";
import { isCancelled } from "./api.js";
import { Frames } from "./frames.js";
import { recall } from "./memory.js";
import { emptySession, objectsOf } from "./state.js";

export class Opening {
  #store;
  #api;
  #stage;
  #player;
  #controller = null;

  constructor(store, api, stage, player) {
    this.#store = store;
    this.#api = api;
    this.#stage = stage;
    this.#player = player;
  }

  /** Open a file of the person's. */
  async open(file) {
    await this.#try(file.name, async (signal) => {
      const tell = (part) => this.#store.set({ opening: { name: file.name, part } });
      const upload = await this.#api.upload(file, tell, signal);
      tell(1);
      const media = { file_id: upload.id, name: file.name.slice(0, 200) };
      try {
        const session = await this.#api.json("POST", "v1/sessions", { media }, signal);
        this.#showSession(session, { name: file.name, file });
      } finally {
        this.#api.json("DELETE", `v1/files/${upload.id}`).catch(() => {}); // the session has a hold of its own on it
      }
    });
  }

  /** Open a sample that comes with the page. */
  async openSample(name) {
    const content = await fetch(new URL(`samples/${name}`, import.meta.url)).then((reply) => reply.blob());
    await this.open(new File([content], name, { type: content.type }));
  }

  /** Take up a session that the server still has, with what this tab knows of it. */
  async resume(id, name) {
    await this.#try(name, async (signal) => {
      const session = await this.#api.json("GET", `v1/sessions/${id}?mask_format=rle`, undefined, signal);
      this.#showSession(session, { name: session.clip.name, file: null });
      const { position } = await this.#api.json("GET", `v1/sessions/${id}/history`);
      this.#store.set(recall(id, position));
    });
  }

  /** Leave what is being opened. */
  cancel() {
    this.#controller?.abort();
  }

  /** Sessions that can be taken up again. */
  async listRecent() {
    try {
      const found = await this.#api.json("GET", "v1/sessions");
      this.#store.set({ recent: found.data.toReversed().slice(0, 6) });
    } catch {
      this.#store.set({ recent: [] }); // without them, the page works as well
    }
  }

  /** Show a clip with its objects, from a frame on. Pictures that come from the same path are kept. */
  show(opened, path, frame = 0) {
    const { clip } = opened;
    if (this.#stage.frames?.path !== path) {
      this.#stage.frames?.close();
      this.#stage.frames = this.#framesAt(path, clip);
    }
    const brush = Math.max(3, Math.round(Math.min(clip.width, clip.height) / 16));
    this.#store.set({ ...emptySession(), ...opened, phase: "open", frame, brush });
    this.#player.take(this.#stage.frames, frame);
    this.#stage.fit();
  }

  /** Back to the first screen; the session stays with the server. */
  leave() {
    this.#stage.frames?.close();
    this.#stage.frames = null;
    this.#store.set({ ...emptySession(), phase: "empty" });
    this.listRecent();
  }

  async #try(name, run) {
    const before = this.#store.state.session ? "open" : "empty";
    this.#controller?.abort();
    this.#controller = new AbortController();
    this.#player.pause();
    this.#store.set({ phase: "opening", opening: { name, part: 0 }, failure: null });
    try {
      await run(this.#controller.signal);
    } catch (error) {
      if (error.status === 401) return; // the token is asked for now
      this.#store.set({ phase: before });
      if (isCancelled(error)) return;
      this.#store.set({ failure: { message: `${name}: ${error.message}`, code: error.code } });
      announce(`${name} could not be opened. ${error.message}`);
    } finally {
      this.#store.set({ opening: null });
    }
  }

  #showSession(session, media) {
    const { clip } = session;
    const opened = { clip, media, session: session.id, objects: objectsOf(session.objects), nextId: session.next_id };
    this.show(opened, `v1/sessions/${session.id}/frames`);
    const length = clip.num_frames === 1 ? "a picture" : `a video of ${clip.num_frames} frames`;
    announce(`${media.name} is open: ${length}, ${clip.width} by ${clip.height} pixels.`);
  }

  #framesAt(path, clip) {
    const frames = new Frames(this.#api, path, clip, (frame) => {
      const { state } = this.#store;
      const error = frame === state.frame && this.#stage.frames === frames && frames.failure(frame);
      if (error) this.#store.set({ failure: { message: `Frame ${frame} could not be had: ${error.message}` } });
      this.#store.set({ arrived: state.arrived + 1 });
    });
    return frames;
  }
}

/** Let files come by dropping and pasting, anywhere on the page. */
export function takeFiles(open, mark) {
  let depth = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (by) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + by);
    mark(depth > 0);
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", over(0));
  addEventListener("drop", (event) => {
    depth = 0;
    mark(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) open(file);
  });
}
