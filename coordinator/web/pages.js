// The pages. Each has a title, the documents it is made of, and a function that draws them. What the
// reader has chosen (words looked for, order) stands in `state`, one for each page.

import { ask, item, items, list, number, query, read, text } from './data.js';
import {
  accountLink, badge, count, dayBars, duration, el, facts, gauge, hint, hourStrip, junkShare, label, moment, outcome,
  panel, percent, seen, shareLine, table,
} from './draw.js';

const PAGE_ROWS = 100;
const LOOKS_AT_ONCE = 25; // pages of a search that find nothing, before the reader is asked
const DAYS = 30;

const PLACES = [['inbox', 'inbox'], ['junk', 'junk'], ['other', 'other folder'], ['missing', 'missing'], ['waiting', 'not seen yet']];

// The days of a document, each with what is sent and not yet seen.
function dayList(stats) {
  return items(stats).map((day) => ({ ...day, waiting: Math.max(0, (number(day.sent) ?? 0) - seen(day)) }));
}

// Days before anything happened say nothing.
function fromFirst(days) {
  const first = days.findIndex((day) => (number(day.sent) ?? 0) + (number(day.planned) ?? 0) > 0);
  return first < 0 ? days.slice(-1) : days.slice(Math.min(first, Math.max(0, days.length - 7)));
}

const empty = (words) => el('p', { class: 'quiet' }, words);

// ---- Overview ----

function subjectLink(subject) {
  const [kind, name] = [subject.slice(0, subject.indexOf('/')), subject.slice(subject.indexOf('/') + 1)];
  if (kind === 'account') return el('a', { href: `#/account/${encodeURIComponent(name)}` }, name);
  if (kind === 'node') return el('a', { href: '#/nodes' }, subject);
  return subject;
}

function problemList(problems) {
  if (problems.length === 0)
    return panel('', el('p', { class: 'well' }, badge('all well', 'good'), ' Nothing needs doing.'));
  const rows = problems.map((problem) => {
    const critical = problem.severity === 'critical';
    return el('li', { class: critical ? 'bad' : 'warn' },
      el('div', {}, badge(critical ? 'critical' : 'warning', critical ? 'bad' : 'warn'), ' ',
        el('strong', {}, subjectLink(text(problem.subject, 'network'))), ' ', text(problem.message)),
      text(problem.next) ? el('div', { class: 'next' }, '→ ', hint(problem.next)) : null);
  });
  const title = problems.length === 1 ? 'One problem' : `${problems.length} problems`;
  return panel(title, el('ul', { class: 'problems' }, rows));
}

function tile(name, value, note, tone) {
  return el('div', { class: `tile ${tone ?? ''}` }, el('span', { class: 'name' }, name), el('span', { class: 'value' }, value),
    el('span', { class: 'note' }, note ?? '\u00a0'));
}

function todayTiles(today) {
  const known = seen(today);
  const share = known ? (number(today.junk) ?? 0) / known : 0;
  return el('section', { class: 'tiles', 'aria-label': 'today' },
    tile('planned', count(today.planned), `${percent(today.sent, today.planned)} sent`),
    tile('sent', count(today.sent), number(today.rejected) ? `${count(today.rejected)} refused` : null, number(today.rejected) ? 'warn' : ''),
    tile('inbox', count(today.inbox), `${percent(today.inbox, known)} of ${count(known)} seen`),
    tile('junk', count(today.junk), `${junkShare(today)} of ${count(known)} seen`, share >= 0.3 ? 'warn' : ''),
    tile('rescued', count(today.rescued), 'moved out of Junk'),
    tile('opened', count(today.opened)),
    tile('replied', count(today.replied)),
    tile('missing', count(today.missing), 'not found', number(today.missing) ? 'warn' : ''));
}

function tallyTable(name, counts, href) {
  const rows = Object.entries(counts ?? {}).filter(([, n]) => number(n)).map(([word, n]) => ({ word, n }));
  if (rows.length === 0) return empty('No accounts.');
  return table(`accounts by ${name}`, [
    { name, cell: (row) => el('a', { href: href(row.word) }, row.word) },
    { name: 'accounts', number: true, cell: (row) => count(row.n) },
  ], rows);
}

