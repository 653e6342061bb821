// Drift: the last verdict with its columns, and the verdicts over time.

import { call } from "../player/api.js";
import { h, notice, text } from "../player/dom.js";
import { moment, percent } from "../player/words.js";
import { line } from "./chart.js";
import { driftPoint } from "./loop.js";
import { DetailPage, count, head, mark, report, section, table } from "./page.js";
import { loop } from "./state.js";

export class DriftPage extends DetailPage {
  stamp() {
    return [loop.now.drift, loop.now.drift_history];
  }

  read() {
    return call("/v1/operator/drift");
  }

  draw() {
    const { verdict, page } = this.value;
    const { drift_history: history } = loop.now;
    if (page && !this.after.children.length) this.after.append(section("Evidently", report("Evidently's report", "drift/report")));
    if (!verdict && !history.length) return [head("Drift"), notice("No verdict yet", "segue run monitoring compares the newest span with the one that the served model was pushed on.")];
    return [
      head("Drift"),
      verdict && h("p.verdict", {}, mark(verdict.passed ? "no drift" : "drifted", verdict.passed ? "good" : "warn"), text("span", verdict.reason)),
      history.length > 0 && section("Over time", line({ title: "Share of features that drifted", points: history.map(driftPoint), limit: history.at(-1).limit, format: percent }), runs(history)),
      verdict && section("Columns, the farthest first", columns(verdict.figures)),
    ];
  }
}

function runs(history) {
  const rows = [...history].reverse().map(({ run, started, drifted, share, predictions }) => [h("a", { href: `#run/${run}` }, run), started ? moment(started) : "", percent(share), predictions, mark(drifted ? "drifted" : "no drift", drifted ? "warn" : "good")]);
  return table("Verdicts over time", ["run", "when", "features drifted", "predictions drifted", "verdict"], rows);
}

function columns({ columns, rows }) {
  const shown = Object.entries(columns)
    .sort(([, a], [, b]) => b.score - a.score)
    .map(([name, { score, threshold, method, drifted }]) => [name, score, threshold, method, drifted ? mark("drifted", "warn") : ""]);
  return h("div", {}, h("p.quiet", {}, `${count(rows.reference)} rows of the reference and ${count(rows.current)} of the newest span.`), table("Columns", ["column", "distance", "limit", "method", "verdict"], shown));
}
