// Calls of the gateway, and what the pages know together.

/** An answer that is an error: what the gateway says of it, and how to correct it. */
export class Problem extends Error {
  constructor(status, message, fix = "") {
    super(message);
    this.status = status;
    this.fix = fix;
  }
}

const SECONDS = 10;
const READS = 5; // of what a store does not answer at once, such as one that is being opened
const PAUSE = 1000; // ms between two reads

/** The JSON that a path answers; with a body it is posted. What is only read is asked for again while a store is busy. */
export async function call(path, body = undefined, options = {}, left = READS) {
  const sent = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(SECONDS * 1000), ...sent, ...options });
  } catch {
    throw new Problem(0, "The gateway does not answer.", "Check that `segue up` still runs. This page goes on by itself.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.status === 503 && body === undefined && left > 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    return call(path, body, options, left - 1);
  }
  if (!response.ok) throw new Problem(response.status, answer.error ?? `The gateway answered ${response.status}.`, answer.fix);
  return answer;
}

/** A path with a query; a list gives its name once for each value. */
export function query(path, values) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined) parameters.append(name, one);
  }
  return `${path}?${parameters}`;
}

const KEPT = "segue.player";
const NEW_UNTIL = 5; // entries of a history; until then the picks of a new listener say more

/** What all pages know. `listener` is {id, picks, market}; picks are null for a listener with a history. */
export const shared = Object.assign(new EventTarget(), {
  settings: null,
  listener: null,
  explore: 0.1,
  speed: 1,
  ...JSON.parse(localStorage.getItem(KEPT) ?? "{}"),
});

/** Change what all pages know, keep it for the next visit, and tell who listens to `name`. */
export function change(name, value) {
  shared[name] = value;
  const { listener, explore, speed } = shared;
  localStorage.setItem(KEPT, JSON.stringify({ listener, explore, speed }));
  shared.dispatchEvent(new Event(name));
}

/** The fields of a request that say who asks. */
export function asking() {
  const { id, picks, market } = shared.listener;
  return { user_id: id, ...(picks ? { picks, ...(market ? { market } : {}) } : {}) };
}

/** Read the listener's profile; once a new listener has a history of some length, it replaces the picks. */
export async function profile() {
  const found = await call(query("/v1/player/listener", { user_id: shared.listener.id }));
  if (shared.listener.picks && found.history.length >= NEW_UNTIL) change("listener", { id: found.user_id, picks: null });
  return found;
}

const EVERY = 3000;

/** Watch what the gateway stands on: `shared.health` is {reachable, down}. A change is told as `health`, a look as `look`. */
export async function watch() {
  let health = { reachable: true, down: [] };
  try {
    health.down = (await call("/readyz")).down;
  } catch {
    health = { reachable: false, down: [] };
  }
  if (JSON.stringify(health) !== JSON.stringify(shared.health)) {
    shared.health = health;
    shared.dispatchEvent(new Event("health"));
  }
  shared.dispatchEvent(new Event("look"));
  setTimeout(watch, EVERY);
}
