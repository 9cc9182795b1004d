/** Questions and answers. Objects that they mention have their colours, and show their masks when pointed at. */

import { css } from "./colours.js";
import { byId, element, icon } from "./dom.js";
import { SEND, STOP } from "./icons.js";
import { piecesOfAnswer, piecesOfQuestion } from "./mentions.js";
import { labelOf } from "./state.js";

export class Conversation {
  #store;
  #work;
  #objects;
  #field = byId("question");
  #shown = [];

  constructor(store, work, objects) {
    this.#store = store;
    this.#work = work;
    this.#objects = objects;
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("input", () => this.#mirror(store.state));
    this.#field.addEventListener("scroll", () => {
      byId("question-mirror").scrollTop = this.#field.scrollTop;
    });
    store.on(["turns", "objects", "hovered"], (state) => this.#showTurns(state));
    store.on(["objects", "clip"], (state) => this.#showChips(state));
    store.on(["phase", "busy"], (state) => this.#showButton(state));
    store.on(["objects"], (state) => this.#mirror(state));
  }

  /** Write something into the question, where the caret is. */
  insert(text) {
    const field = this.#field;
    const before = field.value.slice(0, field.selectionStart);
    const space = before && !/\s$/.test(before) ? " " : "";
    field.setRangeText(space + text, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    this.#mirror(this.#store.state);
  }

  #send() {
    const { state } = this.#store;
    if (state.busy?.what === "Thinking") {
      this.#work.cancel();
      return;
    }
    const text = this.#field.value.trim();
    if (!text || state.phase !== "open") return;
    this.#field.value = "";
    this.#mirror(state);
    this.#work.ask(text);
  }

  #showButton({ phase, busy }) {
    const button = byId("send");
    const stops = busy?.what === "Thinking";
    button.disabled = phase !== "open";
    this.#field.disabled = phase !== "open";
    button.replaceChildren(icon(stops ? STOP : SEND));
    button.setAttribute("aria-label", stops ? "Stop the answer" : "Ask");
    button.title = stops ? "Stop" : "Ask (Enter)";
  }

  #showTurns(state) {
    const list = byId("turns");
    byId("no-turns").hidden = state.turns.length > 0;
    const turns = state.turns;
    const known = new Set(state.objects.keys());
    const sign = [...known].join();
    let added = false;
    turns.forEach((turn, place) => {
      const last = this.#shown[place];
      if (last && last.turn === turn && last.sign === sign) return;
      const item = this.#turn(turn, known);
      if (last) last.item.replaceWith(item);
      else list.append(item);
      added ||= !last || last.turn !== turn;
      this.#shown[place] = { turn, sign, item };
    });
    for (const { item } of this.#shown.splice(turns.length)) item.remove();
    for (const mark of list.querySelectorAll(".mention")) {
      mark.classList.toggle("hovered", Number(mark.dataset.id) === state.hovered);
    }
    if (added) list.parentElement.scrollTop = list.parentElement.scrollHeight;
  }

  #turn(turn, known) {
    const isQuestion = turn.role === "user";
    const isWhole = !isQuestion && turn.state === "done";
    const pieces = isWhole ? piecesOfAnswer(turn.text, turn.mentions) : piecesOfQuestion(turn.text, known);
    const said = pieces.map((piece) => (piece.id === undefined ? piece.text : this.#mention(piece, known)));
    const who = element("span", { class: "visually-hidden" }, isQuestion ? "You: " : "Answer: ");
    const more = [];
    if (turn.state === "waiting") more.push(element("span", { class: "dots", role: "img", "aria-label": "thinking" }));
    if (turn.state === "stopped") more.push(element("em", { class: "aside" }, " (stopped)"));
    if (turn.state === "done" && turn.objects?.length) more.push(this.#found(turn, known));
    const kind = isQuestion ? "question" : `answer ${turn.state ?? ""}`;
    return element("li", { class: `turn ${kind}` }, element("div", { class: "bubble" }, who, ...said, ...more));
  }

  /** The objects of an answer that its words do not name. */
  #found(turn, known) {
    const named = new Set(turn.mentions.map((one) => one.object_id));
    const others = turn.objects.filter((id) => !named.has(id) && known.has(id));
    if (!others.length) return "";
    return element("div", { class: "found" }, ...others.map((id) => this.#mention({ text: `[${id}]`, id }, known)));
  }

  #mention({ text, id }, known) {
    if (!known.has(id)) return element("span", { class: "mention gone", title: "this object was removed" }, text);
    const mark = element("button", { type: "button", class: "mention", "data-id": String(id) }, text);
    mark.style.setProperty("--colour", css(id));
    const light = (hovered) => () => this.#store.set({ hovered });
    for (const name of ["pointerenter", "focus"]) mark.addEventListener(name, light(id));
    for (const name of ["pointerleave", "blur"]) mark.addEventListener(name, light(null));
    mark.addEventListener("click", () => this.#objects.visit(id));
    mark.setAttribute("aria-label", `${text}: show object [${id}]`);
    return mark;
  }

  #showChips({ objects }) {
    const chips = [...objects.values()].map((object) => {
      const chip = element("button", { type: "button", class: "chip", onclick: () => this.insert(`[${object.id}]`) }, labelOf(object));
      chip.style.setProperty("--colour", css(object.id));
      chip.setAttribute("aria-label", `Insert [${object.id}] into the question`);
      chip.addEventListener("pointerenter", () => this.#store.set({ hovered: object.id }));
      chip.addEventListener("pointerleave", () => this.#store.set({ hovered: null }));
      return chip;
    });
    byId("question-chips").replaceChildren(...chips);
  }

  /** The question again behind its field, for the colours of `[1]`: a text field itself has but one. */
  #mirror({ objects }) {
    const pieces = piecesOfQuestion(this.#field.value, new Set(objects.keys())).map((piece) => {
      if (piece.id === undefined) return piece.text;
      const mark = element("mark", {}, piece.text);
      mark.style.setProperty("--colour", css(piece.id));
      return mark;
    });
    byId("question-mirror").replaceChildren(...pieces, "\u200b");
    this.#field.style.blockSize = "auto";
    this.#field.style.blockSize = `${Math.min(160, this.#field.scrollHeight)}px`;
  }
}