const overview = {
  title: () => 'Overview',
  load: async () => ({ stats: await ask(`stats?days=${DAYS}`) }),
  draw: ({ stats }, { status }) => {
    const one = item(status);
    const days = fromFirst(dayList(stats));
    const nodes = list(one, 'nodes').filter((node) => read(node, 'state') === 'joined');
    const connected = nodes.filter((node) => read(node, 'connected') === true).length;
    return [
      el('h1', { class: 'hidden' }, 'Overview'),
      problemList(list(one, 'problems')),
      el('h2', {}, 'Today ', el('span', { class: 'quiet' }, text(read(one, 'today.date')))),
      todayTiles(read(one, 'today') ?? {}),
      el('div', { class: 'pair' },
        panel('', shareLine('Junk share per day', `of the messages whose place is known, last ${DAYS} days`, days)),
        panel('', dayBars('Messages per day', `by where they were found, last ${DAYS} days`, PLACES, days, ['planned', 'planned']))),
      el('div', { class: 'pair' },
        panel('Accounts', tallyTable('state', read(one, 'accounts.byReadiness'), (word) => `#/accounts?readiness=${encodeURIComponent(word)}`),
          tallyTable('phase', read(one, 'accounts.byPhase'), (word) => `#/accounts?phase=${encodeURIComponent(word)}`)),
        panel('Network', facts([
          ['nodes connected', [el('a', { href: '#/nodes' }, `${connected} of ${nodes.length}`)]],
          ['accounts ready', `${count(read(one, 'accounts.ready'))} of ${count(read(one, 'accounts.live'))}`],
          ['tasks under way', count(read(one, 'tasks.open'))],
          ['due, not reported', count(read(one, 'tasks.dueUnreported'))],
          ['newest planned date', text(read(one, 'newestDate'), '–')],
          ['epoch', count(read(one, 'epoch'))],
          ['running for', duration(read(one, 'uptimeSeconds'))],
          number(read(one, 'rate')) !== 1 && number(read(one, 'rate')) !== null ? ['clock rate', `${read(one, 'rate')} × (a lab)`] : null,
          ['contact', text(read(one, 'contact'), '–')],
        ]))),
    ];
  },
};

// ---- Nodes ----

function nodeState(node) {
  const state = text(read(node, 'state'), '–');
  if (state !== 'joined') return badge(state, state === 'revoked' || state === 'invite-ended' ? 'warn' : 'plain');
  return read(node, 'connected') === true ? badge('connected', 'good') : badge('not connected', 'bad');
}

const nodes = {
  title: () => 'Nodes',
  load: async () => ({ nodes: await ask('nodes') }),
  draw: (documents, { state, again }) => {
    const rows = items(documents.nodes);
    state.order ??= { by: 'name', down: false };
    return [
      el('h1', {}, 'Nodes'),
      rows.length ? panel('', table(`${rows.length} nodes`, [
        { name: 'name', cell: (node) => text(node.name, '–'), sort: (node) => text(node.name) },
        { name: 'state', cell: nodeState, sort: (node) => (node.connected === true ? 1 : 0) },
        { name: 'last heard', number: true, cell: (node) => (number(node.heardSecondsAgo) === null ? moment(node.seenAt) : `${duration(node.heardSecondsAgo)} ago`),
          sort: (node) => number(node.heardSecondsAgo) },
        { name: 'credit', number: true, title: 'tasks it can still take', cell: (node) => count(node.credit), sort: (node) => number(node.credit) },
        { name: 'open tasks', number: true, cell: (node) => count(node.openTasks), sort: (node) => number(node.openTasks) },
        { name: 'accounts', number: true, cell: (node) => el('a', { href: `#/accounts?node=${encodeURIComponent(text(node.name))}` }, count(node.accounts)), sort: (node) => number(node.accounts) },
        { name: 'ready', number: true, cell: (node) => count(node.ready), sort: (node) => number(node.ready) },
        { name: 'login failures', number: true, title: 'accounts whose last login failed',
          cell: (node) => (number(node.loginFailures) ? badge(count(node.loginFailures), 'bad') : count(node.loginFailures)), sort: (node) => number(node.loginFailures) },
        { name: 'journal losses', number: true, title: 'times it came back without its journal',
          cell: (node) => (number(node.journalLosses) ? badge(count(node.journalLosses), 'warn') : count(node.journalLosses)), sort: (node) => number(node.journalLosses) },
        { name: 'contradictions', number: true, title: 'reports that deny an earlier one',
          cell: (node) => (number(node.equivocations) ? badge(count(node.equivocations), 'bad') : count(node.equivocations)), sort: (node) => number(node.equivocations) },
        { name: 'joined', cell: (node) => moment(node.joinedAt), sort: (node) => text(node.joinedAt) },
      ], rows, state.order, sortBy(state, again))) : panel('', empty('No node has joined.'), el('p', {}, el('code', {}, 'fluenzrctl node invite NAME --out FILE'))),
    ];
  },
};

