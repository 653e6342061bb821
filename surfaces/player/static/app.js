// The pages and what is around them: which one is open, who listens, and whether all is well.

import { call, change, profile, query, shared, watch } from "./api.js";
import "./cover.js";
import { failure, h, text } from "./dom.js";
import "./home.js";
import { chooseListener } from "./listener.js";
import "./playing.js";

const PAGES = { home: ["segue-home", "Home"], new: ["segue-new", "New releases"], listener: ["segue-listener", "Listener"] };
const main = document.getElementById("main");
const who = document.getElementById("switch");
const notice = document.getElementById("notice");
let page = "";

/** Show the page that the address names; the focus follows when somebody went there. */
function show(follow) {
  const asked = location.hash.slice(1);
  if (asked === "main") return;
  page = PAGES[asked] ? asked : "home";
  const [element, title] = PAGES[page];
  document.title = `${title} · Segue`;
  for (const link of document.querySelectorAll(".bar a")) {
    if (link.hash === `#${page}` && !link.classList.contains("brand")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.classList.remove("queue-open");
  main.replaceChildren(h(element));
  scrollTo(0, 0);
  if (follow) main.focus();
}

function showListener() {
  const { id, picks } = shared.listener;
  who.replaceChildren(h("span.dot"), text("bdi", picks ? "New listener" : id), h("span.switch", { "aria-hidden": "true" }, "Switch"));
  who.setAttribute("aria-label", `Listener ${id}. Choose another`);
}

function showHealth() {
  const { reachable, down } = shared.health;
  const parts = [];
  if (shared.settings?.read_only) parts.push("Read-only: nothing that you do is recorded.");
  if (!reachable) parts.push("The gateway does not answer. Trying again…");
  else if (down.includes("models")) parts.push("The models do not answer. Shelves and queue are simpler until they are back.");
  else if (down.length) parts.push(`${down.join(", ")}: no answer now. The rest goes on.`);
  notice.classList.toggle("bad", !reachable || down.length > 0);
  notice.textContent = parts.join(" ");
}

async function begin() {
  try {
    change("settings", await call("/v1/player/settings"));
    if (!shared.listener) {
      const { listeners } = await call(query("/v1/player/listeners", {}));
      const first = listeners.find((one) => one.last_seen) ?? listeners[0];
      change("listener", { id: first?.user_id ?? "new-listener", picks: first ? null : [] });
    } else if (shared.listener.picks) await profile();
  } catch (problem) {
    main.replaceChildren(failure(problem, begin));
    return;
  }
  showListener();
  let listening = shared.listener.id;
  shared.addEventListener("listener", () => {
    showListener();
    if (shared.listener.id === listening) return;
    listening = shared.listener.id;
    show(false);
  });
  if (shared.settings.operator) document.querySelector(".bar nav").append(h("a", { href: "../operator/" }, "Operator"));
  who.addEventListener("click", chooseListener);
  addEventListener("hashchange", () => show(true));
  shared.addEventListener("health", showHealth);
  show(false);
  watch();
}

begin();
