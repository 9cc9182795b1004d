/** Files for the person: exports of the server, and what the page writes itself. */

import { announce } from "./announce.js";

/** What can be saved of a session: words for a person, the server's route, and the file's name. */
export function exportsOf({ clip, session, media, frame, job }) {
  const stem = media.name.replace(/\.[^.]+$/, "") || "clip";
  const path = `v1/sessions/${session}`;
  const still = clip.num_frames === 1;
  const all = [
    {
      id: "overlay",
      label: still ? "Overlay, PNG" : "Overlay, MP4",
      about: still ? "the picture with all masks on it" : "the video with all masks on it",
      path: `${path}/overlay`,
      name: `${stem}-overlay.${still ? "png" : "mp4"}`,
    },
    {
      id: "frame",
      label: "This frame, PNG",
      about: `frame ${frame} with all masks on it`,
      path: `${path}/frames/${frame}.png?overlay=true`,
      name: `${stem}-${String(frame).padStart(5, "0")}.png`,
    },
    {
      id: "coco",
      label: "COCO, JSON",
      about: "run lengths, boxes, areas; an object is a track_id",
      path: `${path}/export/coco.json`,
      name: `${stem}-coco.json`,
    },
    {
      id: "palette",
      label: "Palette PNGs, ZIP",
      about: "a picture for each frame, as in DAVIS; object [n] has the value n + 1",
      path: `${path}/export/palette.zip`,
      name: `${stem}-palette.zip`,
    },
    {
      id: "masks",
      label: "Masks, JSON",
      about: "the library's masks.json",
      path: `${path}/export/masks.json`,
      name: `${stem}-masks.json`,
    },
  ];
  if (job) {
    all.push({
      id: "job",
      label: "Job result, JSON",
      about: "what the job found on every frame of the long clip",
      path: `v1/jobs/${job}/result`,
      name: `${stem}-job.json`,
    });
  }
  return still ? all.filter((one) => one.id !== "frame") : all;
}

/** Give a person a file. */
export function save(content, name) {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  announce(`${name} saved`);
}
