/** The list of objects: colours, names, show and hide, remove, and where each is. */

import { css } from "./colours.js";
import { byId, element, iconButton } from "./dom.js";
import { EYE, EYE_OFF, REMOVE, TRACK } from "./icons.js";
import { labelOf } from "./state.js";
import { spans } from "./timeline.js";

export class Objects {
  #store;
  #work;
  #player;
  #rows = new Map();

  constructor(store, work, player) {
    this.#store = store;
    this.#work = work;
    this.#player = player;
    byId("new-object").addEventListener("click", () => {
      store.set({ selected: null });
      byId("canvas").focus({ preventScroll: true });
    });
    store.on(["objects", "hidden", "selected", "hovered", "clip"], (state) => this.#show(state));
  }

  /** Show or hide an object's masks. */
  toggle(id) {
    const hidden = new Set(this.#store.state.hidden);
    if (!hidden.delete(id)) hidden.add(id);
    this.#store.set({ hidden });
  }

  /** Select an object and go to where it is, if it is not on this frame. */
  visit(id) {
    const { objects, frame } = this.#store.state;
    const object = objects.get(id);
    if (!object) return;
    this.#store.set({ selected: id });
    const found = spans(object);
    if (!found.length || found.some(([from, to]) => from <= frame && frame <= to)) return;
    const near = found.flat().reduce((best, one) => (Math.abs(one - frame) < Math.abs(best - frame) ? one : best));
    this.#player.pause();
    this.#player.seek(near);
  }

  #show(state) {
    const list = byId("object-list");
    byId("no-objects").hidden = state.objects.size > 0;
    byId("object-count").textContent = state.objects.size ? String(state.objects.size) : "";
    for (const [id, row] of this.#rows) {
      if (!state.objects.has(id)) {
        row.item.remove();
        this.#rows.delete(id);
      }
    }
    for (const object of state.objects.values()) {
      if (!this.#rows.has(object.id)) this.#rows.set(object.id, this.#row(object.id));
      this.#update(this.#rows.get(object.id), object, state);
    }
    const order = [...this.#rows.keys()].sort((one, two) => one - two).map((id) => this.#rows.get(id).item);
    if (order.some((item, place) => list.children[place] !== item)) list.replaceChildren(...order);
  }

  #row(id) {
    const row = {
      choose: element("button", { type: "button", class: "choose", onclick: () => this.visit(id) }),
      name: element("input", { class: "name", type: "text", maxlength: "200", placeholder: "Add a name", spellcheck: "false" }),
      where: element("span", { class: "where" }),
      eye: iconButton(EYE, "", { onclick: () => this.toggle(id) }),
      track: iconButton(TRACK, "", { onclick: () => this.#work.track(id) }),
      remove: iconButton(REMOVE, "", { onclick: () => this.#remove(id) }),
    };
    row.choose.textContent = `[${id}]`;
    row.name.addEventListener("change", () => this.#rename(id, row.name));
    row.name.addEventListener("keydown", (event) => {
      if (event.key === "Enter") row.name.blur();
      if (event.key === "Escape") row.name.value = this.#store.state.objects.get(id)?.name ?? "";
    });
    const text = element("div", { class: "row-text" }, row.name, row.where);
    const buttons = element("div", { class: "row-buttons" }, row.track, row.eye, row.remove);
    row.item = element("li", { class: "object" }, row.choose, text, buttons);
    row.item.style.setProperty("--colour", css(id));
    row.item.addEventListener("pointerenter", () => this.#store.set({ hovered: id }));
    row.item.addEventListener("pointerleave", () => this.#store.set({ hovered: null }));
    return row;
  }

  #update(row, object, state) {
    const label = labelOf(object);
    const isHidden = state.hidden.has(object.id);
    row.item.classList.toggle("selected", state.selected === object.id);
    row.item.classList.toggle("hovered", state.hovered === object.id);
    row.item.classList.toggle("hidden-object", isHidden);
    row.choose.setAttribute("aria-pressed", String(state.selected === object.id));
    row.choose.setAttribute("aria-label", `Select ${label}`);
    row.name.setAttribute("aria-label", `Name of [${object.id}]`);
    if (document.activeElement !== row.name) row.name.value = object.name ?? "";
    row.where.textContent = whereabouts(object, state.clip);
    setLabel(row.track, `Follow ${label} through the clip`);
    row.track.hidden = (state.clip?.num_frames ?? 1) < 2 || object.origin === "given";
    setLabel(row.remove, `Remove ${label}`);
    if (row.isHidden !== isHidden) {
      const eye = iconButton(isHidden ? EYE_OFF : EYE, "");
      row.eye.replaceChildren(...eye.children);
      row.isHidden = isHidden;
    }
    setLabel(row.eye, `${isHidden ? "Show" : "Hide"} ${label}`);
    row.eye.setAttribute("aria-pressed", String(isHidden));
  }

  #rename(id, field) {
    const name = field.value.trim() || null;
    if (name !== (this.#store.state.objects.get(id)?.name ?? null)) this.#work.rename(id, name);
  }

  #remove(id) {
    const next = this.#rows.get(id)?.item.nextElementSibling?.querySelector(".choose");
    this.#work.remove(id).then(() => (next ?? byId("new-object")).focus());
  }
}

/** Where an object is, in words. */
function whereabouts(object, clip) {
  if (!object.frames.size) return "no mask yet";
  const found = spans(object);
  if (!found.length) return clip?.num_frames === 1 ? "not found" : "on no frame";
  if (clip?.num_frames === 1) return `${object.frames.get(0)?.area ?? 0} pixels`;
  const parts = found.slice(0, 3).map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  return `frame ${parts.join(", ")}${found.length > 3 ? " …" : ""}`;
}

function setLabel(button, label) {
  button.setAttribute("aria-label", label);
  button.title = label;
}
