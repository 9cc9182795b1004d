/** What the page as a whole shows: its phases, the bar above, progress, what went wrong. */

import { byId, element } from "./dom.js";

export class Screen {
  #opening;
  #store;

  constructor(store, opening, work) {
    this.#store = store;
    this.#opening = opening;
    for (const button of document.querySelectorAll("[data-sample]")) {
      button.addEventListener("click", () => opening.openSample(button.dataset.sample));
    }
    for (const button of document.querySelectorAll(".tabs button")) {
      button.addEventListener("click", () => store.set({ tab: button.dataset.tab }));
    }
    byId("choose").addEventListener("click", () => byId("file").click());
    byId("home").addEventListener("click", () => store.state.phase === "open" && opening.leave());
    byId("cancel").addEventListener("click", () => work.cancel());
    byId("cancel-opening").addEventListener("click", () => opening.cancel());
    byId("as-job").addEventListener("click", () => work.followAsJob());
    byId("dismiss").addEventListener("click", () => store.set({ failure: null }));
    byId("follow-up").addEventListener("change", (event) => store.set({ followUp: event.target.checked }));
    byId("require-mask").addEventListener("change", (event) => store.set({ requireMask: event.target.checked }));
    byId("shortcuts-on").addEventListener("change", (event) => store.set({ shortcuts: event.target.checked }));
    store.on(["phase", "opening", "model", "clip", "media", "reviewing"], (state) => this.#phase(state));
    store.on(["acts", "undone", "phase", "session"], (state) => this.#bar(state));
    store.on(["busy", "waiting"], (state) => this.#progress(state));
    store.on(["failure"], (state) => this.#failure(state));
    store.on(["recent"], (state) => this.#recent(state));
    store.on(["tab"], (state) => this.#tab(state));
  }

  #phase({ phase, opening, model, clip, media, reviewing }) {
    document.body.dataset.phase = phase;
    const login = byId("login");
    if (phase === "login" && !login.open) login.showModal();
    if (phase !== "login" && login.open) login.close();
    byId("welcome").hidden = phase !== "empty";
    byId("starting").hidden = phase !== "starting";
    byId("opening").hidden = phase !== "opening";
    byId("canvas").hidden = phase !== "open";
    byId("tools").hidden = phase !== "open" || (reviewing && !reviewing.correcting);
    if (opening) {
      byId("opening-name").textContent = opening.name;
      byId("opening-step").textContent = opening.part < 1 ? `Uploading, ${Math.round(100 * opening.part)} %` : "Reading";
      const bar = byId("opening-bar");
      if (opening.part < 1) bar.value = opening.part;
      else bar.removeAttribute("value");
    }
    byId("model").textContent = model;
    byId("clip-name").textContent = clip ? media.name : "";
    byId("clip-about").textContent = clip ? about(clip) : "";
    document.title = clip ? `${media.name} – UniPixel` : "UniPixel";
  }

  #bar({ acts, undone, phase, session }) {
    byId("undo").disabled = phase !== "open" || !acts.some((act) => !act.automatic);
    byId("redo").disabled = phase !== "open" || !undone.length;
    for (const id of ["show-export", "show-code", "new-object"]) byId(id).disabled = phase !== "open" || !session;
  }

  #progress({ busy, waiting }) {
    byId("progress").hidden = !busy;
    if (!busy) return;
    const { what, done, total, left } = busy;
    const bar = byId("progress-bar");
    if (total) {
      bar.max = total;
      bar.value = done;
    } else {
      bar.removeAttribute("value");
    }
    const soon = left === null || left < 1 ? "" : `, ${Math.ceil(left)} s left`;
    const words = total ? `${what}: ${done} of ${total}${soon}` : `${what} …`;
    byId("progress-text").textContent = waiting ? "The server is busy; waiting for a place …" : words;
  }

  #failure({ failure }) {
    byId("failure").hidden = !failure;
    byId("failure-text").textContent = failure?.message ?? "";
    byId("as-job").hidden = !failure?.asJob;
  }

  #recent({ recent }) {
    byId("recent").hidden = !recent.length;
    const rows = recent.map(({ id, name, created_at: created }) => {
      const time = new Date(1000 * created).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      const when = element("span", { class: "about" }, time);
      const button = element("button", { type: "button", class: "wide" }, element("strong", {}, name), when);
      button.addEventListener("click", () => this.#opening.resume(id, name));
      return element("li", {}, button);
    });
    byId("recent-list").replaceChildren(...rows);
  }

  /** On narrow screens one of the two panels is seen. */
  #tab({ tab }) {
    document.body.dataset.tab = tab;
    for (const button of document.querySelectorAll(".tabs button")) {
      button.setAttribute("aria-pressed", String(button.dataset.tab === tab));
    }
  }
}

function about({ width, height, num_frames: frames, fps }) {
  const size = `${width} × ${height}`;
  return frames === 1 ? size : `${size} · ${frames} frames · ${Math.round(fps * 100) / 100} fps`;
}
