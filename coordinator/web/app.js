// The page's life: which page is shown, when it asks again, what it says when nobody answers.

import { ask, item, list, number, read, text } from './data.js';
import { el, hint, moment } from './draw.js';
import { pages } from './pages.js';

const STATUS_MS = 5000;
const PAGE_MS = 15000;
const RETRY_MS = [2000, 5000, 10000, 30000];

const main = document.getElementById('main');
const banner = document.getElementById('banner');

const shown = {
  page: null, // one of `pages`
  name: '', // what the page is about, where it is about one thing
  state: {},
  documents: null,
  drawn: '', // the documents, as text: what has not changed is not drawn again
  turn: 0, // counts the pages opened: a late answer for an earlier one is dropped
};
const pulse = { status: null, at: null, failures: 0, problem: '' };
let statusTimer = 0;
let pageTimer = 0;

// ---- The header ----

function drawHeader() {
  const one = item(pulse.status);
  const health = document.getElementById('health');
  const problems = list(one, 'problems');
  const critical = problems.filter((problem) => read(problem, 'severity') === 'critical').length;
  const gone = pulse.failures > 0;
  health.textContent = gone ? 'no answer' : pulse.status === null ? 'connecting'
    : problems.length === 0 ? 'all well' : `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
  health.className = `pill ${gone || critical ? 'bad' : problems.length ? 'warn' : pulse.status ? 'good' : ''}`;
  document.getElementById('network').textContent = text(one.network);
  document.getElementById('version').textContent = text(one.version) ? `FluenzR ${one.version}` : '';
  const clock = document.getElementById('clock');
  clock.replaceChildren(moment(one.networkTime));
  const page = shown.page ? shown.page.title(shown) : '';
  const mark = gone ? '⚠ ' : critical ? `(${critical}) ` : '';
  document.title = `${mark}${page ? page + ' · ' : ''}FluenzR${text(one.network) ? ' · ' + one.network : ''}`;
}

function drawBanner() {
  const gone = pulse.failures > 0;
  banner.hidden = !gone;
  document.body.classList.toggle('stale', gone && pulse.at !== null);
  if (!gone) {
    banner.replaceChildren();
    return;
  }
  const since = pulse.at === null ? 'It has not answered since this page was opened.'
    : `What you see is as of ${new Date(pulse.at).toISOString().slice(11, 19)} UTC, your clock.`;
  const words = `The coordinator does not answer (${pulse.problem}). ${since} Trying again. On its host: `;
  if (banner.firstChild?.textContent === words) return; // said once, not at each attempt
  banner.replaceChildren(document.createTextNode(words), el('code', {}, 'systemctl status fluenzr-coordinator'));
}

// ---- Drawing ----

function context() {
  return { status: pulse.status, state: shown.state, name: shown.name, again: (load) => (load ? refresh(true) : draw(true)) };
}

// Draws anew, and leaves the reader where he was: the element with the focus, and the text in it.
function draw(force) {
  if (!shown.page || !shown.documents) return;
  const drawn = JSON.stringify([shown.documents, shown.page === pages[''] ? pulse.status : null]);
  if (!force && drawn === shown.drawn) return;
  shown.drawn = drawn;
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  const typed = focused?.tagName === 'INPUT' ? { value: focused.value, at: focused.selectionStart } : null;
  const opened = [...main.querySelectorAll('details')].map((details) => details.open);
  const scrolled = [...main.querySelectorAll('.scroll')].map((scroll) => scroll.scrollLeft);
  const content = shown.page.draw(shown.documents, context());
  main.replaceChildren(...content.flat().filter(Boolean));
  main.querySelectorAll('details').forEach((details, i) => { details.open = opened[i] === true; });
  main.querySelectorAll('.scroll').forEach((scroll, i) => { scroll.scrollLeft = scrolled[i] ?? 0; });
  const again = focused?.id ? document.getElementById(focused.id) : null;
  if (!again) return;
  again.focus({ preventScroll: true });
  if (typed && again.type === 'search') {
    again.value = typed.value;
    again.setSelectionRange(typed.at, typed.at);
  }
}

function drawFailure(error) {
  if (shown.documents && error.status === undefined) return; // the banner says it; the data stay
  const gone = error.status === 404;
  main.replaceChildren(el('h1', {}, gone ? 'Not here' : 'Not to be had'), el('p', {}, text(error.message)),
    text(error.hint) ? el('p', {}, '→ ', hint(error.hint)) : '',
    gone ? el('p', {}, el('a', { href: '#/' }, 'To the overview')) : el('p', { class: 'quiet' }, 'Trying again.'));
  shown.drawn = '';
}

// ---- Asking ----

async function refresh(force = false) {
  clearTimeout(pageTimer);
  const turn = shown.turn;
  const asked = JSON.stringify(shown.state);
  try {
    const documents = await shown.page.load(context());
    if (turn !== shown.turn) return;
    if (asked !== JSON.stringify(shown.state) && !force) return void refresh();
    shown.documents = documents;
    draw(force);
    drawHeader();
  } catch (error) {
    if (turn !== shown.turn) return;
    drawFailure(error);
  }
  clearTimeout(pageTimer);
  pageTimer = setTimeout(refresh, PAGE_MS);
}

async function beat() {
  clearTimeout(statusTimer);
  const before = pulse.failures;
  try {
    pulse.status = await ask('status');
    pulse.at = Date.now();
    pulse.failures = 0;
  } catch (error) {
    pulse.failures += 1;
    pulse.problem = text(error.message, 'no answer');
  }
  drawHeader();
  drawBanner();
  if (before > 0 && pulse.failures === 0) refresh();
  else if (shown.page === pages['']) draw(false);
  const wait = pulse.failures ? RETRY_MS[Math.min(pulse.failures, RETRY_MS.length) - 1] : STATUS_MS;
  statusTimer = setTimeout(beat, wait);
}

// ---- Where we are ----

function open() {
  const address = location.hash.replace(/^#\/?/, '');
  const [path, words = ''] = address.split('?');
  const [key, ...rest] = path.split('/');
  let name = rest.join('/');
  try {
    name = decodeURIComponent(name);
  } catch {
    // A stray "%" is a part of the name.
  }
  Object.assign(shown, { page: Object.hasOwn(pages, key) ? pages[key] : null, name, state: {}, documents: null, drawn: '', turn: shown.turn + 1 });
  for (const link of document.querySelectorAll('nav a')) {
    const mine = link.getAttribute('href').slice(2) === (key === 'account' ? 'accounts' : key === 'exchange' ? 'exchanges' : key);
    if (mine) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  drawHeader();
  if (!shown.page) {
    drawFailure({ status: 404, message: 'There is no such page.' });
    return;
  }
  shown.page.begin?.(shown.state, new URLSearchParams(words));
  main.replaceChildren(el('p', { class: 'quiet' }, 'Loading.'));
  window.scrollTo(0, 0);
  refresh();
}

window.addEventListener('hashchange', () => {
  open();
  main.focus({ preventScroll: true });
});
// A page that nobody sees asks nothing.
document.addEventListener('visibilitychange', () => {
  clearTimeout(statusTimer);
  clearTimeout(pageTimer);
  if (document.hidden) return;
  beat();
  refresh();
});

beat();
open();
