// An item on a page: its cover, title, creator, type and marks.

import { h, icon, iconButton, text } from "./dom.js";
import { playback } from "./playback.js";
import { showWhy } from "./why.js";

const PLAIN = "music"; // a type that needs no mark where most items are of it

/** The cover of an item. */
export const cover = (item) => h("segue-cover", { item: item.item_id, type: item.content_type });

/** The marks of an item: its type, whether it is new, and whether it is shown to learn about it. */
export function marks(item) {
  return h(
    "p.marks",
    {},
    item.content_type && item.content_type !== PLAIN && h("span.mark", {}, item.content_type),
    item.new && h("span.mark.new", {}, "New"),
    item.explored && h("span.mark.explored", { title: "Few have played it yet: it is shown to learn about it" }, "Explore"),
  );
}

/** Creator and genres in a line. */
export const byline = (item) => [item.creator, item.genres.join(", ")].filter(Boolean).join(" · ");

/** A card that plays its item. */
export function card(item) {
  const label = item.creator ? `Play ${item.title} by ${item.creator}` : `Play ${item.title}`;
  return h(
    "article.card",
    { "data-item": item.item_id },
    h("button.art", { type: "button", "aria-label": label, onclick: () => playback.start(item) }, cover(item), h("span.art-play", {}, icon("play"))),
    h("div.card-text", {}, text("h3", item.title), text("p", byline(item)), marks(item)),
    iconButton("why", `Why ${item.title}?`, () => showWhy(item), { class: "icon-button card-why" }),
  );
}

/** Cards that are not there yet, of the same size. */
export function ghosts(count) {
  return Array.from({ length: count }, () =>
    h("li", { "aria-hidden": "true" }, h("div.card.ghost", {}, h("div.art"), h("div.card-text", {}, h("h3"), h("p"), h("p.marks")))),
  );
}
