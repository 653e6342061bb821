// Now Playing: the deck at the bottom of every page, and the queue with the wishes that steer it.

import { shared } from "./api.js";
import { cover } from "./card.js";
import { clean, h, iconButton, text } from "./dom.js";
import { playback, setSpeed, SPEEDS } from "./playback.js";
import { showWhy } from "./why.js";
import { clock } from "./words.js";

const ARROW = 1000; // ms that an arrow key moves the bar

class Deck extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Now playing");
    this.item = h("div.deck-item");
    this.play = iconButton("play", "Play", () => playback.toggle(), { class: "icon-button big" });
    this.skip = iconButton("skip", "Skip", () => playback.skip());
    this.like = iconButton("like", "Like", () => playback.like());
    this.dislike = iconButton("dislike", "Never in this session", () => playback.dislike());
    this.undo = iconButton("undo", "Undo the last action", () => playback.undo());
    this.why = iconButton("why", "Why does this play?", () => showWhy(playback.current));
    this.bar = h("input.seek", { type: "range", min: 0, max: 1, value: 0, step: ARROW, "aria-label": "Position" });
    this.bar.addEventListener("input", () => playback.seek(Number(this.bar.value)));
    this.at = h("span.time", { "aria-hidden": "true" });
    this.end = h("span.time", { "aria-hidden": "true" });
    const speeds = SPEEDS.map((speed) => h("option", { value: speed, selected: speed === shared.speed }, `${speed}×`));
    this.speed = h("select", { "aria-label": "Speed", title: "Speed" }, speeds);
    this.speed.addEventListener("change", () => setSpeed(Number(this.speed.value)));
    const open = iconButton("queue", "Queue", () => document.body.classList.toggle("queue-open"), { class: "icon-button queue-button" });
    this.append(
      this.item,
      h("div.deck-main", {}, h("div.buttons", {}, this.dislike, this.undo, this.play, this.skip, this.like), h("div.progress", {}, this.at, this.bar, this.end)),
      h("div.deck-more", {}, this.why, this.speed, open),
    );
    playback.addEventListener("change", () => this.render());
    playback.addEventListener("time", () => this.time());
    this.render();
  }

  render() {
    const { current, playing, liked, past, busy } = playback;
    const key = current?.item_id ?? "";
    if (this.shown !== key) {
      this.shown = key;
      this.item.replaceChildren(...(current ? [cover(current), h("div", {}, text("strong", current.title), text("span", current.creator))] : [h("div.no-cover"), h("p.quiet", {}, "Choose something to play")]));
    }
    const label = playing ? "Pause" : "Play";
    if (this.play.getAttribute("aria-label") !== label) {
      const other = iconButton(playing ? "pause" : "play", label);
      this.play.replaceChildren(...other.childNodes);
      this.play.setAttribute("aria-label", label);
      this.play.title = label;
    }
    for (const button of [this.play, this.bar, this.why]) button.disabled = !current;
    for (const button of [this.skip, this.dislike]) button.disabled = !current || busy;
    this.like.disabled = !current || shared.settings?.read_only;
    this.like.setAttribute("aria-pressed", liked.has(key));
    this.undo.disabled = !past.length || busy;
    this.bar.max = playback.length;
    this.time();
  }

  time() {
    const { position, length, current } = playback;
    this.bar.value = position;
    this.bar.style.setProperty("--done", position / length);
    this.bar.setAttribute("aria-valuetext", `${clock(position)} of ${clock(length)}`);
    this.at.textContent = current ? clock(position) : "–:––";
    this.end.textContent = current ? clock(length) : "–:––";
  }
}

class Queue extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "complementary");
    this.setAttribute("aria-label", "Queue");
    this.words = h("div.changed", { role: "status" });
    this.wishes = h("div.chips", { role: "group", "aria-label": "Wishes for what plays next" });
    this.list = h("ol.rows");
    this.append(h("div.queue-head", {}, h("h2", {}, "Up next"), iconButton("close", "Close the queue", () => document.body.classList.remove("queue-open"), { class: "icon-button queue-close" })), this.wishes, this.words, this.list);
    playback.addEventListener("change", () => this.render());
    shared.addEventListener("settings", () => this.renderChips());
    this.render();
  }

  render() {
    const { queue, arrived, changed, current, level } = playback;
    const news = arrived.size ? `${arrived.size} of ${queue.length} ${arrived.size === 1 ? "is" : "are"} new in the queue.` : "";
    const why = [level ? "The models do not answer in full, so the queue is simpler than usual." : "", changed, news].filter(Boolean);
    const said = current ? why.join(" ") || "Chosen to follow what plays." : "What plays next follows what you do: play, skip or like something.";
    if (this.words.textContent !== clean(said)) this.words.textContent = clean(said);
    const key = JSON.stringify([queue.map((item) => item.item_id), [...arrived]]);
    if (this.key !== key) {
      this.key = key;
      this.list.replaceChildren(...queue.map((item) => this.row(item, arrived.has(item.item_id))));
    }
    this.renderChips();
  }

  row(item, arrived) {
    const label = `Play ${item.title}${item.creator ? ` by ${item.creator}` : ""}`;
    return h(
      "li",
      { class: arrived ? "row arrived" : "row", "data-item": item.item_id },
      h("button.row-play", { type: "button", "aria-label": label, onclick: () => playback.start(item) }, cover(item), h("span.row-text", {}, text("strong", item.title), text("span", item.creator))),
      arrived && h("span.mark.new", {}, "New here"),
      iconButton("why", `Why ${item.title}?`, () => showWhy(item)),
    );
  }

  renderChips() {
    const { settings } = shared;
    const key = JSON.stringify([playback.chips, Boolean(settings), Boolean(playback.current)]);
    if (!settings || this.chipsKey === key) return;
    this.chipsKey = key;
    const add = (kind, name, values) => {
      const options = values.map((value) => h("option", { value }, value));
      const select = h("select.chip", { "aria-label": `Add a ${name}`, disabled: !playback.current }, h("option", { value: "" }, `+ ${name}`), options);
      select.addEventListener("change", () => playback.steer([...playback.chips, { kind, value: select.value }]));
      return values.length ? select : null;
    };
    const active = playback.chips.map((chip) =>
      h("button.chip", { type: "button", "aria-pressed": "true", title: "Take this wish back", onclick: () => playback.steer(playback.chips.filter((one) => one !== chip)) }, chip.value || "something new", " ×"),
    );
    const novel = playback.chips.some(({ kind }) => kind === "something_new")
      ? null
      : h("button.chip", { type: "button", disabled: !playback.current, onclick: () => playback.steer([...playback.chips, { kind: "something_new", value: "" }]) }, "+ something new");
    const focused = this.wishes.contains(document.activeElement);
    this.wishes.replaceChildren(...[...active, add("mood", "mood", settings.moods), add("genre", "genre", settings.genres), add("content_type", "type", settings.types), novel].filter(Boolean));
    if (focused) this.wishes.querySelector("button, select")?.focus();
  }
}

customElements.define("segue-deck", Deck);
customElements.define("segue-queue", Queue);
