// The loop as a picture: a box for each part with what it says now, and arrows for what goes from one to the next.

import { h, svg } from "../player/dom.js";
import { day, moment, percent, shortDay } from "../player/words.js";
import { train } from "./act.js";
import { line, spark } from "./chart.js";
import { Page, count, head, mark, picture, section } from "./page.js";
import { candidate, loop, rates } from "./state.js";

const WIDE = 860; // px from which the picture lies; below it stands
// The boxes by row and column of the picture that lies; the one that stands has rows for columns.
const PLACES = { data: [0, 0], training: [0, 1], gates: [0, 2], models: [0, 3], journal: [1, 0], drift: [1, 1], experiments: [1, 2], gateway: [1, 3] };
const ARROWS = [
  ["data", "training"], ["training", "gates"], ["gates", "models"], ["models", "gateway"],
  ["experiments", "gateway"], ["journal", "data"], ["journal", "drift"], ["drift", "training"],
];
const HELD = ["hold", "call a person"]; // the decisions that a person hears of
const RUNS = 5; // that stand below the picture

export class LoopPage extends Page {
  picture = picture("div.loop", (width) => drawing(boxes(loop.now), width));

  draw() {
    const { now } = loop;
    this.picture.paint();
    return [head("The loop", train()), this.picture, attention(now), h("div.columns", {}, traffic(now), drifts(now), runs(now))];
  }
}

/** The picture at a width in px. */
function drawing(boxes, width) {
  const lies = width >= WIDE;
  const [columns, gapX, gapY, high, edge] = lies ? [4, 44, 44, 124, 36] : [2, 30, 28, 132, 16];
  const wide = lies ? (width - gapX * (columns - 1)) / columns : (width - gapX - edge) / columns;
  const at = ([row, column]) => {
    const [r, c] = lies ? [row, column] : [column, row];
    return { x: c * (wide + gapX), y: r * (high + gapY) };
  };
  const rows = lies ? 2 : 4;
  const height = rows * high + (rows - 1) * gapY + (lies ? edge : 0);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "The loop: each box leads to its page" },
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" }, svg("path", { d: "M0 0 8 4 0 8z" }))),
    ARROWS.map(([from, to]) => arrow(straight(at(PLACES[from]), at(PLACES[to]), wide, high))),
    arrow(around(at(PLACES.gateway), at(PLACES.journal), wide, high, lies, edge)),
    lies && svg("text", { x: width / 2, y: height - 2, "text-anchor": "middle" }, "what was shown, and what listeners did"),
    Object.entries(boxes).map(([name, box]) => {
      const { x, y } = at(PLACES[name]);
      return svg("foreignObject", { x, y, width: wide, height: high }, boxed(box));
    }),
  );
}

const arrow = (d) => svg("path.arrow", { d, "marker-end": "url(#tip)" });

/** A path between neighbours. */
function straight(from, to, wide, high) {
  if (from.y === to.y) {
    const y = from.y + high / 2;
    return from.x < to.x ? `M${from.x + wide + 3} ${y}H${to.x - 4}` : `M${from.x - 3} ${y}H${to.x + wide + 4}`;
  }
  const x = from.x + wide / 2;
  return from.y < to.y ? `M${x} ${from.y + high + 3}V${to.y - 4}` : `M${x} ${from.y - 3}V${to.y + high + 4}`;
}

/** The path back to the journal, around the boxes between. */
function around(from, to, wide, high, lies, edge) {
  if (!lies) return `M${from.x + wide + 3} ${from.y + high / 2}h${edge - 6}V${to.y + high / 2}H${to.x + wide + 4}`;
  return `M${from.x + wide / 2} ${from.y + high + 3}v${edge - 22}H${to.x + wide / 2}V${to.y + high + 4}`;
}

function boxed({ title, href, said, tone = "", lines }) {
  return h("a", { href, class: `box ${tone}` }, h("span.box-title", {}, title), h("strong", {}, said), lines.filter(Boolean).map((text) => h("span", {}, text)));
}

