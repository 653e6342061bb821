// The listener: taste and recent history, the list to choose another from, and the way in for a new one.

import { call, profile, query, shared } from "./api.js";
import { byline, cover } from "./card.js";
import { dialog, failure, h, icon, level, notice, text } from "./dom.js";
import { listenAs } from "./playback.js";
import { day, moment, percent } from "./words.js";

const ACTIONS = { play: "Played", skip: "Skipped", like: "Liked", add: "Added" };
const TYPING = 200; // ms without a key before the list is asked for

class Listener extends HTMLElement {
  connectedCallback() {
    this.body = h("div", { "aria-busy": "true" }, h("p.quiet", {}, "Reading the history…"));
    this.append(h("div.head", {}, h("h1", {}, text("bdi", shared.listener.id))), this.body);
    this.load();
  }

  async load() {
    try {
      const found = await profile();
      this.body.replaceChildren(...(found.history.length ? this.known(found) : [this.unknown()]));
    } catch (problem) {
      this.body.replaceChildren(failure(problem, () => this.load()));
    }
    this.body.removeAttribute("aria-busy");
  }

  known({ country, history, taste, types }) {
    const rows = history.map(({ item, action, at }) =>
      h("li.row", {}, cover(item), h("div", {}, text("h3", item.title), text("p", byline(item))), h("p.what", {}, h("span", { class: `mark ${action}` }, ACTIONS[action]), h("time", { datetime: at }, moment(at)))),
    );
    return [
      country && h("p.reason", {}, `Listens in ${country}`),
      h("div.tastes", {}, shares("Genres", taste), shares("Types", types)),
      h("section", {}, h("h2", {}, "Recent history"), h("ol.rows", {}, rows)),
    ].filter(Boolean);
  }

  unknown() {
    const picked = shared.listener.picks?.length ?? 0;
    return notice("No history yet", `${picked} ${picked === 1 ? "pick stands" : "picks stand"} in for it until there are some plays.`, h("a.primary", { href: "#home" }, "Go to Home"));
  }
}

function shares(title, values) {
  const bars = values.map(({ name, share }) => [h("dt", {}, name), h("dd", {}, level(share), h("span.figure", {}, percent(share)))]);
  return h("section", {}, h("h2", {}, title), h("dl.scores", {}, bars));
}

/** Open the list of listeners. */
export async function chooseListener() {
  const list = h("ul.choices", { "aria-busy": "true" });
  const search = h("input", { type: "search", placeholder: "Find by id", "aria-label": "Find a listener by id", autocomplete: "off" });
  const fresh = h("button.primary", { type: "button" }, "New listener");
  const shown = dialog("Who listens?", h("div.search", {}, search, fresh), list);
  const choose = (id) => {
    shown.close();
    listenAs({ id, picks: null });
  };
  const load = async () => {
    const asked = search.value;
    try {
      const { listeners } = await call(query("/v1/player/listeners", { q: asked }));
      if (asked !== search.value) return;
      list.replaceChildren(...(listeners.length ? listeners.map((one) => choice(one, choose)) : [h("li.quiet", {}, "No listener has such an id.")]));
    } catch (problem) {
      list.replaceChildren(h("li", { role: "alert" }, `${problem.message} ${problem.fix}`));
    }
    list.removeAttribute("aria-busy");
  };
  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, TYPING);
  });
  fresh.addEventListener("click", () => {
    shown.close();
    newListener();
  });
  await load();
}

function choice({ user_id, country, genres, last_seen }, choose) {
  const says = genres.length ? `Likes ${genres.slice(0, 3).join(", ")}` : "No history";
  const when = last_seen ? `last seen ${day(last_seen)}` : "";
  return h(
    "li",
    {},
    h("button", { type: "button", "aria-current": user_id === shared.listener?.id ? "true" : null, onclick: () => choose(user_id) }, text("strong", user_id), h("span", {}, [says, country, when].filter(Boolean).join(" · "))),
  );
}

/** Open the picks of a new listener. */
export async function newListener() {
  const chosen = new Set();
  const begin = h("button.primary", { type: "button" }, "Start without picks");
  const list = h("ul.picks", { "aria-busy": "true" });
  const markets = shared.settings.markets.map((name) => h("option", { value: name }, name));
  const market = h("select", { "aria-label": "Market" }, h("option", { value: "" }, "All markets"), markets);
  const shown = dialog("What do you like?", h("p.quiet", {}, "Pick some items. The first page is made from them."), h("div.search", {}, market, begin), list);
  begin.addEventListener("click", () => {
    shown.close();
    listenAs({ id: `new-${crypto.randomUUID().slice(0, 8)}`, picks: [...chosen], market: market.value });
  });
  const pick = (item, button) => {
    if (!chosen.delete(item.item_id)) chosen.add(item.item_id);
    button.setAttribute("aria-pressed", chosen.has(item.item_id));
    begin.textContent = chosen.size ? `Start with ${chosen.size}` : "Start without picks";
  };
  const load = async () => {
    try {
      const { items } = await call(query("/v1/player/picks", { market: market.value || null }));
      list.replaceChildren(
        ...items.map((item) => {
          const button = h("button.pick", { type: "button", "aria-pressed": chosen.has(item.item_id) ? "true" : "false" }, cover(item), h("span.pick-mark", {}, icon("check")), text("strong", item.title), text("span", item.creator));
          button.addEventListener("click", () => pick(item, button));
          return h("li", {}, button);
        }),
      );
    } catch (problem) {
      list.replaceChildren(h("li", { role: "alert" }, `${problem.message} ${problem.fix}`));
    }
    list.removeAttribute("aria-busy");
  };
  market.addEventListener("change", load);
  await load();
}

customElements.define("segue-listener", Listener);
