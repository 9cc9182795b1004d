/**
 * Clips that are too long to be followed while somebody waits: the server follows them as a job, which goes on by
 * itself and gives a file. Its masks are shown here as well; the session keeps those of the clicked frames.
 */

import { ApiError } from "./api.js";
import { objectOf } from "./state.js";

const PAUSE = 1000;

/** What a job has to do again: every click in its order, each object followed after its last one. */
export function stepsOf(acts, objects) {
  const pointings = acts.filter((act) => act.op === "refer" || act.op === "correct");
  return pointings.map((act, place) => {
    const isLast = !pointings.slice(place + 1).some((later) => later.id === act.id);
    const step = { op: act.op, prompts: act.prompts, follow: isLast && objects.has(act.id) };
    return act.op === "correct" ? { ...step, id: act.id } : step;
  });
}

/** Objects of a job's result, each as it was last. */
export function objectsOfResult({ outcomes }) {
  const found = new Map();
  for (const entry of outcomes.flatMap((outcome) => outcome.objects)) found.set(entry.id, objectOf(entry));
  return found;
}

/** Run a job to its end. @returns {Promise<{id: string, objects: Map}>} */
export async function runJob(api, { media, acts, objects }, onProgress, signal) {
  if (!media.file) throw new ApiError("A job needs the file itself: open it again, and point again.");
  const upload = await api.upload(media.file, () => {}, signal);
  const body = { media: { file_id: upload.id, name: media.name.slice(0, 200) }, steps: stepsOf(acts, objects) };
  const { id } = await api.json("POST", "v1/jobs", body, signal);
  api.json("DELETE", `v1/files/${upload.id}`).catch(() => {}); // the job has a hold of its own on it
  try {
    await ended(api, id, onProgress, signal);
  } catch (error) {
    api.json("POST", `v1/jobs/${id}/cancel`).catch(() => {}); // nobody waits for it any more
    throw error;
  }
  return { id, objects: objectsOfResult(await api.json("GET", `v1/jobs/${id}/result`, undefined, signal)) };
}

async function ended(api, id, onProgress, signal) {
  for (;;) {
    const job = await api.json("GET", `v1/jobs/${id}`, undefined, signal);
    if (job.status === "done") return;
    if (job.status === "failed" || job.status === "cancelled") throw new ApiError(job.error ?? `The job was ${job.status}.`);
    onProgress(job);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}
