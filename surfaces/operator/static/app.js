// The operator's pages: which one is open, and whether all is well.

import { failure, h } from "../player/dom.js";
import { DataPage } from "./data.js";
import { DriftPage } from "./drift.js";
import { ExperimentsPage, ScorecardPage } from "./experiments.js";
import { LoopPage } from "./loop.js";
import { ModelPage, ModelsPage } from "./models.js";
import { MonitorPage } from "./monitor.js";
import { RunPage, RunsPage } from "./runs.js";
import { loop, watch } from "./state.js";
import { TrafficPage } from "./traffic.js";

// The place in the address, the page, its title, and the entry of the bar that it belongs to.
const PAGES = {
  loop: [LoopPage, "The loop", "loop"],
  data: [DataPage, "Data", "loop"],
  runs: [RunsPage, "Runs", "runs"],
  run: [RunPage, "Run", "runs"],
  models: [ModelsPage, "Models", "models"],
  model: [ModelPage, "Model", "models"],
  monitor: [MonitorPage, "Monitoring", "monitor"],
  drift: [DriftPage, "Drift", "drift"],
  experiments: [ExperimentsPage, "Experiments", "experiments"],
  experiment: [ScorecardPage, "Experiment", "experiments"],
  traffic: [TrafficPage, "Traffic", "traffic"],
};
const main = document.getElementById("main");
const notice = document.getElementById("notice");
const others = document.getElementById("others");
for (const [name, [element]] of Object.entries(PAGES)) customElements.define(`operator-${name}`, element);

/** Show the page that the address names, such as `#run/training-1`; the focus follows when somebody went there. */
function show(follow) {
  const [place, ...rest] = location.hash.slice(1).split("/");
  if (place === "main") return;
  const name = PAGES[place] ? place : "loop";
  const [, title, entry] = PAGES[name];
  const subject = decodeURIComponent(rest.join("/"));
  document.title = `${subject || title} · Segue`;
  for (const link of document.querySelectorAll(".bar nav:first-of-type a")) {
    if (link.hash === `#${entry}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.replaceChildren(Object.assign(document.createElement(`operator-${name}`), { subject }));
  scrollTo(0, 0);
  if (follow) main.focus();
}

function showNotice() {
  const { now, problem } = loop;
  const down = now?.gateway?.down ?? [];
  const parts = [];
  if (problem) parts.push(problem.message, "Trying again…");
  else if (now.read_only) parts.push("Read-only: nothing can be changed here.");
  if (!problem && down.length) parts.push(`No answer now: ${down.join(", ")}.`);
  const said = parts.join(" ");
  notice.classList.toggle("bad", Boolean(problem) || down.length > 0);
  if (notice.textContent !== said) notice.textContent = said;
}

function showOthers() {
  const names = loop.now.links.map((name) => h("a.outside", { href: `open/${encodeURIComponent(name)}`, target: "_blank", rel: "noopener" }, name));
  others.replaceChildren(...(loop.now.gateway ? [h("a", { href: "../player/" }, "Player")] : []), ...names);
}

let begun = false;
loop.addEventListener("look", () => {
  showNotice();
  if (begun) return;
  if (loop.problem) {
    main.replaceChildren(failure(loop.problem, () => location.reload()));
    return;
  }
  begun = true;
  showOthers();
  addEventListener("hashchange", () => show(true));
  show(false);
});
watch();
