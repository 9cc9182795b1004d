/** Making elements: text stays text, and nothing is ever read as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Attributes that begin with "on" are listeners, `true` and `false` switch an attribute on and off,
 * `undefined` leaves it out; children are elements, strings, or nothing.
 */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** A line drawing from `icons.js`, for the eye only. */
export function icon(paths) {
  const picture = document.createElementNS(SVG, "svg");
  fill(picture, { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true", focusable: "false" }, []);
  for (const path of [paths].flat()) {
    picture.append(fill(document.createElementNS(SVG, "path"), { d: path }, []));
  }
  return picture;
}

/** A button with a drawing whose words are for those who cannot see it, and for its tooltip. */
export function iconButton(paths, label, attributes = {}) {
  const title = attributes.title ?? label;
  return element("button", { type: "button", class: "icon-button", "aria-label": label, ...attributes, title }, icon(paths));
}

/** The element of the page with this id. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

function fill(target, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) target.addEventListener(name.slice(2), value);
    else if (value === true) target.setAttribute(name, "");
    else if (value !== undefined && value !== false && value !== null) target.setAttribute(name, value);
  }
  target.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return target;
}
