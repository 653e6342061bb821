// Events on their way to the journal: sent in batches, kept until the gateway has them. Each counts once by its id.

import { call, shared } from "./api.js";
import { toast } from "./dom.js";

const BATCH = 100;
const RETRY = 3000;

let waiting = [];
let sending = null;
let timer = 0;

/** Add an event of the listener in a session: what was done with an item that a request showed. */
export function add(sessionId, action, item, ms = null) {
  if (shared.settings.read_only) return;
  waiting.push({
    event_id: crypto.randomUUID(),
    request_id: item.request_id,
    user_id: shared.listener.id,
    session_id: sessionId,
    item_id: item.item_id,
    action,
    ...(ms === null ? {} : { ms_played: Math.round(ms) }),
    ts: new Date().toISOString(),
  });
}

/** Send what waits. It resolves once all of it is durable, or once the gateway did not take it. */
export function flush(options = {}) {
  sending ??= send(options).finally(() => (sending = null));
  return sending;
}

async function send(options) {
  clearTimeout(timer);
  let alone = 0; // events of a batch that was refused: one of them is wrong, so each is sent by itself
  while (waiting.length) {
    const batch = waiting.slice(0, alone ? 1 : BATCH);
    try {
      await call("/v1/events", { events: batch }, options);
    } catch (problem) {
      if (problem.status === 0 || problem.status === 408 || problem.status >= 500) {
        timer = setTimeout(flush, RETRY);
        return;
      }
      if (batch.length > 1) {
        alone = batch.length;
        continue;
      }
      toast(`Not recorded: ${problem.message}`);
    }
    waiting = waiting.filter((event) => !batch.includes(event));
    alone = Math.max(0, alone - 1);
  }
}
