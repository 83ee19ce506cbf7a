// A small chat server for working on the page and for its tests: the routes and events of the
// chat protocol with scripted answers. `node dev/fake-server.mjs [PORT] [DIR]` serves the built
// page; the word that a message starts with chooses the answer (see `scripts`).
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { Server } from 'socket.io';

const port = Number(process.argv[2] ?? 8123);
const dir = process.argv[3] ?? 'dist';
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };
const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "connect-src 'self' ws:; object-src 'none'; base-uri 'none'";

const now = () => new Date().toISOString();
const sessions = new Map(); // session id -> { files, socket, asked }
const files = new Map(); // file id -> { mime, body }

const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320"><rect width="640" height="320" fill="#dfe8e4"/>' +
  '<path d="M0 250 160 120 290 220 420 90 640 260V320H0z" fill="#7ea596"/><circle cx="520" cy="70" r="30" fill="#f2d9a0"/></svg>';
const put = (mime, body) => {
  const id = randomUUID();
  files.set(id, { mime, body });
  return id;
};

const MARKDOWN = `## How a request travels

A request enters at the **gateway**, is checked there, and goes over a ring in shared memory to *one* worker. See the [guide](https://example.org) for the words used; \`ring_push\` never blocks.

1. The gateway reads the head.
2. It picks a worker:
   - by affinity, when the request names a session,
   - else the least busy one.
3. The answer comes back the same way.

\`\`\`python
import clrun as cl

@cl.on_message
async def answer(message: cl.Message):
    reply = cl.Message("")
    async for token in model(message.content):   # one at a time
        await reply.stream_token(token)
    await reply.update()
\`\`\`

| Path | Requests/s | p99 |
|---|---:|---:|
| static file | 182,000 | 0.9 ms |
| ASGI | 41,000 | 3.2 ms |

> A client that does nothing costs one file descriptor and a few hundred bytes.

The mean waiting time is $W = \\frac{\\rho}{\\mu(1-\\rho)}$, and so

$$
\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}
$$
`;

const user = { identifier: 'ada', display_name: 'Ada', metadata: {} };
const threads = [
  ['How rings wrap', 0], ['A plan for the garden', 0], ['Notes on queueing theory and what it says about busy machines', 1],
  ['Bread without kneading', 4], ['Travel by night train', 12],
].map(([name, days]) => ({
  id: randomUUID(), name, createdAt: new Date(Date.now() - days * 86400e3).toISOString(), userIdentifier: 'ada', metadata: {},
  steps: [step('user_message', { name: 'ada', output: `Tell me: ${name}` }), step('assistant_message', { output: 'As it was **said** before.' })],
  elements: [],
}));

function step(type, more = {}) {
  return {
    id: randomUUID(), threadId: 't', parentId: null, createdAt: now(), start: now(), end: null, output: '', input: '',
    name: 'Assistant', type, streaming: false, isError: false, waitForAnswer: false, metadata: {}, tags: null, language: null, ...more,
  };
}

function element(type, forId, more = {}) {
  return { id: randomUUID(), threadId: 't', type, name: type, display: 'inline', url: null, chainlitKey: null, forId, mime: null, size: null, ...more };
}

