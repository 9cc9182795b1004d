/** Where the picture lies on the screen: fitting, zooming, moving. Pure numbers; x and y in pixels. */

const MOST_ZOOM = 40;

/**
 * A view never changes; every function gives another one.
 * @typedef {{scale: number, x: number, y: number}} View screen = picture · scale + (x, y)
 */

/** The whole picture in the middle of the screen. @returns {View} */
export function fitted(picture, screen, margin = 16) {
  const wide = Math.max(1, screen.width - 2 * margin) / picture.width;
  const high = Math.max(1, screen.height - 2 * margin) / picture.height;
  const scale = Math.min(wide, high);
  return {
    scale,
    x: (screen.width - picture.width * scale) / 2,
    y: (screen.height - picture.height * scale) / 2,
  };
}

/** Zoom by a factor; what lies at `place` on the screen stays there. */
export function zoomed(view, factor, place, least) {
  const scale = Math.min(Math.max(view.scale * factor, least), Math.max(least, MOST_ZOOM));
  const by = scale / view.scale;
  return { scale, x: place.x - (place.x - view.x) * by, y: place.y - (place.y - view.y) * by };
}

/** Move, but keep the middle of the screen on the picture. */
export function moved(view, by, picture, screen) {
  const limit = (value, length, size) => Math.min(size / 2, Math.max(size / 2 - length * view.scale, value));
  return {
    scale: view.scale,
    x: limit(view.x + by.x, picture.width, screen.width),
    y: limit(view.y + by.y, picture.height, screen.height),
  };
}

/** From the screen to the picture. */
export function toPicture(view, place) {
  return { x: (place.x - view.x) / view.scale, y: (place.y - view.y) / view.scale };
}

/** From the picture to the screen. */
export function toScreen(view, place) {
  return { x: place.x * view.scale + view.x, y: place.y * view.scale + view.y };
}

/** The pixel at a place of the picture, the nearest one for places beside it. */
export function pixelAt(place, picture) {
  return {
    x: Math.min(picture.width - 1, Math.max(0, Math.floor(place.x))),
    y: Math.min(picture.height - 1, Math.max(0, Math.floor(place.y))),
  };
}

/** Whether a place lies on the picture. */
export function isInside(place, picture) {
  return place.x >= 0 && place.y >= 0 && place.x < picture.width && place.y < picture.height;
}