function sortBy(state, again) {
  return (name) => {
    state.order = { by: name, down: state.order.by === name && !state.order.down };
    again();
  };
}

// ---- Accounts ----

function phaseCell(account) {
  const day = number(account.day);
  return [text(account.phase, '–'), day === null ? null : el('span', { class: 'quiet' }, ` day ${day}`)];
}

function readinessCell(account) {
  const word = text(account.readiness, '–');
  return badge(word, account.ready === true ? 'good' : word === 'paused' ? 'warn' : 'bad');
}

function shareBar(counters) {
  const known = seen(counters);
  if (!known) return el('span', { class: 'quiet' }, 'not seen yet');
  return el('span', { class: 'gauge', title: `${known} messages in ${count(read(counters, 'days'))} days` },
    el('progress', { class: 'placed', value: number(counters.inbox) ?? 0, max: known, 'aria-label': 'in the inbox' }),
    ` ${percent(counters.inbox, known)} `, el('span', { class: 'quiet' }, `of ${known}`));
}

// Loads pages until there is enough to show, or `LOOKS_AT_ONCE` pages brought too little.
async function gather(path, values, rowsWanted) {
  let rows = [];
  let next = '';
  for (let i = 0; i < LOOKS_AT_ONCE; i++) {
    const document = await ask(path + query({ ...values, limit: Math.min(1000, rowsWanted - rows.length), after: next }));
    rows = rows.concat(items(document));
    next = text(read(document, 'next'));
    if (next === '' || rows.length >= rowsWanted) break;
  }
  return { items: rows, next };
}

function choice(id, name, value, options, onChange) {
  return el('label', {}, name, ' ', el('select', { id, onchange: (event) => onChange(event.target.value) },
    el('option', { value: '', selected: value === '' }, 'any'),
    options.map((option) => el('option', { value: option, selected: option === value }, option))));
}

function more(state, documents, again) {
  return documents.next ? el('p', {}, el('button', { type: 'button', id: 'more', class: 'button',
    onclick: () => { state.rows = (state.rows ?? PAGE_ROWS) + PAGE_ROWS; again(true); } }, 'Show more')) : null;
}

function accountTools(state, status, change) {
  const words = (path) => Object.keys(read(item(status), path) ?? {});
  let timer = 0;
  return el('form', { class: 'tools', role: 'search', onsubmit: (event) => event.preventDefault() },
    el('label', {}, 'Search ', el('input', { id: 'search', type: 'search', value: state.text, placeholder: 'address, domain, owner, node, id', maxlength: 100,
      oninput: (event) => {
        clearTimeout(timer);
        const value = event.target.value;
        timer = setTimeout(() => change({ text: value }), 250);
      } })),
    choice('phase', 'Phase', state.phase, words('accounts.byPhase'), (phase) => change({ phase })),
    choice('readiness', 'State', state.readiness, words('accounts.byReadiness'), (readiness) => change({ readiness })),
    state.node ? el('span', {}, 'Node ', el('strong', {}, state.node), ' ', el('button', { type: 'button', id: 'no-node', class: 'button', onclick: () => change({ node: '' }) }, 'all nodes')) : null);
}

