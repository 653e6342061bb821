// Models: what is labelled, and one model with its lineage, its figures over versions, its card and the decisions on it.

import { call } from "../player/api.js";
import { h, notice, text } from "../player/dom.js";
import { day, moment } from "../player/words.js";
import { promote, rollBack } from "./act.js";
import { line } from "./chart.js";
import { DetailPage, Page, facts, figure, head, mark, section, table } from "./page.js";
import { candidate, loop } from "./state.js";

// The figures that are drawn, by the end of their names; the table has all of them.
const DRAWN = ["recall_at_10", "recall_at_100", "ndcg_at_10", "play.auc", "play.log_loss", "skip.auc"];

export class ModelsPage extends Page {
  shows() {
    return loop.now.served;
  }

  draw() {
    const { served } = loop.now;
    if (!served) return [head("Models"), notice("No model is pushed yet", "A training that passes every gate pushes its models.")];
    const canary = Object.values(served).some(candidate);
    const rows = Object.entries(served).map(([model, labels]) => h("li", {}, h("a.entry", { href: `#model/${model}` }, h("strong", {}, model), h("span.marks", {}, labelMarks(labels)))));
    return [
      head("Models", canary && promote(), rollBack()),
      h("p.reason", {}, "Callers ask for stable. The labels of all models move together."),
      h("ul.entries", {}, rows),
    ];
  }
}

const labelMarks = (labels) => Object.entries(labels).filter(([label]) => label !== "canary" || candidate(labels)).map(([label, version]) => mark(`${label} ${version}`, label === "stable" ? "good" : "warn"));

export class ModelPage extends DetailPage {
  stamp() {
    return loop.now.served?.[this.subject] ?? null;
  }

  read() {
    return call(`/v1/operator/models/${encodeURIComponent(this.subject)}`);
  }

  draw() {
    const { model, versions, decisions } = this.value;
    const newestFirst = [...versions].reverse();
    return [
      head(model, rollBack()),
      h("ul.versions", {}, newestFirst.map(version)),
      charts(versions),
      decisions.length > 0 && section("Decisions", h("ul.entries", {}, decisions.map(decision))),
      card(newestFirst[0]),
    ];
  }
}

function version({ version, labels, pushed, whole, faults, lineage }) {
  const { dataset, split, run, sha256 } = lineage;
  const steps = [
    dataset && { name: "Data", said: split ? `${dataset}, ${day(split.start)} to ${day(split.end)}` : dataset, small: sha256 && `log ${sha256.slice(0, 12)}` },
    run && { name: "Run", said: h("a", { href: `#run/${run}` }, run), small: split && `trained to ${day(split.train_end)}` },
    { name: "Version", said: String(version), small: pushed ? `pushed ${moment(pushed)}` : "no push wrote it" },
    { name: "Label", said: labels.length ? h("span.marks", {}, labels.map((label) => mark(label))) : "none", small: whole ? "files whole" : faults[0] },
  ].filter(Boolean);
  return h(
    "li.version",
    {},
    h("h2", {}, `Version ${version}`),
    h("ol.lineage", { "aria-label": `Lineage of version ${version}` }, steps.map(({ name, said, small }) => h("li", {}, h("span.box-title", {}, name), said instanceof Node ? said : text("strong", said), small && text("span.quiet.small", small)))),
    whole && !labels.includes("stable") && h("p.actions", {}, promote(version, `Make version ${version} stable`)),
  );
}

function charts(versions) {
  const judged = versions.filter(({ figures }) => Object.keys(figures).length);
  if (!judged.length) return section("Figures", h("p.quiet", {}, "The runs of these versions left no evaluation in this home."));
  const names = [...new Set(judged.flatMap(({ figures }) => Object.keys(figures)))].sort();
  const drawn = DRAWN.filter((name) => names.includes(name)).map((name) => {
    const points = judged.filter(({ figures }) => name in figures).map(({ version, figures, labels }) => ({ label: `v${version}`, value: figures[name], tone: labels.includes("stable") ? "good" : "" }));
    return h("div", {}, h("h3", {}, name), line({ title: name, points, format: figure }));
  });
  const rows = names.map((name) => [name, ...judged.map(({ figures }) => figures[name] ?? "")]);
  return section(
    "Figures on held-out time",
    h("div.columns", {}, drawn),
    h("details", {}, h("summary", {}, "All figures"), table("All figures", ["figure", ...judged.map(({ version }) => `version ${version}`)], rows)),
  );
}

function decision({ at, by, action, label, versions, why }) {
  const moved = [...new Set(Object.values(versions))].map((version) => (version === null ? "none" : version)).join(", ");
  return h("li.entry", {}, h("span", {}, h("strong", {}, `${action}: ${label} ${moved}`), text("span.quiet", why || "no reason given")), h("span.quiet", {}, by), h("time", { datetime: at }, moment(at)));
}

/** A value of a card in a line: lists and settings with commas. */
function plainly(value) {
  if (Array.isArray(value)) return value.join(", ");
  if (value && typeof value === "object") return Object.entries(value).map(([name, one]) => `${name} ${plainly(one)}`).join(", ");
  return typeof value === "number" ? Number(value.toPrecision(4)) : value === false ? "no" : value === true ? "yes" : value;
}

function card({ version, card }) {
  const { config, axes, split, dataset, log, sha256, run_id, ...rest } = card; // the lineage has the others
  const plain = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name.replaceAll("_", " "), plainly(value)]));
  return section(`Card of version ${version}`, facts(plain), config && h("details", {}, h("summary", {}, "Configuration"), h("pre", { tabindex: "0" }, JSON.stringify(config, null, 2))));
}
