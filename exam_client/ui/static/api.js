/**
 * The exam-client over HTTP. A call ends in one of three ways and a caller must tell them apart:
 * a reply, a Problem (the server decided), or Unreachable (nobody knows whether it took effect).
 */

const WAIT_MS = 8000;

/** The server's refusal: an RFC 9457 body with a stable `code`. */
export class Problem extends Error {
  constructor(status, body) {
    super(sentence(body.detail ?? body.title ?? `the exam answered with ${status}`));
    this.status = status;
    this.code = body.code ?? "unavailable";
    this.body = body;
  }

  /** It will pass by itself: the same request may be sent again. */
  get passing() {
    return isAway(this) || this.status === 429 || this.status === 408;
  }
}

/** Nothing is decided there now. What is fenced is let go on, or its successor has the address. */
export const isAway = ({ status, code }) => status >= 500 || code === "fenced";

/** Details of problems are clauses without a capital or a full stop. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** No reply: offline, or a time limit ran out. The outcome is unknown. */
export class Unreachable extends Error {}

export const isPassing = (error) => error instanceof Unreachable || (error instanceof Problem && error.passing);

/** Milliseconds to wait before try number `attempt` (from 0): full jitter, at most 8 s. */
export const backoff = (attempt, random = Math.random) =>
  random() * Math.min(8000, 300 * 2 ** Math.min(attempt, 10));

export class Api {
  #onTime;

  /** `onTime(serverTime, sent, received)` hears each reply's server time and the local instants. */
  constructor(onTime) {
    this.#onTime = onTime;
  }

  info = () => this.#call("GET", "/exam/info");
  enter = (deviceId, token) =>
    this.#call("GET", `/exam/start?device_id=${encodeURIComponent(deviceId)}`, { token });
  begin = () => this.#call("POST", "/exam/start", { body: {} });
  question = (id, ahead) => this.#call("GET", `/exam/question/${id}${ahead ? "?ahead=true" : ""}`);
  answer = (command) => this.#call("POST", "/exam/answer", { body: command });
  answers = (commands) => this.#call("POST", "/exam/answers", { body: { commands } });
  progress = () => this.#call("GET", "/exam/progress");
  complete = () => this.#call("POST", "/exam/complete", { body: {} });
  signIn = (body) => this.#call("POST", "/exam/sign-in", { body });
  takeover = (body, token) => this.#call("POST", "/exam/takeover", { body, token });
  signOut = () => this.#call("POST", "/exam/sign-out", { body: {} });

  /** An image of the exam as an address in this document, which an outage cannot take away. */
  async image(path) {
    const signal = AbortSignal.timeout(WAIT_MS);
    const response = await reached(fetch(path, { credentials: "same-origin", signal }));
    if (!response.ok) throw new Problem(response.status, {});
    return URL.createObjectURL(await reached(response.blob()));
  }

  async #call(method, path, { body, token } = {}) {
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    const sent = performance.now();
    const [response, reply] = await exchange(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(WAIT_MS),
    });
    const serverTime = reply?.server_time ?? response.headers.get("X-Server-Time");
    if (serverTime) this.#onTime(serverTime, sent, performance.now());
    if (!response.ok) throw new Problem(response.status, reply ?? {});
    return reply;
  }
}

async function exchange(path, request) {
  const response = await reached(fetch(path, request));
  const isJson = /[/+]json/.test(response.headers.get("Content-Type") ?? "");
  return [response, isJson ? await reached(response.json()) : null];
}

const reached = (exchanging) =>
  exchanging.catch((cause) => Promise.reject(new Unreachable("The exam cannot be reached.", { cause })));