const accounts = {
  title: () => 'Accounts',
  begin: (state, parameters) => {
    for (const key of ['text', 'phase', 'readiness', 'node']) state[key] = parameters.get(key) ?? '';
    state.order = { by: '', down: false };
  },
  load: async ({ state }) => gather('accounts', { text: state.text, phase: state.phase, readiness: state.readiness, node: state.node, recent: 1 }, state.rows ?? PAGE_ROWS),
  draw: (documents, { state, status, again }) => {
    const rows = items(documents);
    const change = (values) => { Object.assign(state, values, { rows: PAGE_ROWS }); again(true); };
    const shown = `${rows.length} account${rows.length === 1 ? '' : 's'}${documents.next ? ', and more' : ''}`;
    return [
      el('h1', {}, 'Accounts'),
      accountTools(state, status, change),
      rows.length ? panel('', table(shown, [
        { name: 'account', cell: accountLink, sort: (account) => label(account) },
        { name: 'state', cell: readinessCell, sort: (account) => text(account.readiness) },
        { name: 'phase', cell: phaseCell, sort: (account) => number(account.day) },
        { name: 'used today', cell: (account) => gauge(read(account, 'today.sent'), read(account, 'today.quota'), 'quota used today'),
          sort: (account) => (number(read(account, 'today.quota')) ? number(read(account, 'today.sent')) / number(read(account, 'today.quota')) : null) },
        { name: 'in the inbox', title: 'of the messages of the last days whose place is known', cell: (account) => shareBar(account.recent ?? account.today ?? {}),
          sort: (account) => { const c = account.recent ?? account.today ?? {}; return seen(c) ? number(c.inbox) / seen(c) : null; } },
        { name: 'node', cell: (account) => text(account.node, '–'), sort: (account) => text(account.node) },
        { name: 'owner', cell: (account) => text(account.owner, '–'), sort: (account) => text(account.owner) },
      ], rows, state.order, sortBy(state, again)),
      documents.next && state.order.by ? empty('Sorted among those shown.') : null, more(state, documents, again))
        : panel('', empty(documents.next ? 'None among the accounts looked at so far.' : 'No account matches.'), more(state, documents, again)),
    ];
  },
};

// ---- One account ----

function exchangeTable(caption, rows) {
  return table(caption, [
    { name: 'first message', cell: (x) => el('a', { href: `#/exchange/${encodeURIComponent(text(x.id))}` }, moment(x.firstSendAt)) },
    { name: 'from', cell: (x) => accountLink(x.from ?? {}) },
    { name: 'to', cell: (x) => accountLink(x.to ?? {}) },
    { name: 'messages', cell: (x) => list(x, 'messages').map((word) => [outcome(word), ' ']) },
    { name: 'state', cell: (x) => [text(x.state, '–'), x.oneNode === true ? el('span', { class: 'quiet', title: 'both accounts live at one node: it earns no score' }, ' one node') : null] },
  ], rows);
}

function whyPanel(why) {
  const one = item(why);
  const lines = list(one, 'why');
  return panel('Why', el('p', {}, one.sends === true ? badge('sends', 'good') : badge('does not send', 'warn'), ' ',
    number(read(one, 'firstSlot')) === null && text(one.firstSlot) ? ['next message ', moment(one.firstSlot)] : null),
  el('ul', { class: 'lines' }, lines.map((line) => el('li', {}, text(line)))),
  facts([
    ['partners', count(read(one, 'pool.eligible'))],
    ['they carry', [count(read(one, 'pool.ceiling')), ' messages a day']],
    text(one.askAgain) ? ['may change at', moment(one.askAgain)] : null,
  ]));
}

function accountFacts(one) {
  const hours = [text(one.hours, '–'), ' ', list(one, 'days').map((day) => text(day)).join(' ')];
  return facts([
    ['owner', text(one.owner, '–')], ['domain', text(one.domain, '–')], ['provider', text(one.provider, '–')],
    ['node', text(one.node, '–')], ['phase', phaseCell(one)], ['profile', `${text(one.profile, '–')}, ${text(one.intensity, '–')}`],
    ['language', text(one.language, '–')], ['hours', hours], ['time zone', text(one.zone, '–')],
    ['last login', read(one, 'probe.at') ? [moment(read(one, 'probe.at')), ' ', read(one, 'probe.loginOk') === true ? badge('ok', 'good') : badge(text(read(one, 'probe.reason'), 'failed'), 'bad')] : 'none yet'],
    number(read(one, 'probe.refusedLogins')) || text(read(one, 'probe.troubleSince')) ? ['login trouble', [
      'since ', moment(read(one, 'probe.troubleSince')), `, refused ${count(read(one, 'probe.refusedLogins'))} times, next try `, moment(read(one, 'probe.nextTryAt'))]] : null,
    ['consent until', moment(read(one, 'consent.until'))],
    ['id', el('code', {}, text(one.id, '–'))],
  ]);
}

