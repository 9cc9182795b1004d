/** The page: makes its parts, and lets them hear of each other. */

import { announce } from "./announce.js";
import { Api } from "./api.js";
import { Stage } from "./canvas.js";
import { Conversation } from "./conversation.js";
import * as dialogs from "./dialogs.js";
import { byId } from "./dom.js";
import { listen, reviewTables, shortcutTable } from "./keyboard.js";
import { remember } from "./memory.js";
import { Objects } from "./objects.js";
import { Opening, takeFiles } from "./opening.js";
import { Player } from "./player.js";
import { Pointing } from "./pointing.js";
import { Quality } from "./quality.js";
import { Review } from "./review.js";
import { ReviewPanel } from "./review_panel.js";
import { Screen } from "./screen.js";
import { newStore } from "./state.js";
import { setUpTheme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { Tools } from "./tools.js";
import { Work } from "./work.js";

const TOKEN = "unipixel-token";

const store = newStore();
const api = new Api(
  new URL("../", import.meta.url),
  (waiting) => store.set({ waiting }),
  () => store.set({ phase: "login" }),
);
const stage = new Stage(store, byId("canvas"));
const player = new Player(store);
const work = new Work(store, api);
const opening = new Opening(store, api, stage, player);
const review = new Review(store, api, opening, player, work);
const pointing = new Pointing(store, stage, byId("canvas"), async (prompts) => {
  player.pause();
  if (review.isLooking && !(await review.correct())) return; // a click begins the correction
  work.point(prompts);
});
const objects = new Objects(store, work, player);
new Conversation(store, work, objects);
const tools = new Tools(store, stage, pointing);
const timeline = new Timeline(store, player);
const quality = new Quality(store, player);
new ReviewPanel(store, review);
new Screen(store, opening, work);

const does = {
  play: (event) => {
    pointing.spaceIsDown = true;
    if (!event.repeat) player.toggle();
  },
  step: (by) => player.step(by),
  seek: (frame) => {
    player.pause();
    player.seek(Math.min(frame, store.state.clip?.num_frames ?? 1));
  },
  tool: (tool) => store.set({ tool }),
  polarity: () => store.set({ positive: !store.state.positive }),
  brush: (factor) => tools.resizeBrush(factor),
  newObject: () => {
    store.set({ selected: null });
    announce("New object: point at it");
  },
  select: (place) => {
    const id = [...store.state.objects.keys()].sort((one, two) => one - two)[place];
    if (id !== undefined) objects.visit(id);
  },
  hide: () => store.state.selected !== null && objects.toggle(store.state.selected),
  remove: () => store.state.session && store.state.selected !== null && work.remove(store.state.selected),
  undo: () => (review.isLooking ? review.undo() : work.undo()),
  redo: () => work.redo(),
  question: () => {
    if (store.state.reviewing) return;
    store.set({ tab: "conversation" });
    byId("question").focus();
  },
  open: () => byId("file").click(),
  export: () => store.state.session && dialogs.showExports(store, api),
  code: () => store.state.session && dialogs.showCode(store, api),
  zoom: (factor) => pointing.zoom(factor),
  fit: () => stage.fit(),
  escape: () => {
    if (pointing.cancel()) return;
    if (store.state.phase === "opening") opening.cancel();
    else if (store.state.busy) work.cancel();
    else store.set({ selected: null, failure: null });
  },
  help: () => dialogs.showHelp(store.state.review ? [...keys.looking, ...keys.correcting, ...table] : table),
};
const table = shortcutTable(does);
const keys = reviewTables(review);

listen(keys.looking, () => store.state.shortcuts && review.isLooking);
listen(keys.correcting, () => store.state.shortcuts && review.isCorrecting);
listen(table, () => store.state.shortcuts);
addEventListener("keyup", (event) => {
  if (event.key === " ") pointing.spaceIsDown = false;
});
for (const [id, act] of Object.entries({
  open: does.open,
  undo: does.undo,
  redo: does.redo,
  "show-export": does.export,
  "show-code": does.code,
  "show-help": does.help,
})) {
  byId(id).addEventListener("click", act);
}
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) opening.open(file);
  event.target.value = "";
});
takeFiles(
  (file) => opening.open(file),
  (isOver) => document.body.classList.toggle("dropping", isOver),
);
dialogs.setUpDialogs();
dialogs.setUpCode(store);
dialogs.setUpLogin(enter);
setUpTheme(() => {
  stage.draw();
  timeline.draw();
  quality.draw();
});
remember(store);
api.token = sessionStorage.getItem(TOKEN) ?? "";
begin();

/** Find out whether the server wants a token, and wait until it is ready. */
async function begin() {
  try {
    const found = await api.json("GET", "v1/models");
    if (api.token) sessionStorage.setItem(TOKEN, api.token); // it is right; kept for this tab alone
    await api.json("GET", "ready");
    store.set({ phase: store.state.clip ? "open" : "empty", model: found.data[0]?.id ?? "", failure: null });
    await opening.listRecent();
    await review.begin();
  } catch (error) {
    if (error.status === 401) return;
    const isOpening = error.status === 503; // the model is being opened
    store.set({ phase: "starting", failure: isOpening ? null : { message: error.message } });
    setTimeout(begin, 1000);
  }
}

/** Try a token; whether it was right. */
async function enter(token) {
  api.token = token;
  await begin();
  return store.state.phase !== "login";
}
