// What the pages know of the loop: the last overview, and the traffic since this page was opened.

import { call } from "../player/api.js";

const EVERY = 3000; // ms between two looks
const KEPT = 100; // looks, for the chart of traffic

/** The overview as the server says it; `problem` is why it could not be read. A look is told as `look`. */
export const loop = Object.assign(new EventTarget(), { now: null, problem: null, traffic: [] });

/** Read the overview once. */
export async function look() {
  try {
    loop.now = await call("/v1/operator/overview");
    loop.problem = null;
    if (loop.now.gateway) loop.traffic = [...loop.traffic, { at: performance.now(), pages: loop.now.gateway.pages }].slice(-KEPT);
  } catch (problem) {
    loop.problem = problem;
  }
  loop.dispatchEvent(new Event("look"));
}

/** Look again and again. */
export async function watch() {
  await look();
  setTimeout(watch, EVERY);
}

/** Pages decided in a second, for each pair of looks. */
export function rates() {
  return loop.traffic.slice(1).map((one, i) => (1000 * (one.pages - loop.traffic[i].pages)) / (one.at - loop.traffic[i].at));
}

/** The version of a model's candidate; undefined where the canary names what is stable. */
export const candidate = ({ stable, canary }) => (canary === stable ? undefined : canary);