function messageTable(rows) {
  return table(`${rows.length} messages`, [
    { name: 'from', cell: (m) => moment(m.sendAt, false) },
    { name: 'until', cell: (m) => moment(m.sendUntil, false) },
    { name: 'to', cell: (m) => text(m.to) || el('span', { class: 'quiet' }, 'not named') },
    { name: 'turn', number: true, cell: (m) => count((number(m.turn) ?? 0) + 1) },
    { name: 'state', cell: (m) => [outcome(text(m.outcome) || text(m.state)), ' ', text(m.placement) !== 'none' ? outcome(m.placement) : null] },
    { name: 'conversation', cell: (m) => el('a', { href: `#/exchange/${encodeURIComponent(text(m.exchange))}` }, 'show') },
  ], rows);
}

const account = {
  title: ({ documents }) => (documents ? label(item(documents.account)) : 'Account'),
  load: async ({ name }) => {
    const path = `accounts/${encodeURIComponent(name)}`;
    const who = query({ account: name });
    const [one, why, stats, plan, exchanges] = await Promise.all([
      ask(path), ask(`${path}/why`), ask(`stats${who}&days=${DAYS}`), ask(`plan${who}`), ask(`exchanges${who}&limit=30`)]);
    return { account: one, why, stats, plan, exchanges };
  },
  draw: (documents) => {
    const one = item(documents.account);
    const today = read(one, 'today') ?? {};
    const messages = list(items(documents.plan)[0] ?? {}, 'messages');
    const talks = items(documents.exchanges);
    const days = fromFirst(dayList(documents.stats));
    return [
      el('h1', {}, label(one), ' ', readinessCell(one)),
      el('div', { class: 'pair' }, whyPanel(documents.why),
        panel('Account', accountFacts(one))),
      el('h2', {}, 'Today ', el('span', { class: 'quiet' }, text(today.date))),
      todayTiles(today),
      el('div', { class: 'pair' },
        panel('', dayBars('Messages per day', 'sent, by where they were found; the line is the quota', PLACES, days, ['quota', 'quota'])),
        panel('', shareLine('Junk share per day', 'of the messages whose place is known', days))),
      panel('Planned for today', messages.length ? messageTable(messages) : empty('Nothing is planned for today.')),
      panel('Recent exchanges', talks.length ? exchangeTable(`${talks.length} exchanges, newest first`, talks) : empty('None yet.')),
    ];
  },
};

// ---- Exchanges ----

const exchanges = {
  title: () => 'Exchanges',
  load: async ({ state }) => {
    const wanted = state.rows ?? PAGE_ROWS;
    const document = await ask(`exchanges?limit=${Math.min(2000, wanted)}`);
    return { items: items(document), next: wanted < 2000 ? text(read(document, 'next')) : '' };
  },
  draw: (documents, { state, again }) => [
    el('h1', {}, 'Exchanges'),
    panel('', items(documents).length ? exchangeTable(`the newest ${items(documents).length} that have not ended`, items(documents)) : empty('None under way.'),
      more(state, documents, again),
      el('p', { class: 'quiet' }, 'Ended ones: ', el('code', {}, 'fluenzrctl exchange ls --all'))),
  ],
};

function taskLine([kind, task]) {
  const state = text(read(task, 'state'), '–');
  if (state === 'waits') return null;
  const reason = text(read(task, 'reason'));
  return el('li', {}, el('span', { class: 'when' }, moment(read(task, 'endedAt') ?? read(task, 'issuedAt'))), ' ', el('strong', {}, kind), ' ',
    state === 'ended' ? outcome(text(read(task, 'outcome'))) : badge(state, 'plain'),
    reason && reason !== 'none' ? ` ${reason}` : null,
    number(read(task, 'replyCode')) ? ` reply ${count(task.replyCode)}` : null,
    text(read(task, 'fault')) ? `, fault of the ${task.fault}` : null,
    text(read(task, 'node')) ? el('span', { class: 'quiet' }, ` at ${task.node}${number(task.attempt) > 1 ? `, attempt ${task.attempt}` : ''}`) : null);
}

