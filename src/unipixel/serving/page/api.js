/** Talking to the server: the token, trying again while it is busy, errors, uploads, and events as they come. */

const PATIENCE = 60_000;

/** What the server says is wrong; `status` is HTTP's, 0 where it could not be reached. */
export class ApiError extends Error {
  constructor(message, status = 0, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Whether an error only says that somebody cancelled. */
export function isCancelled(error) {
  return error?.name === "AbortError";
}

export class Api {
  #base;
  #onBusy;
  #onStranger;

  /**
   * @param {URL} base where the page lies
   * @param {(waiting: boolean) => void} onBusy hears of waiting in line
   * @param {() => void} onStranger hears that the server wants another token
   */
  constructor(base, onBusy = () => {}, onStranger = () => {}) {
    this.#base = base;
    this.#onBusy = onBusy;
    this.#onStranger = onStranger;
    this.token = "";
  }

  /** The address of a route, for people. */
  url(path) {
    return new URL(path, this.#base).href;
  }

  /** Send a request; its answer as JSON. */
  async json(method, path, body, signal) {
    const options = { method, signal };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers = { "content-type": "application/json" };
    }
    return (await this.#send(path, options)).json();
  }

  /** The bytes at a path. */
  async blob(path, signal) {
    return (await this.#send(path, { signal })).blob();
  }

  /** The events of a request while they come; the last one is the reply. An error among them is thrown. */
  async *events(path, body, signal) {
    const options = { method: "POST", body: JSON.stringify({ ...body, stream: true }), signal };
    options.headers = { "content-type": "application/json" };
    const reply = await this.#send(path, options);
    for await (const line of lines(reply.body)) {
      if (!line.startsWith("data: ")) continue;
      const told = JSON.parse(line.slice("data: ".length));
      if (told.type === "error") throw new ApiError(told.error.message, 0, told.error.code);
      yield told;
    }
  }

  /** Upload a file; `onProgress` hears the part that is there, 0 to 1. (`fetch` cannot tell.) */
  upload(file, onProgress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("file", file, file.name);
      request.open("POST", this.url("v1/files"));
      if (this.token) request.setRequestHeader("authorization", `Bearer ${this.token}`);
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onload = () => {
        if (request.status < 400) resolve(JSON.parse(request.responseText));
        else reject(errorOf(request.status, parsed(request.responseText)));
      };
      request.onerror = () => reject(unreachable());
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      signal?.addEventListener("abort", () => request.abort());
      request.send(form);
    });
  }

  async #send(path, options) {
    const until = Date.now() + PATIENCE;
    for (;;) {
      const reply = await this.#once(path, options);
      if (reply.ok) return reply;
      if (reply.status === 401) this.#onStranger();
      const wait = 1000 * Number(reply.headers.get("retry-after") || 1);
      if (reply.status !== 429 || Date.now() + wait > until) {
        throw errorOf(reply.status, parsed(await reply.text()));
      }
      this.#onBusy(true);
      await pause(wait, options.signal).finally(() => this.#onBusy(false));
    }
  }

  async #once(path, options) {
    const headers = { ...options.headers };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    try {
      return await fetch(this.url(path), { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      throw isCancelled(error) ? error : unreachable();
    }
  }
}

/** The lines of a body, while it comes. */
export async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const pieces = (rest + value).split("\n");
      rest = pieces.pop();
      yield* pieces;
    }
    if (rest) yield rest;
  } catch (error) {
    throw isCancelled(error) ? error : unreachable();
  } finally {
    reader.cancel().catch(() => {});
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });
}

function unreachable() {
  return new ApiError("The server cannot be reached, or went away. Check that it runs, then try again: your work is kept there.");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function errorOf(status, content) {
  const about = content?.error ?? {};
  return new ApiError(about.message || `The server answered ${status}.`, status, about.code);
}
