// Makes elements. Text is always inserted as text: the policy of the page forbids HTML.

export const $ = (id) => document.getElementById(id);

const attributes = ['role', 'for'];

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (attributes.includes(name) || name.startsWith('aria-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}
