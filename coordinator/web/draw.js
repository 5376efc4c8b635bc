// Nodes of the page. All text enters by createTextNode: nothing that comes from a document is ever
// read as HTML.

import { number, read, text, time } from './data.js';

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

// el('p', { class: 'quiet' }, 'text', node, …)
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// ---- Words and numbers ----

const UNKNOWN = '–';

export function count(value) {
  const n = number(value);
  return n === null ? UNKNOWN : n.toLocaleString('en').replaceAll(',', '\u202f');
}

export function percent(part, whole) {
  const p = number(part);
  const w = number(whole);
  return p === null || !w ? UNKNOWN : `${Math.round((100 * p) / w)} %`;
}

// Messages whose place is known, and the share of Junk among them.
export function seen(counters) {
  return ['inbox', 'junk', 'other', 'missing'].reduce((sum, key) => sum + (number(read(counters ?? {}, key)) ?? 0), 0);
}

export function junkShare(counters) {
  return percent(read(counters ?? {}, 'junk'), seen(counters));
}

export function duration(seconds) {
  const s = number(seconds);
  if (s === null) return UNKNOWN;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

export function moment(value, withDate = true) {
  const ms = time(value);
  if (ms === null) return UNKNOWN;
  const iso = new Date(ms).toISOString();
  const shown = withDate ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
  return el('time', { datetime: iso, title: iso }, shown);
}

// An address where persons are named; else what tells accounts apart.
export function label(account) {
  const id = text(read(account, 'id'), text(read(account, 'account')));
  const domain = text(read(account, 'domain'));
  return text(read(account, 'address'), id ? `${id.slice(0, 8)}…${domain ? ' · ' + domain : ''}` : UNKNOWN);
}

export function accountLink(account) {
  const id = text(read(account, 'id'), text(read(account, 'account')));
  return id ? el('a', { href: `#/account/${encodeURIComponent(id)}`, title: id }, label(account)) : label(account);
}

// A word with a colour; the word alone says it too.
export function badge(word, tone) {
  return el('span', { class: `badge ${tone}` }, word);
}

const TONES = {
  inbox: 'good', done: 'good', sent: 'good', found: 'good', ready: 'good', connected: 'good', credited: 'good',
  junk: 'warn', other: 'warn', unobserved: 'warn', ambiguous: 'warn', expired: 'warn', withdrawn: 'warn',
  missing: 'bad', rejected: 'bad', failed: 'bad', indeterminate: 'bad', declined: 'bad',
};

export function outcome(word) {
  return badge(text(word, UNKNOWN), TONES[word] ?? 'plain');
}

// The commands of a hint stand as code, to be copied; they end at a comma or semicolon.
export function hint(words) {
  return text(words).split(/((?:fluenzrctl|systemctl|journalctl) [^,;]+)/)
    .map((part, i) => (i % 2 ? el('code', {}, part) : part));
}

// ---- Blocks ----

export function panel(title, ...children) {
  return el('section', { class: 'panel' }, title && el('h2', {}, title), children);
}

export function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value ?? UNKNOWN)]));
}

// columns: { name, cell(row), sort(row)?, number?, title? }. `order` is { by, down }, kept by the page.
export function table(caption, columns, rows, order, onSort) {
  const chosen = order && columns.find((column) => column.name === order.by && column.sort);
  const sorted = chosen ? [...rows].sort((a, b) => compare(chosen.sort(a), chosen.sort(b)) * (order.down ? -1 : 1)) : rows;
  const head = columns.map((column) => {
    const mine = chosen === column;
    const name = column.sort && onSort
      ? el('button', { id: `sort-${column.name.replaceAll(' ', '-')}`, type: 'button', onclick: () => onSort(column.name) },
        column.name, mine ? el('span', { 'aria-hidden': 'true' }, order.down ? ' ↓' : ' ↑') : null)
      : column.name;
    return el('th', { scope: 'col', class: column.number ? 'number' : null, title: column.title,
      'aria-sort': mine ? (order.down ? 'descending' : 'ascending') : null }, name);
  });
  const body = sorted.map((row) => el('tr', {}, columns.map((column) => el('td', { class: column.number ? 'number' : null }, column.cell(row)))));
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, head)), el('tbody', {}, body)));
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return a < b ? -1 : 1;
}

export function gauge(value, max, name) {
  const v = number(value);
  const m = number(max);
  if (v === null || m === null) return UNKNOWN;
  return el('span', { class: 'gauge' }, el('progress', { value: Math.min(v, m), max: m || 1, 'aria-label': name }), ` ${v} / ${m}`);
}

// ---- Charts ----

const WIDTH = 640;
const HEIGHT = 190;
const LEFT = 44;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 24;

// The next round and even number: the axis ends there.
function ceiling(value) {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [2, 4, 6, 8, 10].map((m) => m * magnitude).find((m) => m >= value);
}