const scripts = {
  async markdown(chat) {
    await chat.stream(MARKDOWN, 0);
  },
  async fast(chat, text) {
    const count = Number(text.split(' ')[1] ?? 400);
    const words = Array.from({ length: count }, (_, i) => `word${i} ${i % 40 === 39 ? '\n\n' : ''}`);
    await chat.stream(words.join(''), 5);
  },
  async steps(chat) {
    const search = step('tool', { name: 'search', parentId: chat.run.id, showInput: 'json', input: '{\n  "query": "night trains"\n}' });
    chat.emit('new_message', search);
    const inner = step('tool', { name: 'rank', parentId: search.id, showInput: false, end: now(), output: 'three of forty' });
    chat.emit('new_message', inner);
    await pause(30);
    chat.emit('update_message', { ...search, end: now(), output: 'Three trains: **Paris**, *Vienna*, Berlin.' });
    const broken = step('tool', { name: 'book', parentId: chat.run.id, isError: true, end: now(), language: 'text', output: 'SeatError: no bed is free' });
    chat.emit('new_message', broken);
    await chat.stream('There are three night trains. I could not book a bed.', 5);
  },
  async elements(chat) {
    const answer = step('assistant_message', { parentId: chat.run.id, output: 'The hill at noon, the table, and the report. Notes are beside this text.' });
    chat.emit('new_message', answer);
    const add = (type, mime, body, more) => chat.emit('element', element(type, answer.id, { chainlitKey: put(mime, body), mime, ...more }));
    add('image', 'image/svg+xml', svg, { name: 'hill' });
    add('dataframe', 'text/plain', JSON.stringify({ columns: ['city', 'people', 'river'], index: [0, 1, 2], data: [['Paris', 2102650, 'Seine'], ['Vienna', 1982442, 'Danube'], ['Berlin', 3677472, 'Spree']] }), { name: 'cities', size: 'large' });
    add('file', 'text/csv', 'a,b\n1,2\n', { name: 'numbers.csv' });
    add('text', 'text/plain', '# Notes\n\nA *side* note, with `code`.', { name: 'Notes', display: 'side' });
    add('text', 'text/plain', 'The whole report.', { name: 'report', display: 'page' });
  },
  async plotly(chat) {
    const answer = step('assistant_message', { parentId: chat.run.id, output: 'A chart.' });
    chat.emit('new_message', answer);
    chat.emit('element', element('plotly', answer.id, { name: 'chart', chainlitKey: put('application/json', JSON.stringify({ data: [{ x: [1, 2, 3], y: [2, 6, 3], type: 'bar' }], layout: { height: 300 } })) }));
  },
  async actions(chat) {
    const answer = step('assistant_message', { parentId: chat.run.id, output: 'Shall I go on?' });
    chat.emit('new_message', answer);
    for (const [label, icon] of [['Go on', 'arrow-right'], ['Explain', null]]) {
      chat.emit('action', { id: randomUUID(), name: 'go', label, icon, tooltip: '', payload: { label }, forId: answer.id });
    }
  },
  async ask(chat, text) {
    const type = text.split(' ')[1] ?? 'text';
    const msg = step('assistant_message', { parentId: chat.run.id, waitForAnswer: true, output: `A question (${type})?` });
    const spec = { type, step_id: msg.id, timeout: 60 };
    if (type === 'action') {
      const made = ['Yes', 'No'].map((label) => ({ id: randomUUID(), name: label, label, icon: null, tooltip: '', payload: {}, forId: msg.id }));
      made.forEach((action) => chat.emit('action', action));
      spec.keys = made.map((action) => action.id);
    }
    if (type === 'file') Object.assign(spec, { accept: ['text/*'], max_size_mb: 2, max_files: 2 });
    const answer = await chat.ask(msg, spec);
    chat.emit('clear_ask', {});
    for (const id of spec.keys ?? []) chat.emit('remove_action', { id });
    const told = type === 'text' ? answer.output : type === 'file' ? `${answer.length} file` : answer.label;
    if (type === 'action') chat.emit('update_message', { ...msg, waitForAnswer: false, output: `**Selected:** ${told}` });
    chat.emit('task_start', {});
    await chat.stream(`You answered: ${told}`, 2);
  },
  async tasks(chat) {
    const list = { status: 'Running', tasks: [{ title: 'Read the question', status: 'done' }, { title: 'Look things up', status: 'running' }, { title: 'Write', status: 'ready' }, { title: 'Phone a friend', status: 'failed' }] };
    chat.emit('element', element('tasklist', '', { name: 'tasklist', chainlitKey: put('application/json', JSON.stringify(list)) }));
    await chat.stream('Working on it.', 2);
  },
  async slow(chat) {
    const answer = step('assistant_message', { parentId: chat.run.id, streaming: true, output: 'Thinking' });
    chat.emit('stream_start', answer);
    for (let i = 0; i < 6000 && !chat.stopped(); i++) {
      await pause(10);
      if (i % 20 === 0) chat.emit('stream_token', { id: answer.id, token: ' …', isSequence: false, isInput: false });
    }
    chat.emit('update_message', { ...answer, output: 'Thinking, stopped.', streaming: false });
  },
  async error(chat) {
    chat.emit('new_message', step('assistant_message', { parentId: chat.run.id, name: 'Error', isError: true, output: 'ValueError: no such city' }));
  },
  async toast(chat) {
    chat.emit('toast', { message: 'Saved your notes', type: 'success' });
  },
  async broken(chat) {
    chat.emit('clrun:refresh', { ok: false, file: 'app.py', line: 12, text: 'Traceback (most recent call last):\n  File "app.py", line 12\n    def answer(:\n               ^\nSyntaxError: invalid syntax' });
  },
  async mended(chat) {
    chat.emit('clrun:refresh', { ok: true });
  },
  async files(chat, _text, refs) {
    await chat.stream(`Got ${refs.length} file`, 1);
  },
};