/** What each box says. */
function boxes(now) {
  return { data: data(now), training: training(now), gates: gates(now), models: models(now), gateway: gateway(now), experiments: experiments(now), drift: drift(now), journal: journal(now) };
}

function data({ data }) {
  const box = { title: "Data", href: "#data" };
  if (!data) return { ...box, said: "Nothing yet", lines: ["Import a log: segue data import"] };
  return { ...box, said: `${count(data.counts.events)} events`, lines: [data.dataset, `${day(data.span.first)} to ${day(data.span.last)}`] };
}

const trainings = (now) => now.runs.filter(({ run }) => run.startsWith("training-"));

function training(now) {
  const box = { title: "Training" };
  const [last] = trainings(now);
  if (now.training?.running && last?.status !== "running") return { ...box, href: "#runs", said: "Starting", tone: "at-work", lines: [now.training.said] };
  if (!last) return { ...box, href: "#runs", said: "No run yet", lines: [now.data ? "Start one above" : "It needs data"] };
  const tone = { running: "at-work", failed: "bad", stopped: "warn" }[last.status] ?? "";
  return { ...box, href: `#run/${last.run}`, said: last.status, tone, lines: [last.reason, last.started && moment(last.started)] };
}

function gates(now) {
  const box = { title: "Gates", href: trainings(now).length ? `#run/${trainings(now)[0].run}` : "#runs" };
  const judged = now.gates.filter(({ passed }) => passed !== null && passed !== undefined);
  if (!judged.length) return { ...box, said: "No verdict yet", lines: ["Data, quality, and whether it serves"] };
  const no = judged.filter(({ passed }) => !passed);
  if (no.length) return { ...box, said: `${no[0].gate} said no`, tone: "warn", lines: [no[0].reason] };
  return { ...box, said: `${judged.length} of ${now.gates.length} passed`, lines: [judged.map(({ gate }) => gate).join(", ")] };
}

function models({ served }) {
  const box = { title: "Models", href: "#models" };
  if (!served) return { ...box, said: "None pushed", lines: ["The first training pushes them"] };
  const versions = (of) => [...new Set(Object.values(served).map(of).filter(Boolean))];
  const [stable, canary] = [versions((labels) => labels.stable), versions(candidate)];
  return { ...box, said: stable.length ? `stable ${stable.join(", ")}` : "Nothing stable", lines: [canary.length ? `canary ${canary.join(", ")}` : "no canary", Object.keys(served).join(", ")] };
}

const PAGES = ["/v1/home", "/v1/sessions/{session_id}/next"]; // the endpoints that show pages

function gateway({ gateway }) {
  const box = { title: "Gateway", href: "#traffic" };
  if (!gateway) return { ...box, said: "Not running", tone: "warn", lines: ["Start segue up again once models are pushed"] };
  const slow = gateway.endpoints.find(({ endpoint }) => PAGES.includes(endpoint));
  const lines = [gateway.pages > 0 && `${percent(gateway.fallbacks)} by a fallback`, slow && `half within ${Math.round(slow.p50_ms)} ms, 95 % within ${Math.round(slow.p95_ms)} ms`];
  const down = gateway.down.filter((part) => part !== "journal");
  if (down.length) return { ...box, said: `${down[0]}: no answer`, tone: "bad", lines };
  return { ...box, said: `${count(gateway.pages)} ${gateway.pages === 1 ? "page" : "pages"}`, lines: gateway.pages ? lines : ["since it started"] };
}

function experiments({ experiments }) {
  const running = experiments.filter(({ decision }) => !decision);
  const [first] = running;
  return {
    title: "Experiments",
    href: running.length === 1 ? `#experiment/${encodeURIComponent(first.name)}` : "#experiments",
    said: running.length ? `${running.length} running` : "None running",
    lines: running.length ? [first.name, first.verdict ? `look ${first.looks}: ${first.verdict}` : "no look yet"] : [experiments.length ? `${experiments.length} ended` : "Everyone sees the same"],
  };
}

