// The WebSocket of one delivery: resumes by stream number, reconnects with full-jitter back-off.

const FIRST_SECONDS = 0.5;
const LONGEST_SECONDS = 20;
const CLOSE_UNAUTHENTICATED = 4401;
const CLOSE_FORBIDDEN = 4403;

/** Full jitter: anywhere between nothing and a limit that doubles, so that a crowd spreads out. */
export function backoffSeconds(attempt, random) {
  return random * Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** attempt);
}

export class LiveSocket {
  #socket = null;
  #attempt = 0;
  #retry = null;
  #watchdog = null;
  #patienceMs = 40_000;
  #stopped = false;
  #handlers;
  #deliveryId;

  /**
   * handlers: onMessage(message); onState(state, seconds) with state connecting | connected |
   * waiting | signed_out | forbidden; resumeFrom() gives the last stream number or null.
   */
  constructor(deliveryId, handlers) {
    this.#deliveryId = deliveryId;
    this.#handlers = handlers;
    window.addEventListener("online", () => this.#retry && this.#connect());
    window.addEventListener("pagehide", () => this.stop());
  }

  start() {
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#watchdog);
    this.#socket?.close();
  }

  /** Asks for everything anew; for a page that noticed a gap. */
  resync() {
    this.#send({ type: "subscribe", delivery_id: this.#deliveryId });
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#handlers.onState("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/ws`);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#heard(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.#socket && this.#closed(event.code);
    this.#watch();
  }

  #opened() {
    const resumeFrom = this.#handlers.resumeFrom();
    const subscribe = { type: "subscribe", delivery_id: this.#deliveryId };
    this.#send(resumeFrom === null ? subscribe : { ...subscribe, resume_from: resumeFrom });
  }

  #heard(message) {
    this.#watch();
    if (message.type === "hello") {
      this.#attempt = 0;
      this.#patienceMs = message.ping_seconds * 2500;
      this.#handlers.onState("connected");
    }
    if (message.type === "ping") this.#send({ type: "pong" });
    this.#handlers.onMessage(message);
  }

  #closed(code) {
    clearTimeout(this.#watchdog);
    if (this.#stopped) return;
    if (code === CLOSE_UNAUTHENTICATED) return this.#handlers.onState("signed_out");
    if (code === CLOSE_FORBIDDEN) return this.#handlers.onState("forbidden");
    const seconds = backoffSeconds(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#handlers.onState("waiting", seconds);
    this.#retry = setTimeout(() => this.#connect(), seconds * 1000);
  }

  /** A connection that died silently closes by itself once the server's pings stay away. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#socket?.close(), this.#patienceMs);
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
