/** Light or dark: as the system says, or as the person chose. */

import { byId, icon } from "./dom.js";
import { MOON, SUN } from "./icons.js";

const KEY = "unipixel-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function setUpTheme(onChange) {
  const button = byId("theme");
  const show = () => {
    const isDark = chosen() ? chosen() === "dark" : dark.matches;
    if (chosen()) document.documentElement.dataset.theme = chosen();
    button.replaceChildren(icon(isDark ? SUN : MOON));
    button.setAttribute("aria-label", isDark ? "Light colours" : "Dark colours");
    button.title = isDark ? "Light" : "Dark";
    onChange();
  };
  button.addEventListener("click", () => {
    const isDark = chosen() ? chosen() === "dark" : dark.matches;
    localStorage.setItem(KEY, isDark ? "light" : "dark");
    show();
  });
  dark.addEventListener("change", show);
  show();
}

function chosen() {
  return localStorage.getItem(KEY);
}