function turnBlock(turn, sides) {
  const even = (number(turn.turn) ?? 0) % 2 === 0;
  const [from, to] = even ? [sides.from, sides.to] : [sides.to, sides.from];
  return el('li', {},
    el('div', {}, el('strong', {}, `Message ${(number(turn.turn) ?? 0) + 1}`), ' ', accountLink(from ?? {}), ' → ', accountLink(to ?? {}), ' ', outcome(turn.message)),
    el('p', { class: 'quiet' }, 'to be sent ', moment(turn.sendAt), ' – ', moment(turn.sendUntil, false),
      text(turn.openAt) ? [', to be opened ', moment(turn.openAt), ' – ', moment(turn.openUntil, false)] : null,
      number(turn.arrivalMs) ? `, arrived after ${duration(turn.arrivalMs / 1000)}` : null,
      list(turn, 'authentication').length ? `, ${list(turn, 'authentication').map((word) => text(word)).join(' ')}` : null,
      turn.contradicted === true ? ', the two witnesses contradict each other' : null),
    el('ul', { class: 'tasks' }, Object.entries(read(turn, 'tasks') ?? {}).map(taskLine)));
}

const exchange = {
  title: () => 'Exchange',
  load: async ({ name }) => ({ exchange: await ask(`exchanges/${encodeURIComponent(name)}`) }),
  draw: (documents) => {
    const one = item(documents.exchange);
    return [
      el('h1', {}, 'Exchange ', el('span', { class: 'quiet' }, text(one.state))),
      panel('', facts([
        ['between', [accountLink(one.from ?? {}), ' and ', accountLink(one.to ?? {})]],
        ['planned', moment(one.plannedAt)], ['expires', moment(one.expires)], ['ended', moment(one.endedAt)],
        ['same node', one.oneNode === true ? 'yes: it earns no score' : 'no'], ['id', el('code', {}, text(one.id, '–'))],
      ])),
      panel('Conversation', el('ol', { class: 'timeline' }, list(one, 'conversation').map((turn) => turnBlock(turn, one)))),
    ];
  },
};

// ---- Plan ----

const plan = {
  title: () => 'Plan',
  begin: (state, parameters) => {
    state.date = parameters.get('date') ?? '';
    state.order = { by: '', down: false };
  },
  load: async ({ state }) => gather('plan', { date: state.date }, state.rows ?? PAGE_ROWS),
  draw: (documents, { state, status, again }) => {
    const rows = items(documents);
    const now = read(item(status), 'networkTime');
    const sum = (key) => count(rows.reduce((total, row) => total + (number(row[key]) ?? 0), 0));
    return [
      el('h1', {}, 'Plan'),
      el('form', { class: 'tools', onsubmit: (event) => event.preventDefault() },
        el('label', {}, 'Date ', el('input', { id: 'date', type: 'date', value: state.date, onchange: (event) => { state.date = event.target.value; again(true); } })),
        el('span', { class: 'quiet' }, state.date ? '' : 'today, on each account\u2019s own calendar')),
      panel('', rows.length ? table(`${rows.length} accounts: ${sum('planned')} messages planned, ${sum('sent')} sent`, [
        { name: 'account', cell: (row) => accountLink({ ...row, id: row.account }), sort: (row) => label(row) },
        { name: 'phase', cell: (row) => text(row.phase, '–'), sort: (row) => text(row.phase) },
        { name: 'date', cell: (row) => text(row.date, '–'), sort: (row) => text(row.date) },
        { name: 'hours, UTC', cell: (row) => hourStrip(row.windowStart, row.windowEnd, now) },
        { name: 'quota', number: true, cell: (row) => count(row.quota), sort: (row) => number(row.quota) },
        { name: 'planned', number: true, cell: (row) => count(row.planned), sort: (row) => number(row.planned) },
        { name: 'sent', number: true, cell: (row) => count(row.sent), sort: (row) => number(row.sent) },
        { name: 'dropped', number: true, cell: (row) => count(row.dropped), sort: (row) => number(row.dropped) },
        { name: 'short by', number: true, cell: (row) => (number(row.shortfall) ? [count(row.shortfall), ' ', badge(text(row.shortfallReason, '–'), 'warn')] : count(row.shortfall)), sort: (row) => number(row.shortfall) },
        { name: 'plan', cell: (row) => (row.isPlanned === true ? 'made' : 'not a sending day, or not yet') },
      ], rows, state.order, sortBy(state, again)) : empty('No accounts.'), more(state, documents, again)),
    ];
  },
};

export const pages = { '': overview, nodes, accounts, account, exchanges, exchange, plan };
