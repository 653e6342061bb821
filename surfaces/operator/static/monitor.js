// The loop over time: the size of each check's change beside its limit, and what was decided and pushed.

import { call } from "../player/api.js";
import { h, notice, svg, text } from "../player/dom.js";
import { day, moment, shortDay } from "../player/words.js";
import { DetailPage, figure, head, mark, picture, section, table } from "./page.js";
import { loop } from "./state.js";

const WIDE = 720; // px from which the names of checks stand beside their lanes
const [LANE, GAP, TOP, BOTTOM, EDGE] = [34, 8, 30, 24, 14]; // px
const MOST = 2.5; // the largest size that is drawn, in limits
const TONES = { retrain: "new", hold: "bad", "call a person": "bad", wait: "good" };
const DRAWN = { retrain: "trained", hold: "held", "call a person": "held", push: "pushed", labels: "moved" };

export class MonitorPage extends DetailPage {
  picture = picture("div.timeline", (width) => (this.value?.reports.length ? drawing(this.value, width) : null));

  stamp() {
    return [loop.now.monitoring, loop.now.served, loop.now.last_run];
  }

  read() {
    return call("/v1/operator/monitoring");
  }

  draw() {
    const { reports, decision, events } = this.value;
    const last = reports.at(-1);
    this.picture.paint();
    if (!last && !decision) return [head("Monitoring"), notice("No window was checked yet", "segue monitor checks the newest day that was collected, and decides whether to retrain.")];
    return [
      head("Monitoring"),
      decision && h("p.verdict", {}, mark(decision.action, TONES[decision.action]), text("span", decision.reason)),
      last && section("Size of each change, day by day", h("p.quiet", {}, "A dot is a window; above the dashed line the check failed. Lines across are decisions and pushes."), this.picture),
      last && section(`Checks of ${day(last.from)}`, text("p.reason", last.reason), checks(last)),
      events.length > 0 && section("What happened", happened(events)),
      reports.length > 0 && section("Days", h("details", {}, h("summary", {}, "All days as a table"), days(reports))),
    ];
  }
}

/** The picture at a width in px: a lane for each check, one above the other, in one time. */
function drawing({ reports, events }, width) {
  const beside = width >= WIDE;
  const [left, lane] = beside ? [160, LANE] : [EDGE, LANE + 18];
  const first = Date.parse(reports[0].from);
  const { from, until } = reports.at(-1);
  const end = 2 * Date.parse(until) - Date.parse(from); // a window more, for what the last one led to
  const x = (at) => left + ((Date.parse(at) - first) / (end - first)) * (width - left - EDGE);
  const names = reports.at(-1).checks.map(({ name }) => name);
  const floor = (i) => TOP + (i + 1) * lane + i * GAP;
  const height = floor(names.length - 1) + BOTTOM;
  const marked = events.filter((event, i) => tone(event) && !repeated(events, i) && Date.parse(event.at) <= end);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Size of each check's change over time; the tables below have the same" },
    marked.map((event) => svg("path", { class: `across ${tone(event)}`, d: `M${x(event.at)} ${TOP - 6}V${height - BOTTOM}` }, svg("title", {}, said(event)))),
    labels(marked, x, width),
    names.map((name, i) => checkLane({ name, reports, x, y: floor(i), left, width, beside })),
    [first, end].map((at, i) => svg("text", { x: i ? width - EDGE : left, y: height - 6, "text-anchor": i ? "end" : "start" }, shortDay(at))),
  );
}

/** A lane: how large the change was each day, in limits. */
function checkLane({ name, reports, x, y, left, width, beside }) {
  const scale = LANE / MOST;
  const points = reports
    .map((report) => ({ report, check: report.checks.find((check) => check.name === name) }))
    .filter(({ check }) => Number.isFinite(check?.effect) && check.limit)
    .map(({ report, check }) => ({ check, report, x: x(report.until), y: y - scale * Math.min(MOST, Math.abs(check.effect / check.limit)) }));
  return svg(
    "g",
    {},
    beside ? svg("text", { x: 0, y: y - LANE / 2 + 4 }, name) : svg("text", { x: left, y: y - LANE - 4 }, name),
    svg("path.grid", { d: `M${left} ${y}H${width - EDGE}` }),
    svg("path.limit", { d: `M${left} ${y - scale}H${width - EDGE}` }),
    svg("path.curve", { d: points.map((point, i) => `${i ? "L" : "M"}${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join("") }),
    points.map((point) => svg("circle", { class: point.check.passed ? "" : "warn", cx: point.x.toFixed(1), cy: point.y.toFixed(1), r: point.check.passed ? 2 : 3.5 }, svg("title", {}, `${day(point.report.from)}: ${point.check.reason}`))),
  );
}

/** The words above the lines; a word that would stand on the one before is left out, and its line stays. */
function labels(marked, x, width) {
  let free = 0;
  return marked.map((event) => {
    const word = event.kind === "push" ? event.what.replace("version ", "v") : event.what;
    const [half, at] = [word.length * 3.4, x(event.at)];
    const middle = Math.min(Math.max(at, half), width - half);
    if (middle - half < free) return null;
    free = middle + half + 6;
    return svg("text", { class: tone(event), x: middle, y: TOP - 12, "text-anchor": "middle" }, word);
  });
}

const tone = ({ kind, what }) => DRAWN[kind === "decision" ? what : kind];

/** Whether a decision only says again what the one before said: a hold goes on over days. */
function repeated(events, i) {
  if (events[i].kind !== "decision") return false;
  const before = events.slice(0, i).findLast(({ kind }) => kind === "decision");
  return before?.what === events[i].what;
}

const said = ({ at, kind, what, said }) => `${moment(at)}, ${kind} ${what}${said ? `: ${said}` : ""}`;

function checks({ checks }) {
  const rows = checks.map(({ name, kind, effect, limit, passed, response, reason }) => [
    name,
    kind,
    effect === null ? "–" : figure(effect),
    limit === null ? "–" : figure(limit),
    passed ? mark("passed", "good") : mark(response, response === "alert" ? "bad" : "warn"),
    reason,
  ]);
  return table("Checks of the newest day", ["check", "kind", "change", "limit", "verdict", "why"], rows);
}

function happened(events) {
  const shown = events.filter(({ kind, what }) => kind !== "decision" || what !== "wait").reverse();
  return table("What happened", ["when", "what", "action", "why"], shown.map(({ at, kind, what, said }) => [moment(at), kind, mark(what, TONES[what]), said]));
}

function days(reports) {
  const rows = [...reports].reverse().map(({ from, cause, checks, reason }) => [day(from), cause ?? "", checks.filter(({ passed }) => !passed).map(({ name }) => name).join(", "), reason]);
  return table("Days", ["day", "cause", "failed", "why"], rows);
}
