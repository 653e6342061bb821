// What plays: no sound, but a clock that runs through each item. Leaving an item tells the journal how it ended.

import { asking, call, change, shared } from "./api.js";
import { toast } from "./dom.js";
import * as outbox from "./outbox.js";

const TICK = 250;
const UNKNOWN_LENGTH = 180_000; // ms of an item whose length the catalogue does not have
const COUNTS = 30_000; // ms after which leaving an item for another is a play, or half of a shorter item

class Playback extends EventTarget {
  constructor() {
    super();
    this.reset();
    setInterval(() => this.tick(), TICK);
    addEventListener("pagehide", () => {
      if (this.counts) this.leave("play");
      outbox.flush({ keepalive: true });
    });
  }

  /** Begin a session of its own, with nothing playing. */
  reset() {
    Object.assign(this, { sessionId: crypto.randomUUID(), current: null, position: 0, playing: false, busy: false });
    Object.assign(this, { queue: [], arrived: new Set(), changed: "", level: 0, chips: [], liked: new Set(), past: [] });
    this.tell();
  }

  tell() {
    this.dispatchEvent(new Event("change"));
  }

  get length() {
    return this.current?.duration_ms || UNKNOWN_LENGTH;
  }

  get counts() {
    return this.current && this.position >= Math.min(COUNTS, this.length / 2);
  }

  tick() {
    const now = performance.now();
    const passed = Math.min(now - (this.ticked ?? now), 2000);
    this.ticked = now;
    if (!this.playing || this.busy) return;
    this.position = Math.min(this.position + passed * shared.speed, this.length);
    if (this.position >= this.length) this.advance("play");
    else this.dispatchEvent(new Event("time"));
  }

  /** Play an item that a page showed. */
  async start(item) {
    if (this.current && this.current.item_id !== item.item_id) this.leave(this.counts ? "play" : "skip");
    this.show(item);
    await this.refresh();
  }

  show(item) {
    Object.assign(this, { current: item, position: 0, playing: Boolean(item) });
    this.queue = this.queue.filter((one) => one.item_id !== item?.item_id);
    this.tell();
  }

  toggle() {
    this.playing = !this.playing;
    this.tell();
  }

  seek(ms) {
    this.position = Math.min(ms, this.length);
    this.dispatchEvent(new Event("time"));
  }

  /** The event with which the current item ends. */
  leave(action) {
    outbox.add(this.sessionId, action, this.current, this.position);
    this.remember();
  }

  /** Keep what an undo brings back. The gateway keeps the same steps of the session. */
  remember() {
    const { current, position, liked, chips } = this;
    if (!shared.settings.read_only) this.past = [...this.past, { current, position, liked, chips }].slice(-20);
  }

  /** Go on to the next item; after a skip all that follows is chosen anew. */
  async advance(action) {
    if (!this.current || this.busy) return;
    this.leave(action);
    const follows = this.queue[0] ?? null;
    if (action === "skip" && !shared.settings.read_only) await this.refresh({}, true);
    else {
      this.show(follows);
      await this.refresh();
    }
  }

  skip() {
    return this.advance("skip");
  }

  async like() {
    outbox.add(this.sessionId, "like", this.current);
    this.remember();
    this.liked = new Set([...this.liked, this.current.item_id]);
    this.tell();
    await this.refresh();
  }

  async dislike() {
    this.remember();
    await this.refresh({ dislikes: [this.current.item_id] }, true);
  }

  async steer(chips) {
    this.remember();
    this.chips = chips;
    await this.refresh({ chips });
  }

  async undo() {
    const before = this.past.at(-1);
    if (!before || this.busy) return;
    this.past = this.past.slice(0, -1);
    const here = this.current;
    Object.assign(this, { liked: before.liked, chips: before.chips });
    if (before.current?.item_id !== here?.item_id) Object.assign(this, { current: before.current, position: before.position });
    await this.refresh({ undo: true });
  }

  /** Ask what plays next. With `onward` the first answer plays now. */
  async refresh(steps = {}, onward = false) {
    this.busy = onward;
    this.tell();
    const session = this.sessionId;
    await outbox.flush();
    try {
      const answer = await call(`/v1/sessions/${session}/next`, { ...asking(), k: 5, ...steps });
      if (session === this.sessionId) this.take(answer, onward);
    } catch (problem) {
      toast(problem.message);
      if (onward && this.queue.length) this.show(this.queue[0]);
    } finally {
      this.busy = false;
      this.tell();
    }
  }

  take(answer, onward) {
    const items = [...answer.items, ...answer.queue].map((item) => ({ ...item, request_id: answer.request_id }));
    const had = new Set(this.queue.map((item) => item.item_id));
    Object.assign(this, { changed: answer.changed, level: answer.level, degraded: answer.degraded });
    if (onward && items.length) Object.assign(this, { current: items[0], position: 0, playing: true });
    this.queue = items.filter((item) => item.item_id !== this.current?.item_id);
    this.arrived = new Set(had.size ? this.queue.filter((item) => !had.has(item.item_id)).map((item) => item.item_id) : []);
  }
}

export const playback = new Playback();

export const SPEEDS = [1, 10, 60];

/** Play at another speed: seconds of an item in a second. */
export function setSpeed(speed) {
  change("speed", speed);
  playback.tell();
}

/** Let another listener listen, in a session of its own. */
export function listenAs(listener) {
  if (playback.counts) playback.leave("play");
  playback.reset();
  change("listener", listener);
}