function makeChat(session, id, run) {
  const emit = (event, arg) => session.socket.emit(event, arg);
  return {
    id, run, emit,
    socket: () => session.socket,
    stopped: () => session.stop,
    ask: (msg, spec) =>
      new Promise((resolve) => session.socket.emit('ask', { msg, spec }, (answer) => resolve(answer))),
    async stream(text, ms) {
      const tokens = text.match(/\s*\S+\s?|\s+/g) ?? [];
      const answer = step('assistant_message', { parentId: run.id, streaming: true, output: tokens[0] });
      emit('stream_start', answer);
      for (const token of tokens.slice(1)) {
        if (ms) await pause(ms);
        emit('stream_token', { id: answer.id, token, isSequence: false, isInput: false });
      }
      emit('update_message', { ...answer, output: text, streaming: false, end: now() });
    },
  };
}

function onSocket(socket) {
  const { sessionId, threadId } = socket.handshake.auth;
  const session = sessions.get(sessionId) ?? { stop: false, started: false };
  session.socket = socket;
  sessions.set(sessionId, session);

  socket.on('connection_successful', () => {
    for (const event of ['task_end', 'clear_ask', 'clear_call_fn']) socket.emit(event, {});
    if (session.started) return;
    session.started = true;
    const resumed = threads.find((thread) => thread.id === threadId);
    if (resumed) {
      socket.emit('first_interaction', { interaction: 'resume', thread_id: threadId });
      socket.emit('resume_thread', resumed);
      return;
    }
    socket.emit('set_commands', [
      { id: 'Search', description: 'Look it up on the web', icon: 'globe', button: true },
      { id: 'Draw', description: 'Make a picture', icon: 'image' },
    ]);
    const items = [{ label: 'Small', value: 's' }, { label: 'Large', value: 'l' }];
    socket.emit('chat_settings', [
      { type: 'select', id: 'model', label: 'Model', initial: 's', items, tooltip: null, description: 'Larger answers better, and slower.', disabled: false },
      { type: 'slider', id: 'temperature', label: 'Temperature', initial: 0.5, min: 0, max: 1, step: 0.1, tooltip: null, description: null, disabled: false },
      { type: 'switch', id: 'stream', label: 'Stream the answer', initial: true, tooltip: null, description: null, disabled: false },
      { type: 'textinput', id: 'tone', label: 'Tone', initial: 'plain', placeholder: 'plain', multiline: false, disabled: false },
      { type: 'tags', id: 'stop', label: 'Stop words', initial: ['END'], disabled: false },
    ]);
  });

  socket.on('client_message', async ({ message, fileReferences }) => {
    session.stop = false;
    socket.emit('task_start', {});
    socket.emit('first_interaction', { interaction: message.output, thread_id: threadId || 't' });
    for (const { id } of fileReferences ?? []) {
      const file = files.get(id);
      if (file) socket.emit('element', element(file.mime.startsWith('image') ? 'image' : 'file', message.id, { id, chainlitKey: id, mime: file.mime, name: file.name }));
    }
    const run = step('run', { name: 'on_message', parentId: message.id });
    socket.emit('new_message', run);
    const chat = makeChat(session, sessionId, run);
    const script = scripts[message.output.split(/\s/)[0].toLowerCase()];
    if (script) await script(chat, message.output, fileReferences ?? []);
    else await chat.stream(`You said: ${message.output}${message.command ? ` (${message.command})` : ''}`, 5);
    session.socket.emit('update_message', { ...run, end: now() });
    session.socket.emit('task_end', {});
  });

  socket.on('edit_message', async ({ message }) => {
    const run = step('run', { name: 'on_message', parentId: message.id });
    socket.emit('task_start', {});
    socket.emit('new_message', run);
    await makeChat(session, sessionId, run).stream(`Edited: ${message.output}`, 2);
    socket.emit('update_message', { ...run, end: now() });
    socket.emit('task_end', {});
  });

  socket.on('stop', () => {
    session.stop = true;
    socket.emit('new_message', step('assistant_message', { output: 'Task manually stopped.' }));
  });
  socket.on('chat_settings_change', (values) => {
    socket.emit('new_message', step('assistant_message', { output: `Settings: \`${JSON.stringify(values)}\`` }));
  });
}

const settings = (login) => ({
  ui: { name: 'Assistant', description: '', cot: 'full', default_theme: 'light', confirm_new_chat: true, alert_style: 'classic' },
  features: {
    audio: { enabled: false, sample_rate: 24000 }, latex: true, edit_message: true, unsafe_allow_html: false, user_message_markdown: true,
    spontaneous_file_upload: { enabled: true, accept: ['*/*'], max_files: 4, max_size_mb: 5 }, assistant_message_autoscroll: true, user_message_autoscroll: true,
  },
  userEnv: [], maskUserEnv: false, dataPersistence: login, threadResumable: login, threadSharing: login,
  markdown: '# Welcome\n\nThis page is served by a **scripted** server.', debugUrl: null,
  chatProfiles: login ? [] : [],
  starters: [
    { label: 'Explain a request', message: 'markdown', command: null, icon: null },
    { label: 'Find night trains', message: 'steps', command: null, icon: null },
    { label: 'Show me the cities', message: 'elements', command: null, icon: null },
    { label: 'Make a plan', message: 'tasks', command: null, icon: null },
  ],
});

