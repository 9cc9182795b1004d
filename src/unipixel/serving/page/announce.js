/** What happens, in words for a screen reader. */

import { byId } from "./dom.js";

/** Say something once what is being said has ended. */
export function announce(text) {
  const place = byId("announcements");
  place.textContent = ""; // the same words twice are said twice
  setTimeout(() => {
    place.textContent = text;
  }, 30);
}