function frame(title, days, top, unit) {
  const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': title, class: 'chart' });
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const step = (WIDTH - LEFT - RIGHT) / Math.max(days.length, 1);
  for (const part of [0, 0.5, 1]) {
    const value = top * part;
    svg.append(shape('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: 'grid' }),
      shape('text', { x: LEFT - 6, y: y(value) + 4, class: 'axis end' }, `${value}${unit}`));
  }
  const every = Math.ceil(days.length / 8);
  days.forEach((day, i) => {
    if ((days.length - 1 - i) % every === 0)
      svg.append(shape('text', { x: LEFT + step * (i + 0.5), y: HEIGHT - 7, class: 'axis middle' }, text(day.date).slice(5)));
  });
  return { svg, y, x: (i) => LEFT + step * i, step };
}

function legend(series) {
  return el('ul', { class: 'legend' }, series.map(([key, name]) => el('li', {}, el('span', { class: `swatch ${key}`, 'aria-hidden': 'true' }), name)));
}

// The same numbers for those who read rather than look.
function asTable(title, columns, days) {
  return el('details', {}, el('summary', {}, 'as a table'),
    table(title, [{ name: 'day', cell: (day) => text(day.date) }, ...columns.map(([key, name]) => ({ name, number: true, cell: (day) => count(day[key]) }))], [...days].reverse()));
}

function figure(title, note, ...children) {
  return el('figure', {}, el('figcaption', {}, el('strong', {}, title), note ? el('span', { class: 'quiet' }, note) : null), children);
}

// What became of each day's messages, stacked; `line` is [key, name] of a number drawn as a step.
export function dayBars(title, note, series, days, line) {
  const value = (day, key) => number(day[key]) ?? 0;
  const top = ceiling(Math.max(2, ...days.map((day) => Math.max(series.reduce((sum, [key]) => sum + value(day, key), 0), line ? value(day, line[0]) : 0))));
  const { svg, y, x, step } = frame(title, days, top, '');
  days.forEach((day, i) => {
    let base = 0;
    const column = shape('g', {}, shape('title', {}, `${text(day.date)}: ` + [...series, ...(line ? [line] : [])].map(([key, name]) => `${name} ${value(day, key)}`).join(', ')),
      shape('rect', { x: x(i), y: TOP, width: step, height: HEIGHT - TOP - BOTTOM, class: 'touch' }));
    for (const [key] of series) {
      const n = value(day, key);
      if (n > 0) column.append(shape('rect', { x: x(i) + step * 0.14, y: y(base + n), width: step * 0.72, height: y(base) - y(base + n), class: `fill ${key}` }));
      base += n;
    }
    if (line && value(day, line[0]) > 0)
      column.append(shape('line', { x1: x(i) + step * 0.04, x2: x(i) + step * 0.96, y1: y(value(day, line[0])), y2: y(value(day, line[0])), class: `mark ${line[0]}` }));
    svg.append(column);
  });
  const all = [...series, ...(line ? [line] : [])];
  return figure(title, note, legend(all), svg, asTable(title, all, days));
}

// The share of Junk among the messages whose place is known; days without any leave a gap.
export function shareLine(title, note, days) {
  const points = days.map((day) => ({ date: text(day.date), junk: number(day.junk) ?? 0, known: seen(day) }))
    .map((day) => ({ ...day, share: day.known ? (100 * day.junk) / day.known : null }));
  const { svg, y, x, step } = frame(title, days, 100, ' %');
  let path = '';
  points.forEach((point, i) => {
    const before = i > 0 && points[i - 1].share !== null;
    if (point.share !== null) path += `${before ? 'L' : 'M'}${x(i) + step / 2} ${y(point.share)}`;
  });
  svg.append(shape('path', { d: path, class: 'share' }));
  points.forEach((point, i) => {
    if (point.share === null) return;
    svg.append(shape('g', {}, shape('title', {}, `${point.date}: ${Math.round(point.share)} % of ${point.known} messages`),
      shape('rect', { x: x(i), y: TOP, width: step, height: HEIGHT - TOP - BOTTOM, class: 'touch' }),
      shape('circle', { cx: x(i) + step / 2, cy: y(point.share), r: 2.6, class: 'dot' })));
  });
  const rows = points.map((point) => ({ date: point.date, share: point.share === null ? null : Math.round(point.share), junk: point.junk, known: point.known }));
  return figure(title, note, svg, asTable(title, [['share', 'junk, %'], ['junk', 'junk'], ['known', 'place known']], rows));
}

// An account's hours on the day's 24, with the hour it is.
export function hourStrip(start, end, now) {
  const from = time(start);
  const to = time(end);
  if (from === null || to === null) return UNKNOWN;
  const midnight = Math.floor(from / 86400000) * 86400000;
  const at = (ms) => Math.max(0, Math.min(100, ((ms - midnight) / 86400000) * 100));
  const here = time(now);
  const clock = (ms) => new Date(ms).toISOString().slice(11, 16);
  const words = `${clock(from)}–${to === midnight + 86400000 ? '24:00' : clock(to)}`;
  return el('span', { class: 'strip' },
    shape('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      shape('rect', { x: 0, y: 3, width: 100, height: 2, class: 'rail' }),
      shape('rect', { x: at(from), y: 1, width: Math.max(1, at(to) - at(from)), height: 6, class: 'hours' }),
      here !== null && here >= midnight && here < midnight + 86400000 ? shape('rect', { x: at(here), y: 0, width: 0.8, height: 8, class: 'now' }) : null),
    words);
}
