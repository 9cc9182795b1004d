/** What was done, as a program: for Python, or for a shell with curl. The token is read from the environment. */

const SESSION = "session";

/** @param {{acts: object[], name: string, server: string, hasToken: boolean}} done */
export function asPython({ acts, name, server, hasToken }) {
  const used = new Set(["Client"]);
  const lines = together(acts).flatMap((act) => pythonLines(act, used));
  const token = hasToken ? ', token=os.environ["UNIPIXEL_TOKEN"]' : "";
  const objects = [`    for known in ${SESSION}.objects:`, "        print(known.label, known.masks.area)"];
  return [
    ...(hasToken ? ["import os", ""] : []),
    `from unipixel import ${[...used].sort().join(", ")}`,
    "",
    `client = Client(${text(server)}${token})`,
    `with client.session(${text(name)}) as ${SESSION}:`,
    ...(lines.length ? lines : ["pass"]).map((line) => `    ${line}`),
    ...(lines.length ? objects : []),
    "",
  ].join("\n");
}

/** @param {{acts: object[], name: string, server: string, hasToken: boolean}} done */
export function asCurl({ acts, name, server, hasToken }) {
  const header = hasToken ? ' -H "Authorization: Bearer $UNIPIXEL_TOKEN"' : "";
  const curl = `curl -sf${header}`;
  const upload = quoted(`file=@"${name.replaceAll(/["\\]/g, "\\$&")}"`);
  const id = "sed -E 's/.*\"id\":\"([^\"]*)\".*/\\1/'";
  const at = "$at/v1/sessions/$session";
  return [
    `at=${quoted(server.replace(/\/$/, ""))}`,
    `file=$(${curl} "$at/v1/files" -F ${upload} | ${id})`,
    `session=$(${curl} "$at/v1/sessions" --json '{"media": {"file_id": "'"$file"'"}}' | sed -E 's/^\\{"id":"([^"]*)".*/\\1/')`,
    ...together(acts).map((act) => curlLine(act, curl, at)),
    `${curl} "${at}/export/coco.json" -o coco.json`,
    "",
  ].join("\n");
}

function pythonLines(act, used) {
  switch (act.op) {
    case "refer":
      return [`${SESSION}.refer(${prompts(act.prompts, used)}${follows(act)})  # becomes [${act.id}]`];
    case "correct":
      return [`${SESSION}.correct(${act.id}, ${prompts(act.prompts, used)}${follows(act)})`];
    case "track":
      return [`list(${SESSION}.track([${act.ids.join(", ")}]))  # masks of every frame`];
    case "rename":
      return [`${SESSION}.rename(${act.id}, ${act.name === null ? "None" : text(act.name)})`];
    case "remove":
      return [`${SESSION}.remove(${act.id})`];
    default:
      return [`print(${SESSION}.ask(${question(act, used)}).text)`];
  }
}

/** A click and the following of its object alone are one call. */
function together(acts) {
  return acts.flatMap((act, place) => {
    const [before, next] = [acts[place - 1], acts[place + 1]];
    if (isFollowedBy(act, next)) return [{ ...act, follow: true }];
    return before && isFollowedBy(before, act) ? [] : [act];
  });
}

function isFollowedBy(act, next) {
  const isPointing = act.op === "refer" || act.op === "correct";
  return isPointing && next?.op === "track" && next.ids.length === 1 && next.ids[0] === act.id;
}

function follows(act) {
  return act.follow ? "" : ", follow=False";
}

function question(act, used) {
  const parts = [text(act.text)];
  if (act.follow_up) parts.push("follow_up=True");
  if (act.require_mask) {
    used.add("Decoding");
    parts.push("decoding=Decoding(require_mask=True)");
  }
  return parts.join(", ");
}

function prompts(given, used) {
  const written = given.map((prompt) => pythonPrompt(prompt, used));
  return written.length === 1 ? written[0] : `[${written.join(", ")}]`;
}

function pythonPrompt(prompt, used) {
  const frame = `frame=${prompt.frame}`;
  switch (prompt.type) {
    case "point":
      used.add("Point");
      return `Point(${prompt.x}, ${prompt.y}, ${frame}${prompt.positive ? "" : ", positive=False"})`;
    case "box":
      used.add("Box");
      return `Box(${prompt.x1}, ${prompt.y1}, ${prompt.x2}, ${prompt.y2}, ${frame})`;
    case "scribble": {
      used.add("Scribble");
      const places = prompt.points.map(([x, y]) => `(${x}, ${y})`).join(", ");
      return `Scribble([${places}], ${frame}, thickness=${prompt.thickness})`;
    }
    default: {
      used.add("RegionMask").add("RLE");
      const { size, counts } = prompt.rle;
      return `RegionMask(RLE.from_coco({"size": [${size.join(", ")}], "counts": ${text(counts)}}).decode(), ${frame})`;
    }
  }
}

function curlLine(act, curl, at) {
  const json = (body) => `--json ${quoted(JSON.stringify(body))}`;
  switch (act.op) {
    case "refer":
      return `${curl} "${at}/refer" ${json({ prompts: act.prompts, follow: act.follow ?? false })} # becomes [${act.id}]`;
    case "correct":
      return `${curl} "${at}/objects/${act.id}/correct" ${json({ prompts: act.prompts, follow: act.follow ?? false })}`;
    case "track":
      return `${curl} "${at}/track" ${json({ ids: act.ids })}`;
    case "rename":
      return `${curl} -X PATCH "${at}/objects/${act.id}" ${json({ name: act.name })}`;
    case "remove":
      return `${curl} -X DELETE "${at}/objects/${act.id}"`;
    default: {
      const body = { text: act.text };
      if (act.follow_up) body.follow_up = true;
      if (act.require_mask) body.decoding = { require_mask: true };
      return `${curl} "${at}/ask" ${json(body)}`;
    }
  }
}

/** A string that Python and JSON read alike. */
function text(value) {
  return JSON.stringify(value);
}

/** A word for a shell. */
function quoted(value) {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
