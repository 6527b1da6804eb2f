// The channel list. Only the visible rows are in the document, so ten thousand channels cost no
// more than twenty. The list is one tab stop: the arrow keys move, Enter plays (listbox pattern of
// WAI-ARIA).
import {linkOf, emptySource, sourceOfLink} from './links.js';
import {make} from './dom.js';

const rowHeight = 48;   // as in style.css
const spareRows = 6;    // above and below the visible ones

export class Channels {
  // `list`: the element of the list box. `choose(entry)`: the person has selected this channel.
  // `changed(shown, all)`: the filter has changed.
  constructor(list, {choose, changed}) {
    this.list = list;
    this.choose = choose;
    this.changed = changed;
    this.entries = [];
    this.shown = [];
    this.active = 0;    // index in `shown`
    this.chosen = null;  // an entry
    this.withLogos = false;
    this.rows = new Map();  // by index in `shown`: those in the document
    this.space = make('div', {className: 'space', role: 'presentation'});
    list.append(this.space);
    list.addEventListener('scroll', () => this.draw(), {passive: true});
    list.addEventListener('keydown', (event) => this.onKey(event));
    list.addEventListener('click', (event) => this.onClick(event));
    new ResizeObserver(() => this.draw()).observe(list);
  }

  set(entries) {
    this.entries = entries;
    for (const entry of entries) entry.searched = `${entry.name}\n${entry.group}`.toLowerCase();
    this.chosen = null;
    this.filter('', '');
  }

  groups() {
    return [...new Set(this.entries.map(({group}) => group).filter(Boolean))];
  }

  filter(words, group) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    this.shown = this.entries.filter((entry) =>
      (!group || entry.group === group) && wanted.every((word) => entry.searched.includes(word)));
    this.active = Math.max(this.shown.indexOf(this.chosen), 0);
    this.space.style.height = `${this.shown.length * rowHeight}px`;
    this.list.scrollTop = 0;
    this.redraw();
    this.showActive();
    this.changed(this.shown.length, this.entries.length);
  }

  showLogos(withLogos) {
    this.withLogos = withLogos;
    this.redraw();
  }

  onKey(event) {
    const page = Math.max(Math.floor(this.list.clientHeight / rowHeight) - 1, 1);
    const last = this.shown.length - 1;
    const moves = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
      PageUp: this.active - page, Home: 0, End: last,
    };
    if (event.key in moves) {
      this.active = Math.min(Math.max(moves[event.key], 0), Math.max(last, 0));
      this.showActive();
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.chooseActive();
    } else {
      return;
    }
    event.preventDefault();
  }

  onClick(event) {
    const row = event.target.closest('[role=option]');
    if (!row) return;
    this.active = Number(row.dataset.index);
    this.chooseActive();
  }

  chooseActive() {
    const entry = this.shown[this.active];
    if (!entry) return;
    this.chosen = entry;
    this.draw();
    this.choose(entry);
  }

  showActive() {
    const top = this.active * rowHeight;
    const {scrollTop, clientHeight} = this.list;
    if (top < scrollTop) this.list.scrollTop = top;
    if (top + rowHeight > scrollTop + clientHeight) {
      this.list.scrollTop = top + rowHeight - clientHeight;
    }
    this.draw();
  }

  // Draws all rows again, because their content has changed.
  redraw() {
    this.rows.clear();
    this.space.replaceChildren();
    this.draw();
  }

  draw() {
    const first = Math.max(Math.floor(this.list.scrollTop / rowHeight) - spareRows, 0);
    const end = first + Math.ceil(this.list.clientHeight / rowHeight) + 2 * spareRows;
    // The active row is always there: the list box names it (aria-activedescendant).
    const isWanted = (i) => i < this.shown.length && ((i >= first && i < end) || i === this.active);
    for (const [i, row] of this.rows) {
      if (isWanted(i)) continue;
      row.remove();
      this.rows.delete(i);
    }
    for (const i of [this.active, ...Array.from({length: end - first}, (_, k) => first + k)]) {
      if (isWanted(i) && !this.rows.has(i)) this.add(i);
    }
    for (const [i, row] of this.rows) {
      row.classList.toggle('active', i === this.active);
      row.setAttribute('aria-selected', this.shown[i] === this.chosen);
    }
    const active = this.shown.length ? `channel-${this.active}` : '';
    this.list.setAttribute('aria-activedescendant', active);
  }

  add(index) {
    const entry = this.shown[index];
    const row = make('div', {
      id: `channel-${index}`, role: 'option', title: entry.name,
      'aria-setsize': this.shown.length, 'aria-posinset': index + 1,
    });
    row.dataset.index = index;
    row.style.transform = `translateY(${index * rowHeight}px)`;
    if (this.withLogos && entry.logo) {
      const source = sourceOfLink(entry.logo, false) ?? emptySource(entry.logo);
      row.append(make('img', {src: linkOf(source), alt: '', width: 32, height: 32}));
    }
    row.append(make('span', {className: 'name', textContent: entry.name}));
    if (entry.group) row.append(make('span', {className: 'group', textContent: entry.group}));
    this.rows.set(index, row);
    this.space.append(row);
  }
}
