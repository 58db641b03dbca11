// Building and changing the document. Whatever comes from the server becomes text, never markup: nothing in this page
// assigns HTML, and the server's Content-Security-Policy would not let it.

/** An element with attributes and children; children that are no elements become text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const SECOND_THOUGHT = 6000; // in which the second press has to come

/**
 * A button that runs something, and cannot be pressed meanwhile. What cannot be taken back has a second label, `sure`,
 * and runs at the second press. `spoken` is the label for those who listen, if it is another one.
 */
export function button({ label, spoken, run, sure, kind = "plain" }) {
  let asked = false;
  const ask = (now) => {
    asked = now;
    setText(element, now ? sure : label);
  };
  const press = async () => {
    if (sure && !asked) {
      ask(true);
      setTimeout(ask, SECOND_THOUGHT, false);
      return;
    }
    element.disabled = true;
    await run();
    element.disabled = false;
    ask(false);
  };
  const element = el("button", { type: "button", class: kind, "aria-label": spoken, click: press }, label);
  return element;
}

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/** Sets the text of an element if it is another one. */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets an attribute if it is another one; `null` takes it away. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

/** Shows or hides an element. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Brings the children of an element in line with items: known ones are updated in place, so that focus, selection and
 * scroll position stay. `make(item)` returns `{ element, update(item) }`; what an update shows must come from its item.
 */
export function syncList(parent, items, key, make) {
  parent.parts ??= new Map();
  const parts = parent.parts;
  const wanted = new Set(items.map(key));
  for (const [id, part] of parts) {
    if (!wanted.has(id)) {
      part.element.remove();
      parts.delete(id);
    }
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    let part = parts.get(id);
    if (!part) {
      part = make(item);
      parts.set(id, part);
    }
    part.update?.(item);
    if (part.element === place) place = place.nextElementSibling;
    else parent.insertBefore(part.element, place);
  }
}

/** Sorts `compute-2` before `compute-10`. */
export const natural = new Intl.Collator("en", { numeric: true }).compare;
