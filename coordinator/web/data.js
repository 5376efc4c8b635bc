// Documents of the coordinator: asking for them, and reading them without trust in their shape. A
// document may be older or newer than this page: what is absent reads as "not known".

const PATIENCE_MS = 10000;

// Answers the document; throws an Error with a sentence for people.
export async function ask(path) {
  let answer;
  try {
    answer = await fetch('api/v1/' + path, {
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const late = error.name === 'TimeoutError';
    throw new Error(late ? 'no answer within 10 s' : 'no connection');
  }
  let document = null;
  try {
    document = await answer.json();
  } catch {
    throw new Error(`answer ${answer.status} is not a document`);
  }
  if (!answer.ok) {
    const failure = new Error(text(read(document, 'error.message'), `answer ${answer.status}`));
    failure.status = answer.status;
    failure.hint = text(read(document, 'error.hint'));
    throw failure;
  }
  return document;
}

// read(document, 'item.today.sent'): the value, or undefined.
export function read(value, path) {
  for (const key of path.split('.')) {
    if (value === null || typeof value !== 'object') return undefined;
    value = value[key];
  }
  return value;
}

export function items(document) {
  const list = read(document, 'items');
  return Array.isArray(list) ? list.filter((item) => item !== null && typeof item === 'object') : [];
}

export function item(document) {
  const one = read(document, 'item');
  return one !== null && typeof one === 'object' ? one : {};
}

export function list(value, path) {
  const found = read(value, path);
  return Array.isArray(found) ? found : [];
}

export function number(value, path) {
  const found = path === undefined ? value : read(value, path);
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}

export function text(value, fallback = '') {
  return typeof value === 'string' && value !== '' ? value : fallback;
}

// Milliseconds of an RFC 3339 time; null when it is none.
export function time(value) {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

export function query(values) {
  const parts = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  return parts.length ? '?' + parts.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&') : '';
}
