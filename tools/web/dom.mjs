// A little of what a browser offers to read and change a page, over the tree that parse5 makes of it.

import { parseFragment } from "parse5";

const XHTML = "http://www.w3.org/1999/xhtml";

export const isElement = (node) => "tagName" in node;
export const get = (node, name) => node.attrs?.find((a) => a.name === name)?.value;
export const classes = (node) => (get(node, "class") ?? "").split(/\s+/).filter(Boolean);
export const hasClass = (node, name) => classes(node).includes(name);

export function set(node, name, value) {
  const old = node.attrs.find((a) => a.name === name);
  if (old) old.value = String(value);
  else node.attrs.push({ name, value: String(value) });
}

export function unset(node, ...names) {
  node.attrs = node.attrs.filter((a) => !names.includes(a.name));
}

// Every element below a node for which the test holds, in the order of the page.
export function all(node, test, found = []) {
  for (const child of node.childNodes ?? []) {
    if (isElement(child) && test(child)) found.push(child);
    all(child, test, found);
  }
  return found;
}

export const tags = (node, ...names) => all(node, (e) => names.includes(e.tagName));
export const first = (node, test) => all(node, test)[0];

export function text(node) {
  return node.nodeName === "#text" ? node.value : (node.childNodes ?? []).map(text).join("");
}

export function ancestor(node, test) {
  for (let up = node.parentNode; up; up = up.parentNode) if (isElement(up) && test(up)) return up;
  return undefined;
}

export function element(tagName, attributes = {}, ...children) {
  const attrs = Object.entries(attributes).map(([name, value]) => ({ name, value: String(value) }));
  const made = { nodeName: tagName, tagName, attrs, namespaceURI: XHTML, childNodes: [] };
  append(made, ...children);
  return made;
}

// Add nodes, or strings as text, at the end of a node.
export function append(parent, ...children) {
  for (const child of children) {
    const node = typeof child === "string" ? { nodeName: "#text", value: child } : child;
    node.parentNode = parent;
    parent.childNodes.push(node);
  }
}

export function replace(node, ...others) {
  const { childNodes } = node.parentNode;
  for (const other of others) other.parentNode = node.parentNode;
  childNodes.splice(childNodes.indexOf(node), 1, ...others);
}

export const remove = (node) => replace(node);

export function empty(node, ...children) {
  node.childNodes = [];
  append(node, ...children);
}

// The same element under another name.
export function rename(node, name) {
  node.nodeName = node.tagName = name;
}

// The nodes that a piece of HTML stands for.
export const nodes = (html) => parseFragment(html).childNodes;