function drift({ monitoring, drift, drifted }) {
  const { decision, until } = monitoring;
  if (decision) return { title: "Monitoring", href: "#monitor", said: decision.action, tone: HELD.includes(decision.action) ? "bad" : decision.action === "retrain" ? "warn" : "", lines: [decision.reason, until && `checked until ${moment(until)}`] };
  const box = { title: "Drift", href: "#drift" };
  if (!drift) return { ...box, said: "No verdict yet", lines: ["segue run monitoring compares"] };
  return { ...box, said: drifted ? "Drifted" : "No drift", tone: drifted ? "warn" : "", lines: [drift] };
}

function journal({ gateway }) {
  const box = { title: "Journal", href: "#traffic" };
  if (!gateway) return { ...box, said: "Closed", lines: ["No gateway writes to it"] };
  const lost = Object.entries(gateway.exposures).reduce((sum, [outcome, pages]) => sum + (outcome === "ok" ? 0 : pages), 0);
  if (gateway.down.includes("journal") || lost) return { ...box, said: lost ? `${count(lost)} pages lost` : "No answer", tone: "bad", lines: [`${count(gateway.journal_backlog)} records wait`] };
  return { ...box, said: `${count(gateway.journal_backlog)} waiting`, lines: ["what was shown and done", "until segue data collect"] };
}

/** What asks for a decision, with where to look. */
function attention(now) {
  const items = [];
  const [last] = now.runs;
  if (now.training && !now.training.running && now.training.exit_code) items.push([`The training that was started here ended with exit code ${now.training.exit_code}: ${now.training.said}`, "#runs"]);
  if (last?.status === "failed") items.push([`The newest run failed. ${last.reason}`, `#run/${last.run}`]);
  for (const { gate, passed, reason } of now.gates) if (passed === false) items.push([`${gate} said no: ${reason}`, gates(now).href]);
  if (now.monitoring.decision && now.monitoring.decision.action !== "wait") items.push([`${now.monitoring.decision.action}: ${now.monitoring.decision.reason}`, "#monitor"]);
  if (now.drifted) items.push([now.drift, "#drift"]);
  for (const part of now.gateway?.down ?? []) items.push([`No answer now: ${part}. Pages go on without it.`, "#traffic"]);
  if (now.served && Object.values(now.served).some(candidate)) items.push(["A canary waits for its promotion, or for a rollback.", "#models"]);
  if (!now.gateway && now.served) items.push(["Models are pushed. Stop this and run segue up again to serve them.", "#models"]);
  if (!items.length) return null;
  return h("section.attention", { "aria-label": "What needs a look" }, h("h2", {}, "Needs a look"), h("ul", {}, items.map(([text, href]) => h("li", {}, h("a", { href }, text)))));
}

function traffic({ gateway }) {
  if (!gateway) return null;
  return section("Pages a second", spark(rates(), "Pages decided a second since this page was opened"));
}

function drifts({ drift_history }) {
  if (!drift_history.length) return null;
  return section("Drifted features", line({ title: "Share of features that drifted", points: drift_history.map(driftPoint), limit: drift_history.at(-1).limit, format: percent }));
}

/** A drift verdict as a point of a chart. */
export const driftPoint = (one) => ({ label: one.started ? shortDay(one.started) : one.run, value: one.share, tone: one.drifted ? "warn" : "", note: one.reason });

function runs(now) {
  if (!now.runs.length) return null;
  const rows = now.runs.slice(0, RUNS).map(({ run, status, started }) => h("li", {}, h("a.entry", { href: `#run/${run}`, title: run }, h("span", {}, run.split("-")[0]), mark(status), started && h("time", { datetime: started }, moment(started)))));
  return section("Newest runs", h("ul.entries", {}, rows));
}
