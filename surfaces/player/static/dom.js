// Elements from data. Text is always set as text, so catalogue titles cannot become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("button.primary", {type: "button", onclick}, "Play")`. Attributes that are null or false are left out. */
export function h(spec, attributes = {}, ...children) {
  const [name, ...classes] = spec.split(".");
  return filled(document.createElement(name), classes, attributes, children);
}

/** An element of SVG, as `h`. */
export function svg(spec, attributes = {}, ...children) {
  const [name, ...classes] = spec.split(".");
  return filled(document.createElementNS(SVG, name), classes, attributes, children);
}

function filled(element, classes, attributes, children) {
  if (classes.length) element.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : READ.includes(name) ? clean(value) : value);
  }
  const there = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...there.map((child) => (child instanceof Node ? child : clean(String(child)))));
  return element;
}

const READ = ["aria-label", "title"];
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text without the characters that would turn the text around it: controls, and overrides of the direction. */
export const clean = (value) => value.replace(UNSEEN, " ");

/** Text of the catalogue: its direction is its own, and does not turn the text around it. */
export function text(spec, value, attributes = {}) {
  return h(spec, { dir: "auto", title: value.length > 40 ? value : null, ...attributes }, value);
}

/** A bar of a share from 0 to 1; the figure stands beside it as text. */
export function level(share) {
  const full = h("span");
  full.style.width = `${100 * share}%`;
  return h("span.level", { "aria-hidden": "true" }, full);
}

const PATHS = {
  play: "M8 5.500v13l11-6.500z",
  pause: "M7 5h3.500v14H7zM13.500 5H17v14h-3.500z",
  skip: "M5 5.500v13l9.500-6.500zM16 5.500h3v13h-3z",
  like: "M12 20 4.200 12.200a5 5 0 0 1 7.100-7.100l.7.7.7-.7a5 5 0 0 1 7.100 7.100z",
  dislike: "M12 2.500a9.500 9.500 0 1 0 0 19 9.500 9.500 0 0 0 0-19zm0 2a7.500 7.500 0 0 1 4.600 1.600L6.100 16.600A7.500 7.500 0 0 1 12 4.500zm0 15a7.500 7.500 0 0 1-4.600-1.600L17.900 7.400A7.500 7.500 0 0 1 12 19.500z",
  undo: "M9 4 3 10l6 6v-4h5a4 4 0 0 1 0 8H8v2h6a6 6 0 0 0 0-12H9z",
  why: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16zm-1 3h2v2.200h-2zm0 3.800h2V17h-2z",
  close: "M6 4.600l6 6 6-6L19.400 6l-6 6 6 6-1.400 1.400-6-6-6 6L4.600 18l6-6-6-6z",
  queue: "M3 6h12v2H3zm0 5h12v2H3zm0 5h8v2H3zm14-5v8l6-4z",
  check: "M4 12.500 5.500 11l4 4 9-9L20 7.500 9.500 18z",
};

/** An icon that says nothing to a screen reader; its button has the label. */
export function icon(name) {
  return svg("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** A button with an icon and a label for those who do not see it. */
export function iconButton(name, label, onclick, attributes = {}) {
  return h("button.icon-button", { type: "button", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

/** A short message that goes away by itself. */
export function toast(message) {
  const shown = h("p.toast", {}, message);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 5000);
}

/** A modal dialog; it is removed when it closes, and the focus goes back to where it was. */
export function dialog(label, ...children) {
  const before = document.activeElement;
  const title = h("h2", { id: "dialog-title", tabindex: "-1" }, label);
  const close = iconButton("close", "Close", () => element.close());
  const element = h("dialog.sheet", { "aria-labelledby": "dialog-title" }, h("header", {}, title, close), ...children);
  element.addEventListener("close", () => {
    element.remove();
    before?.focus();
  });
  element.addEventListener("click", (event) => event.target === element && element.close());
  document.body.append(element);
  element.showModal();
  title.focus();
  return element;
}

/** Why there is nothing to see, and what can be done. */
export function notice(title, body, ...actions) {
  return h("div.empty", {}, h("h2", {}, title), h("p", {}, body), h("p.actions", {}, ...actions));
}

/** An error with a button that tries again. */
export function failure(problem, again) {
  const retry = h("button.primary", { type: "button", onclick: again }, "Try again");
  const shown = notice(problem.message, problem.fix ?? "", retry);
  shown.setAttribute("role", "alert");
  return shown;
}
