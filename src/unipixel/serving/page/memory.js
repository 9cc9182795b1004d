/** What this tab remembers of its sessions, should the page be loaded again: acts and the conversation. */

const KEPT = 8;
const name = (session) => `unipixel-${session}`;

/** Write down what was done whenever it changes. */
export function remember(store) {
  store.on(["acts", "turns"], ({ session, acts, turns }) => {
    if (!session || (!acts.length && !turns.length)) return;
    const done = turns.filter((turn) => turn.role === "user" || turn.state === "done");
    const content = JSON.stringify({ acts: acts.map(({ toFollow, ...act }) => act), turns: done });
    try {
      sessionStorage.setItem(name(session), content);
    } catch {
      forgetOthers(session); // the tab's store is full: older sessions go, and the next change tries again
    }
  });
}

/** Acts and turns of a session. Undo reaches back only as far as the server remembers: to `position`. */
export function recall(session, position) {
  try {
    const found = JSON.parse(sessionStorage.getItem(name(session)) ?? "{}");
    const acts = (found.acts ?? []).map((act) => ({ ...act, toFollow: new Set() }));
    const known = acts.every((act) => act.before === undefined || act.before < position) ? acts : [];
    return { acts: known, turns: found.turns ?? [] };
  } catch {
    return { acts: [], turns: [] };
  }
}

function forgetOthers(session) {
  const others = Object.keys(sessionStorage).filter((key) => key.startsWith("unipixel-sess-") && key !== name(session));
  for (const key of others.slice(0, Math.max(1, others.length - KEPT))) sessionStorage.removeItem(key);
}