const body = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
};
const loggedIn = (request) => /access_token=/.test(request.headers.cookie ?? '');
const wantsLogin = (request) => /login=1/.test(request.headers.cookie ?? '');

const routes = {
  'GET /auth/config': (request) => ({ requireLogin: wantsLogin(request), passwordAuth: true, headerAuth: false, oauthProviders: ['github', 'google'], default_theme: null, ui: {} }),
  'GET /user': (request) => (wantsLogin(request) ? (loggedIn(request) ? user : 401) : null),
  'GET /project/translations': () => ({ translation: {} }),
  'GET /project/settings': (request) => settings(wantsLogin(request)),
  'POST /set-session-cookie': () => ({ message: 'ok' }),
  'POST /project/action': async (request) => {
    const { sessionId, action } = JSON.parse(await body(request));
    sessions.get(sessionId)?.socket.emit('new_message', step('assistant_message', { output: `Action **${action.label}** ran.` }));
    return { success: true, response: null };
  },
  'POST /project/file': async (request) => {
    const data = (await body(request)).toString('latin1');
    const mime = /Content-Type: ([^\r\n]+)/i.exec(data)?.[1] ?? 'application/octet-stream';
    const name = /filename="([^"]*)"/.exec(data)?.[1] ?? 'file';
    const from = data.indexOf('\r\n\r\n') + 4;
    const id = put(mime, Buffer.from(data.slice(from, data.lastIndexOf('\r\n--')), 'latin1'));
    files.get(id).name = name;
    return { id };
  },
  'PUT /feedback': () => ({ success: true, feedbackId: randomUUID() }),
  'POST /project/threads': async (request) => {
    const { filter } = JSON.parse(await body(request));
    const found = threads.filter((thread) => thread.name.toLowerCase().includes((filter.search ?? '').toLowerCase()));
    return { pageInfo: { hasNextPage: false, startCursor: null, endCursor: null }, data: found };
  },
  'PUT /project/thread': async (request) => {
    const { threadId, name } = JSON.parse(await body(request));
    threads.find((thread) => thread.id === threadId).name = name;
    return { success: true };
  },
  'DELETE /project/thread': async (request) => {
    const { threadId } = JSON.parse(await body(request));
    threads.splice(threads.findIndex((thread) => thread.id === threadId), 1);
    return { success: true };
  },
  'PUT /project/thread/share': () => ({ success: true }),
};

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const send = (status, type, content, more = {}) => {
    response.writeHead(status, { 'content-type': type, ...more });
    response.end(content);
  };
  if (url.pathname === '/login' && request.method === 'POST') {
    const form = (await body(request)).toString();
    if (!form.includes('wonder')) return send(401, 'application/json', '{"detail":"credentialssignin"}');
    return send(200, 'application/json', '{"success":true}', { 'set-cookie': 'access_token=x; Path=/; HttpOnly' });
  }
  if (url.pathname === '/logout') return send(200, 'application/json', '{"success":true}', { 'set-cookie': 'access_token=; Path=/; Max-Age=0' });
  const route = routes[`${request.method} ${url.pathname}`];
  if (route) {
    const answer = await route(request);
    if (answer === 401) return send(401, 'application/json', '{"detail":"Invalid authentication token"}');
    return send(200, 'application/json', JSON.stringify(answer));
  }
  const file = files.get(/^\/project\/file\/([^/]+)$/.exec(url.pathname)?.[1] ?? '');
  if (file) return send(200, file.mime, file.body);
  const shared = threads.find((thread) => url.pathname.endsWith(`/${thread.id}`));
  if (shared && url.pathname.startsWith('/project/')) return send(200, 'application/json', JSON.stringify(shared));
  if (/^\/(favicon|logo|avatars\/)/.test(url.pathname)) return send(200, TYPES['.svg'], readFileSync('public/favicon.svg'));
  const path = join(dir, normalize(url.pathname));
  if (url.pathname.startsWith('/assets/') && existsSync(path)) {
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
    return createReadStream(path).pipe(response);
  }
  if (request.method !== 'GET') return send(404, 'application/json', '{"detail":"Not Found"}');
  const page = readFileSync(join(dir, 'index.html'), 'utf8').replace(
    '<!-- TAG INJECTION PLACEHOLDER -->',
    '<title>Assistant</title><meta property="og:root_path" content="">',
  );
  return send(200, 'text/html', page, { 'content-security-policy': CSP });
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
const io = new Server(server, { path: '/ws/socket.io' });
io.on('connection', onSocket);
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));
