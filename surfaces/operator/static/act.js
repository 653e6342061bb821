// What an operator may do: each is confirmed, and says why. The command line does the same.

import { call } from "../player/api.js";
import { dialog, h, toast } from "../player/dom.js";
import { look, loop } from "./state.js";

/** A button that asks for a reason and then posts `{why, ...body}` to a path of the operator. */
export function action(label, { says, command, path, body = {}, done, primary = false }) {
  const denied = loop.now.read_only && "Read-only: start `segue up` without --read-only";
  return h(
    primary ? "button.primary" : "button.secondary",
    { type: "button", "data-key": label, disabled: Boolean(denied), title: denied || null, onclick: () => confirm(label, says, command, path, body, done) },
    label,
  );
}

function confirm(label, says, command, path, body, done) {
  const why = h("textarea", { id: "why", rows: "3", maxlength: "500", required: true });
  const problem = h("p.problem", { role: "alert" });
  const go = h("button.primary", { type: "submit" }, label);
  const form = h(
    "form.decision",
    {},
    h("p", {}, says),
    h("label", { for: "why" }, "Why? It is recorded for those who read it later."),
    why,
    h("p.quiet.small", {}, "The same on the command line: ", h("code", {}, command)),
    problem,
    h("p.actions", {}, go),
  );
  const shown = dialog(label, form);
  why.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!why.value.trim()) {
      problem.textContent = "Give a reason.";
      why.focus();
      return;
    }
    go.disabled = true;
    try {
      await call(`/v1/operator/${path}`, { ...body, why: why.value.replace(/\s+/g, " ").trim() });
      shown.close();
      toast(done);
      await look();
    } catch (error) {
      problem.textContent = `${error.message} ${error.fix}`;
      go.disabled = false;
    }
  });
}

/** Start a training. */
export const train = () =>
  action("Run training", {
    says: "All models are trained on the imported log, evaluated, and pushed if they pass every gate. It takes minutes, and serving is slower meanwhile. The run ends with `segue up`.",
    command: "segue run training --reason …",
    path: "train",
    done: "The training starts. Its run is on this page in a few seconds.",
    primary: true,
  });

/** Make a version stable; without one, the canary. */
export const promote = (version, label = "Promote the canary") =>
  action(label, {
    says: version ? `Version ${version} becomes stable in every model that has it. Callers get it within seconds.` : "The canary becomes stable in every model that has one. Callers get it within seconds.",
    command: `segue models promote ${version ? `${version} ` : ""}--reason …`,
    path: "promote",
    body: version ? { version } : {},
    done: version ? `Version ${version} is stable.` : "The canary is stable.",
  });

/** Take the candidate back, or the last push. */
export const rollBack = () =>
  action("Roll back", {
    says: "If there is a candidate, canary goes back to what is stable. Otherwise stable goes back to the version before, if that is whole.",
    command: "segue models rollback --reason …",
    path: "rollback",
    done: "Rolled back.",
  });
