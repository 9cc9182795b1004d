/** What one sees of the review: the list with its filters and counts, and the bar of decisions above the picture. */

import { byId, element } from "./dom.js";
import { labelOf } from "./state.js";

const FILTERS = [
  ["undecided", "Undecided"],
  ["accepted", "Accepted"],
  ["corrected", "Corrected"],
  ["rejected", "Rejected"],
  ["all", "All"],
];

export class ReviewPanel {
  #store;
  #review;
  #filters = new Map();

  constructor(store, review) {
    this.#store = store;
    this.#review = review;
    for (const [name, word] of FILTERS) {
      const count = element("span", { class: "count" });
      const button = element("button", { type: "button", "data-filter": name }, word, count);
      button.addEventListener("click", () => review.filter(name));
      byId("review-filters").append(button);
      this.#filters.set(name, { button, count });
    }
    const acts = {
      "review-accept": () => review.decide("accepted"),
      "review-reject": () => review.decide("rejected"),
      "review-correct": () => review.correct(),
      "review-previous": () => review.step(-1),
      "review-next": () => review.step(1),
      "review-undo": () => review.undo(),
      "review-save": () => review.save(),
      "review-discard": () => review.discard(),
    };
    for (const [id, act] of Object.entries(acts)) byId(id).addEventListener("click", (event) => this.#do(event, act));
    byId("review-more").addEventListener("click", () => review.more());
    byId("review-open").addEventListener("click", () => review.enter());
    store.on(["review", "reviewing"], (state) => this.#list(state));
    store.on(["review", "reviewing", "phase", "acts"], (state) => this.#bar(state));
  }

  /** After a mouse click, keys are for the clip again. */
  #do(event, act) {
    act();
    if (event.detail) byId("canvas").focus({ preventScroll: true });
  }

  #bar({ review, reviewing, phase }) {
    document.body.dataset.review = reviewing ? (reviewing.correcting ? "correcting" : "looking") : "";
    byId("review-entry").hidden = !review;
    if (review) byId("review-open-about").textContent = `${review.folders.join(", ")}: ${progressOf(review.counts)}`;
    byId("review-bar").hidden = !reviewing || phase !== "open";
    byId("review-panel").hidden = !reviewing || reviewing.correcting;
    if (!reviewing) return;
    const { row, correcting } = reviewing;
    for (const id of ["review-looking", "review-correcting"]) byId(id).hidden = (id === "review-correcting") !== correcting;
    byId("review-what").textContent = labelOf(row);
    byId("review-why").textContent = row.question ?? "marked, not asked for";
    const state = byId("review-state");
    state.textContent = correcting ? "correcting" : row.state;
    state.dataset.state = correcting ? "corrected" : row.state;
    byId("review-undo").disabled = !this.#review.canUndo;
    byId("review-accept").setAttribute("aria-pressed", String(row.state === "accepted"));
    byId("review-reject").setAttribute("aria-pressed", String(row.state === "rejected"));
  }

  #list({ review, reviewing }) {
    if (!review || !reviewing) return;
    const { counts, rows, total, filter } = review;
    const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
    for (const [name, { button, count }] of this.#filters) {
      button.setAttribute("aria-pressed", String(name === filter));
      count.textContent = String(name === "all" ? all : counts[name]);
    }
    byId("review-progress").max = Math.max(1, all);
    byId("review-progress").value = all - counts.undecided;
    byId("review-progress-text").textContent = progressOf(counts);
    byId("review-more").hidden = rows.length >= total;
    byId("review-empty").hidden = rows.length > 0;
    const shown = rows.map((row) => this.#row(row, review.folders, reviewing.row.key));
    const focused = document.activeElement?.dataset?.key;
    byId("review-list").replaceChildren(...shown);
    if (focused) byId("review-list").querySelector(`[data-key="${focused}"]`)?.focus();
    byId("review-list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  #row(row, folders, current) {
    const place = folders.length > 1 ? `${folders[row.folder]} / ${row.item}` : row.item;
    const frames = row.frames === 1 ? "1 frame" : `${row.frames} frames`;
    const mean = row.mean === undefined ? "" : ` · mean ${row.mean.toFixed(2)}`;
    const words = element(
      "span",
      { class: "row-text" },
      element("strong", {}, place),
      element("span", { class: "about" }, `${labelOf(row)} ${row.question ?? ""}`.trim()),
      element("span", { class: "about" }, `${frames}${mean}`),
    );
    const lowest = row.lowest === undefined ? "–" : row.lowest.toFixed(2);
    const state = row.state === "undecided" ? null : element("span", { class: "state", "data-state": row.state }, row.state);
    const rating = element("span", { class: "rating", "data-low": String((row.lowest ?? 0) < 0.5) }, lowest);
    const isCurrent = row.key === current ? "true" : undefined;
    const button = element("button", { type: "button", "data-key": row.key, "aria-current": isCurrent }, rating, words, state);
    button.addEventListener("click", (event) => this.#do(event, () => this.#review.open(row)));
    return element("li", {}, button);
  }
}

function progressOf(counts) {
  const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return `${all - counts.undecided} of ${all} decided`;
}
