// Home: shelves with reasons, and the share of places that may be explored.

import { asking, call, change, query, shared } from "./api.js";
import { card, ghosts } from "./card.js";
import { failure, h, notice, text } from "./dom.js";
import * as outbox from "./outbox.js";
import { playback } from "./playback.js";
import { day, greeting, percent } from "./words.js";

const SEEN = 0.6; // of a card in the viewport
const FLUSH = 2000; // ms between two batches of impressions
const PATIENCE = 5000; // ms between two loads of a page that the models had no part in
const DEGRADED = {
  1: "The ranking model does not answer. Items stand in the order in which they were found.",
  2: "The models do not answer. This is your last page.",
  3: "The models do not answer. These items are popular.",
};
let onScreen = null;

/** Each card that was seen is an impression, once a page. */
const seen = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      outbox.add(playback.sessionId, "impression", target.item);
    }
  },
  { threshold: SEEN },
);
setInterval(() => outbox.flush(), FLUSH);

class Home extends HTMLElement {
  connectedCallback() {
    onScreen = this;
    const dial = h("input", { type: "range", id: "explore", min: 0, max: 50, step: 5, value: shared.explore * 100 });
    const told = h("output", { for: "explore" }, percent(shared.explore));
    dial.addEventListener("input", () => (told.value = percent(dial.value / 100)));
    dial.addEventListener("change", () => {
      change("explore", dial.value / 100);
      this.load();
    });
    const help = "The most places that may go to items which few have played yet";
    this.shelves = h("div");
    this.append(
      h(
        "div.head",
        {},
        h("h1", {}, `${greeting()}, `, text("bdi", shared.listener.picks ? "new listener" : shared.listener.id)),
        h("div.dial", { title: help }, h("label", { for: "explore" }, "Explore"), dial, told),
      ),
      this.shelves,
    );
    this.load();
  }

  disconnectedCallback() {
    if (onScreen === this) onScreen = null;
  }

  async load() {
    this.asked = performance.now();
    this.shelves.setAttribute("aria-busy", "true");
    if (!this.answer) this.shelves.replaceChildren(...[0, 1, 2].map(() => h("section.shelf", {}, h("h2.ghost"), h("p.reason.ghost"), h("ul", {}, ghosts(7)))));
    try {
      this.answer = await call("/v1/home", { ...asking(), explore: shared.explore, session_id: playback.sessionId });
      this.render();
    } catch (problem) {
      this.shelves.replaceChildren(failure(problem, () => this.load()));
    }
    this.shelves.removeAttribute("aria-busy");
  }

  /** Whether the models had no part in what is shown. */
  get isPoor() {
    return !this.answer || this.answer.level > 1;
  }

  render() {
    const { shelves, level, request_id } = this.answer;
    const shown = shelves.filter((shelf) => shelf.items.length);
    if (!shown.length) {
      this.shelves.replaceChildren(notice("There is nothing to show", "The catalogue has no item for this listener."));
      return;
    }
    const number = { value: 0 };
    this.shelves.replaceChildren(
      level ? h("p.degraded", {}, DEGRADED[level], h("button.again", { type: "button", onclick: () => this.load() }, "Load again")) : "",
      ...shown.map((shelf) => this.shelf(shelf, request_id, `shelf-${number.value++}`)),
    );
  }

  shelf(shelf, requestId, id) {
    const items = shelf.items.map((item) => {
      const one = h("li", {}, card({ ...item, request_id: requestId }));
      seen.observe(Object.assign(one, { item: { item_id: item.item_id, request_id: requestId } }));
      return one;
    });
    const list = h("ul", { tabindex: "0", "aria-labelledby": id }, items);
    return h("section.shelf", { "aria-labelledby": id }, text("h2", shelf.title, { id }), text("p.reason", shelf.reason), list);
  }
}

class NewReleases extends HTMLElement {
  connectedCallback() {
    this.list = h("div", { "aria-busy": "true" }, h("ul.grid", {}, ghosts(8)));
    this.append(h("div.head", {}, h("h1", {}, "New releases")), h("p.reason", {}, "What came out in the last two weeks, the best fit first."), this.list);
    this.load();
  }

  async load() {
    const { id, picks } = shared.listener;
    this.list.removeAttribute("aria-busy");
    if (picks) {
      this.list.replaceChildren(notice("Play something first", "New releases are chosen by a listener's history. A new listener has none yet."));
      return;
    }
    try {
      const { items, request_id } = await call(query("/v1/new-releases", { user_id: id }));
      const cards = items.map((item) => h("li", {}, card({ ...item, request_id })));
      const { newest_release: newest } = shared.settings;
      const since = newest ? `The newest item of this catalogue came out on ${day(`${newest}T12:00`)}` : "This catalogue has no release dates";
      const none = notice("Nothing came out in the last two weeks", `${since}. New items come with segue data import, or with segue models add-items.`, h("a.primary", { href: "#home" }, "Go to Home"));
      this.list.replaceChildren(items.length ? h("ul.grid", {}, cards) : none);
    } catch (problem) {
      this.list.replaceChildren(failure(problem, () => this.load()));
    }
  }
}

/**
 * Load Home again once what it stands on is back, without a reload of the page; but not again and again, and not while
 * the keyboard is on a card, which would lose the focus.
 */
shared.addEventListener("look", () => {
  const well = shared.health.reachable && !shared.health.down.length;
  const isUsed = onScreen?.shelves.querySelector(":focus-visible");
  if (well && onScreen?.isPoor && !isUsed && performance.now() - onScreen.asked > PATIENCE) onScreen.load();
});

customElements.define("segue-home", Home);
customElements.define("segue-new", NewReleases);
