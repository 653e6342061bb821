// Runs: the list, and one run with its steps, gates, figures and reports.

import { call } from "../player/api.js";
import { h, notice, text } from "../player/dom.js";
import { moment } from "../player/words.js";
import { train } from "./act.js";
import { bars } from "./chart.js";
import { DetailPage, Page, duration, facts, figure, head, mark, report, section, table } from "./page.js";
import { loop } from "./state.js";

export class RunsPage extends Page {
  shows() {
    return [loop.now.runs, loop.now.training];
  }

  draw() {
    const { runs, training } = loop.now;
    const said = training && !training.running && training.exit_code ? h("p.degraded", {}, `The training that was started here ended with exit code ${training.exit_code}: ${training.said}`) : null;
    const list = runs.map(({ run, status, reason, started, seconds }) =>
      h("li", {}, h("a.entry", { href: `#run/${run}` }, h("span", {}, h("strong", {}, run), text("span.quiet", reason)), mark(status), h("span.quiet", {}, [started && moment(started), seconds && duration(seconds)].filter(Boolean).join(" · ")))),
    );
    const none = notice("No run yet", "A training reads the imported log. On the command line: segue run training.");
    return [head("Runs", train()), said, list.length ? h("ul.entries", {}, list) : none];
  }
}

export class RunPage extends DetailPage {
  stamp() {
    const brief = loop.now.runs.find(({ run }) => run === this.subject);
    return brief?.status === "running" ? [brief, loop.traffic.length, Date.now()] : brief;
  }

  read() {
    return call(`/v1/operator/runs/${encodeURIComponent(this.subject)}`);
  }

  draw() {
    const run = this.value;
    this.frames(run);
    return [
      head(run.run),
      text("p.reason", run.reason),
      facts({ Status: mark(run.status), Pipeline: run.pipeline, Started: run.started && moment(run.started), Took: run.seconds ? duration(run.seconds) : "", Version: run.version, Why: run.why, "Not tracked": run.not_tracked }),
      run.gates.length > 0 && section("Gates", h("ul.gates", {}, run.gates.map(gate))),
      section("Steps", Object.keys(run.steps).length ? steps(run.steps) : h("p.quiet", {}, "No step has begun.")),
      ...checks(run),
      ...run.tables.map(({ title, columns, rows }) => section(title, table(title, columns, rows))),
      run.sentences.length > 0 && h("ul.plain", {}, run.sentences.map((sentence) => h("li", {}, sentence))),
    ];
  }

  /** Reports stand apart: a frame would be loaded again with each drawing. */
  frames({ run, reports }) {
    const key = reports.join();
    if (key === this.framed) return;
    this.framed = key;
    const address = (name) => `runs/${encodeURIComponent(run)}/${name}`;
    const titles = { evaluation: "the evaluation", log: "the log", drift: "Evidently's report" };
    this.after.replaceChildren(...(reports.length ? [section("Reports", ...reports.map((name) => report(titles[name], address(name))))] : []));
  }
}

function gate({ gate, passed, reason }) {
  const [word, tone] = passed === true ? ["passed", "good"] : passed === false ? ["said no", "warn"] : ["no verdict", ""];
  return h("li", {}, mark(word, tone), h("strong", {}, gate), text("span", tone ? reason : "The run has not come to it."));
}

function steps(steps) {
  const rows = Object.entries(steps).map(([name, { status, seconds, cpu_seconds, peak_mib, result, cause }]) => [
    name,
    mark(status),
    seconds ? duration(seconds) : "",
    cpu_seconds ? duration(cpu_seconds) : "",
    peak_mib ? `${Math.round(peak_mib)} MiB` : "",
    verdict(status, result ?? {}, cause),
  ]);
  return table("Steps", ["step", "status", "time", "CPU", "most memory", "verdict"], rows);
}

function verdict(status, result, cause) {
  if (status === "failed") return cause;
  if ("passed" in result) return `${result.passed ? "passed" : "said no"}: ${result.reason}`;
  if ("skipped" in result) return `skipped: ${result.skipped}`;
  return "reused" in result ? "outputs of an earlier run" : "";
}

/** The figures beside their limits: of the blessing, and of data validation (TFDV). */
function checks({ steps }) {
  const parts = [];
  const blessing = steps.evaluate?.result?.figures?.checks;
  if (blessing?.length) {
    const rows = blessing.map(({ name, figure: value, limit, passed }) => [name, value, limit, mark(passed ? "passed" : "said no", passed ? "good" : "warn")]);
    parts.push(section("Figures and limits of the blessing", table("Figures and limits of the blessing", ["figure", "is", "limit", "verdict"], rows)));
  }
  const validation = steps["validate-data"]?.result;
  const distances = Object.entries(validation?.figures?.distances ?? {}).sort(([, a], [, b]) => b - a);
  if (distances.length) {
    const limits = validation.limits;
    const shown = distances.slice(0, 12).map(([name, value]) => ({ name, value, said: limits[name] ? `${figure(value)} of ${figure(limits[name])}` : figure(value), tone: value >= (limits[name] ?? Infinity) ? "bad" : "" }));
    const anomalies = Object.entries(validation.figures.anomalies ?? {});
    parts.push(
      section(
        "Data validation (TFDV)",
        h("p.reason", {}, `Distance of the newest span from ${validation.figures.reference ?? "the reference"}, ${distances.length} columns, the largest first.`),
        anomalies.length > 0 && h("ul.plain", {}, anomalies.map(([name, said]) => text("li", `${name}: ${said}`))),
        bars(shown),
      ),
    );
  }
  return parts;
}
