// The REST API: JSON in, JSON out, and every refusal as a Problem whose words can be shown.

export class Problem extends Error {
  /** `errors`: [{row|path|field, message}] where the API names places. */
  constructor({ status = 0, code = "unknown", title, detail = "", errors = [] }) {
    super(detail ? `${title}. ${detail}` : title);
    Object.assign(this, { status, code, title, detail, errors });
  }
}

const TIMEOUT_MS = 15_000;
/** For imports, where the coordinator hashes codes by the thousand. */
export const LONG_TIMEOUT_MS = 180_000;

/** Who is signed in, as the page's shell says: {name, csrf_token, may}. */
export const viewer = readViewer();

/** Whether the viewer holds a permission, for one exam or (examId absent) for any. */
export function may(permission, examId) {
  const exams = viewer.may[permission];
  if (exams === undefined) return false;
  return exams === null || examId === undefined || exams.includes(examId);
}

/** Whether the viewer holds a permission for all exams. */
export const mayEverywhere = (permission) => viewer.may[permission] === null;

export const get = (path, options) => request("GET", path, undefined, options);
export const post = (path, body = {}, options) => request("POST", path, body, options);
export const put = (path, body) => request("PUT", path, body);
export const patch = (path, body) => request("PATCH", path, body);

/** Every item of a paged list, `most` at the utmost. */
export async function all(path, most = 5000) {
  const items = [];
  let after = null;
  do {
    const page = await get(withQuery(path, { limit: 1000, after }));
    items.push(...page.items);
    after = page.next;
  } while (after !== null && after !== undefined && items.length < most);
  return items;
}

export function withQuery(path, values) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined) query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}${path.includes("?") ? "&" : "?"}${text}` : path;
}

async function request(method, path, body, { signInOn401 = true, timeoutMs = TIMEOUT_MS } = {}) {
  const response = await reach(method, path, body, timeoutMs);
  if (response.ok) return response.status === 204 ? null : await response.json();
  const problem = await problemOf(response);
  if (response.status === 401 && signInOn401) goToSignIn();
  throw problem;
}

async function reach(method, path, body, timeoutMs) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && viewer.csrf_token) headers["X-CSRF-Token"] = viewer.csrf_token;
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    throw new Problem({
      code: "coordinator_unreachable",
      title: "The coordinator does not answer",
      detail: "The exam itself goes on without it. Check your network; this page tries again.",
    });
  }
}

async function problemOf(response) {
  const fallback = { status: response.status, title: `The coordinator answered ${response.status}` };
  try {
    return new Problem({ ...fallback, ...(await response.json()), status: response.status });
  } catch {
    return new Problem(fallback);
  }
}

function goToSignIn() {
  const next = location.pathname + location.search;
  location.assign(withQuery("/sign-in", { next }));
}

function readViewer() {
  const element = document.getElementById("viewer");
  return element ? JSON.parse(element.textContent) : { name: "", csrf_token: "", may: {} };
}
