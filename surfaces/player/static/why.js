// Why an item was shown, in words: how it was found, what in the history speaks for it, and the models' scores.

import { call, query, shared } from "./api.js";
import { dialog, h, level, text } from "./dom.js";
import { moment, percent } from "./words.js";

/** Open the dialog for an item that a request showed. */
export async function showWhy(item) {
  const body = h("div.why", { "aria-busy": "true" }, h("p.quiet", {}, "Reading the decision…"));
  dialog("Why this?", body);
  const { id, picks } = shared.listener;
  try {
    const asked = { user_id: id, request_id: item.request_id, item_id: item.item_id, pick: picks ?? [] };
    body.replaceChildren(...explained(await call(query("/v1/player/why", asked)), Boolean(picks)));
  } catch (problem) {
    body.replaceChildren(h("p", { role: "alert" }, `${problem.message} ${problem.fix}`));
  }
  body.removeAttribute("aria-busy");
}

function explained(why, isNew) {
  const { item } = why;
  const versions = Object.entries(why.versions).map(([model, version]) => `${model} ${version}`).join(", ");
  return [
    h("div.why-item", {}, h("segue-cover", { item: item.item_id, type: item.content_type }), h("div", {}, text("h3", item.title), text("p.quiet", item.creator))),
    h("section", {}, h("h3", {}, "How it was found"), h("ul", {}, why.sentences.map((sentence) => h("li", {}, sentence)))),
    h(
      "section",
      {},
      h("h3", {}, isNew ? "In your picks and plays" : "In your history"),
      why.evidence.length
        ? h("ul", {}, why.evidence.map((sentence) => text("li", sentence, { title: null })))
        : h("p.quiet", {}, "Nothing of it: the item is shown for other reasons."),
    ),
    why.scores.length && h("section", {}, h("h3", {}, "What the models say"), h("dl.scores", {}, why.scores.flatMap(score))),
    h("p.quiet.small", {}, `Decided ${moment(why.at)} by ${why.policy}, which shows the item here with a chance of ${percent(why.chance)}.${versions ? ` Models: ${versions}.` : ""}`),
  ].filter(Boolean);
}

function score({ name, value, probability }) {
  return [h("dt", {}, name), h("dd", {}, probability !== null && level(probability), h("span.figure", {}, probability === null ? value.toFixed(2) : percent(probability)))];
}
