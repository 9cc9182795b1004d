/** Dialogs: help, export, code and replay, login. */

import { announce } from "./announce.js";
import { asCurl, asPython } from "./code.js";
import { byId, element } from "./dom.js";
import { ON_PICTURE } from "./keyboard.js";
import { replayOf } from "./replay.js";
import { exportsOf, save } from "./saving.js";

/** Let every dialog close by its button, and by a click beside it. */
export function setUpDialogs() {
  for (const dialog of document.querySelectorAll("dialog:not(#login)")) {
    dialog.querySelector(".close")?.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
}

export function showHelp(table) {
  const key = (name) => element("kbd", {}, name);
  const rows = (all) =>
    all.map(([keys, what]) => element("div", { class: "shortcut" }, element("dt", {}, ...keys.map(key)), element("dd", {}, what)));
  const groups = [["On the picture", ON_PICTURE], ...table.map(([title, all]) => [title, shownOnly(all)])];
  byId("shortcut-list").replaceChildren(
    ...groups.map(([title, all]) => element("section", {}, element("h3", {}, title), element("dl", {}, ...rows(all)))),
  );
  byId("help").showModal();
}

function shownOnly(shortcuts) {
  return shortcuts.filter((one) => one.what).map((one) => [one.shown, one.what]);
}

/** Offer what can be saved. */
export function showExports(store, api) {
  const { state } = store;
  const rows = exportsOf(state).map((one) => {
    const about = element("span", { class: "about" }, one.about);
    const button = element("button", { type: "button", class: "wide", "data-export": one.id }, element("strong", {}, one.label), about);
    button.addEventListener("click", () => saveExport(api, one, button, about));
    return element("li", {}, button);
  });
  byId("export-list").replaceChildren(...rows);
  byId("export-empty").hidden = state.objects.size > 0;
  byId("export").showModal();
}

async function saveExport(api, one, button, about) {
  button.disabled = true;
  about.textContent = "Preparing …";
  try {
    save(await api.blob(one.path), one.name);
    about.textContent = `Saved as ${one.name}`;
  } catch (error) {
    about.textContent = error.message;
    announce(error.message);
  } finally {
    button.disabled = false;
    button.focus();
  }
}

/** Show what was done as a program. */
export function showCode(store, api) {
  const shown = byId("code-text");
  const write = () => {
    const { acts, media } = store.state;
    const done = { acts, name: media.name, server: api.url(""), hasToken: Boolean(api.token) };
    shown.textContent = byId("code-curl").checked ? asCurl(done) : asPython(done);
  };
  for (const choice of document.querySelectorAll('input[name="code"]')) choice.onchange = write;
  write();
  byId("code-empty").hidden = store.state.acts.length > 0;
  byId("copied").textContent = "";
  byId("code").showModal();
}

export function setUpCode(store) {
  byId("copy").addEventListener("click", async () => {
    const said = byId("copied");
    try {
      await navigator.clipboard.writeText(byId("code-text").textContent);
      said.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(byId("code-text"));
      said.textContent = "Selected: press Ctrl C";
    }
  });
  byId("save-replay").addEventListener("click", async () => {
    const { state } = store;
    const content = JSON.stringify(await replayOf(state));
    const stem = state.media.name.replace(/\.[^.]+$/, "") || "clip";
    save(new Blob([content], { type: "application/json" }), `${stem}-replay.json`);
    byId("copied").textContent = `Saved as ${stem}-replay.json`;
  });
}

/** Ask for the token until the server takes one. @param {(token: string) => Promise<boolean>} enter */
export function setUpLogin(enter) {
  byId("login").addEventListener("cancel", (event) => event.preventDefault());
  byId("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = byId("token");
    const isIn = await enter(field.value.trim());
    byId("login-failed").hidden = isIn;
    field.setAttribute("aria-invalid", String(!isIn));
    if (isIn) field.value = "";
    else field.select();
  });
}
