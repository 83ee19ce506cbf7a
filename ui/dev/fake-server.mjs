// A small chat server for working on the page and for its tests: the routes and events of the
// chat protocol with scripted answers. `node dev/fake-server.mjs [PORT] [DIR]` serves the built
// page; the word that a message starts with chooses the answer (see scripts.mjs). The cookie `with`
// turns on what only some apps have, as in `with=profiles.audio`.
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { Server } from 'socket.io';

import { element, files, now, put, scripts, step } from './scripts.mjs';

const port = Number(process.argv[2] ?? 8123);
const dir = process.argv[3] ?? 'dist';
const TYPES = { '.js': 'text/javascript', '.jsx': 'text/jsx', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };
// As the worker sends it.
const policy = (nonce, host) =>
  `default-src 'self'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; style-src-attr 'unsafe-inline'; ` +
  `font-src 'self' data:; img-src 'self' data: blob: https: http:; media-src 'self' data: blob: https: http:; ` +
  `connect-src 'self' ws://${host} https:; frame-src 'self' blob: https:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'`;
const ELEMENTS = new URL('elements/', import.meta.url); // of the app's own
const TEXTS = new URL('../../pyglue/clrun/chat/translations/', import.meta.url);

const sessions = new Map(); // session id -> { files, socket, asked }

const user = { identifier: 'ada', display_name: 'Ada', metadata: {} };
const threads = [
  ['How rings wrap', 0], ['A plan for the garden', 0], ['Notes on queueing theory and what it says about busy machines', 1],
  ['Bread without kneading', 4], ['Travel by night train', 12],
].map(([name, days]) => ({
  id: randomUUID(), name, createdAt: new Date(Date.now() - days * 86400e3).toISOString(), userIdentifier: 'ada', metadata: {},
  steps: [step('user_message', { name: 'ada', output: `Tell me: ${name}` }), step('assistant_message', { output: 'As it was **said** before.' })],
  elements: [],
}));

function makeChat(session, id, run) {
  const emit = (event, arg) => session.socket.emit(event, arg);
  return {
    id, run, emit,
    socket: () => session.socket,
    stopped: () => session.stop,
    acted: (then) => (session.acted = then), // what the next action does
    heard: (text) => session.window === text,
    ask: (msg, spec) => new Promise((resolve) => session.socket.emit('ask', { msg, spec }, resolve)),
    call: (name, args) => new Promise((resolve) => session.socket.emit('call_fn', { name, args }, resolve)),
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
    else await chat.stream(`You said: ${message.output}${message.command ? ` (${message.command})` : ''}${message.modes ? ` (${Object.values(message.modes)})` : ''}`, 5);
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
  socket.on('chat_settings_edit', (values) => socket.emit('toast', { message: `Heard ${Object.keys(values).length}`, type: 'info' }));
  socket.on('window_message', (message) => {
    session.window = message;
    socket.emit('toast', { message: `The window says ${message}`, type: 'info' });
  });

  const favorites = () => socket.emit('set_favorites', [...(session.favorites ?? [])]);
  socket.on('fetch_favorites', favorites);
  socket.on('message_favorite', ({ message }) => {
    session.favorites = (session.favorites ?? []).filter((one) => one.id !== message.id);
    if (message.metadata.favorite) session.favorites.push(message);
    socket.emit('update_message', message);
    favorites();
  });

  let heard = 0;
  socket.on('audio_start', () => socket.emit('audio_connection', 'on'));
  socket.on('audio_chunk', ({ data, isStart }) => {
    heard = (isStart ? 0 : heard) + data.length;
    socket.emit('audio_chunk', { track: 'one', mimeType: 'pcm16', data });
  });
  socket.on('audio_end', () => socket.emit('new_message', step('assistant_message', { output: heard > 0 && heard % 8192 === 0 ? 'Heard you.' : 'Heard nothing.' })));

  socket.on('chat_settings_change', (values) => {
    socket.emit('new_message', step('assistant_message', { output: `Settings: \`${JSON.stringify(values)}\`` }));
  });
}

function settings(request) {
  const login = wantsLogin(request);
  const starters = [
    { label: 'Explain a request', message: 'markdown', command: null, icon: 'compass' },
    { label: 'Find night trains', message: 'steps', command: null, icon: 'train-front' },
    { label: 'Show me the cities', message: 'elements', command: null, icon: 'building-2' },
    { label: 'Make a plan', message: 'tasks', command: null, icon: 'list-checks' },
  ];
  const profile = (name, icon, markdown_description, more = {}) => ({ name, icon, markdown_description, display_name: null, default: false, starters: null, ...more });
  return {
    ui: {
      name: 'Assistant', description: '', cot: has(request, 'toolcall') ? 'tool_call' : has(request, 'hidden') ? 'hidden' : 'full', default_theme: 'light', confirm_new_chat: true, alert_style: 'classic',
      chat_settings_location: has(request, 'sidebar') ? 'sidebar' : 'message_composer',
    },
    features: {
      audio: { enabled: has(request, 'audio'), sample_rate: 24000 }, latex: true, edit_message: true, unsafe_allow_html: has(request, 'html'), user_message_markdown: true, favorites: login,
      spontaneous_file_upload: { enabled: true, accept: ['*/*'], max_files: 4, max_size_mb: 5 }, assistant_message_autoscroll: true, user_message_autoscroll: true,
    },
    userEnv: has(request, 'env') ? ['API_KEY'] : [], maskUserEnv: false, dataPersistence: login, threadResumable: login && !has(request, 'readonly'), threadSharing: login,
    markdown: '# Welcome\n\nThis page is served by a **scripted** server.', debugUrl: null,
    chatProfiles: has(request, 'profiles') ? [profile('Writer', 'feather', 'Writes **clearly**.', { default: true }), profile('Coder', 'code', 'Writes programs.')] : [],
    starters,
    starterCategories: has(request, 'categories') ? [{ label: 'Travel', icon: 'map', starters: starters.slice(0, 2) }, { label: 'Work', icon: 'briefcase', starters: starters.slice(2) }] : [],
  };
}

const body = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
};
const loggedIn = (request) => /access_token=/.test(request.headers.cookie ?? '');
const has = (request, name) => new RegExp(`with=[^;]*\\b${name}\\b`).test(request.headers.cookie ?? '');
const wantsLogin = (request) => /login=1/.test(request.headers.cookie ?? '');

const routes = {
  'GET /auth/config': (request) => ({ requireLogin: wantsLogin(request), passwordAuth: !has(request, 'header'), headerAuth: has(request, 'header'), oauthProviders: ['github', 'google'], default_theme: null, ui: {} }),
  'GET /user': (request) => (wantsLogin(request) ? (loggedIn(request) ? user : 401) : null),
  'GET /project/translations': (_request, query) => {
    const tag = query.get('language');
    const file = [tag, tag.split('-')[0], 'en-US'].map((name) => new URL(`${name}.json`, TEXTS)).find(existsSync);
    return { translation: JSON.parse(readFileSync(file, 'utf8')) };
  },
  'GET /project/settings': settings,
  'POST /set-session-cookie': () => ({ message: 'ok' }),
  'POST /project/action': async (request) => {
    const { sessionId, action } = JSON.parse(await body(request));
    const { acted } = sessions.get(sessionId) ?? {};
    if (action.name === 'more' && acted) return acted(), { success: true, response: null };
    sessions.get(sessionId)?.socket.emit('new_message', step('assistant_message', { output: `Action **${action.label ?? action.name}** ran${action.id ? '' : ` with ${JSON.stringify(action.payload)}`}.` }));
    return { success: true, response: null };
  },
  'GET /project/element': (_request, query) => ({
    file: [`${query.get('name')}.js`, `${query.get('name')}.jsx`].find((file) => existsSync(new URL(file, ELEMENTS))) ?? null,
  }),
  'PUT /project/element': async (request) => {
    const { sessionId, element } = JSON.parse(await body(request));
    sessions.get(sessionId)?.socket.emit('element', element);
    return { success: true };
  },
  'DELETE /project/element': async (request) => {
    const { sessionId, element } = JSON.parse(await body(request));
    sessions.get(sessionId)?.socket.emit('remove_element', { id: element.id });
    return { success: true };
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
  'DELETE /feedback': () => ({ success: true }),
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
  if (url.pathname === '/auth/header') {
    if (!request.headers.cookie.includes('proxy=1')) return send(401, 'application/json', '{"detail":"credentialssignin"}');
    return send(200, 'application/json', '{"success":true}', { 'set-cookie': 'access_token=x; Path=/; HttpOnly' });
  }
  if (url.pathname === '/logout') return send(200, 'application/json', '{"success":true}', { 'set-cookie': 'access_token=; Path=/; Max-Age=0' });
  const route = routes[`${request.method} ${url.pathname}`];
  if (route) {
    const answer = await route(request, url.searchParams);
    if (answer === 401) return send(401, 'application/json', '{"detail":"Invalid authentication token"}');
    return send(200, 'application/json', JSON.stringify(answer));
  }
  const file = files.get(/^\/project\/file\/([^/]+)$/.exec(url.pathname)?.[1] ?? '');
  if (file) return send(200, file.mime, file.body);
  const shared = threads.find((thread) => url.pathname.endsWith(`/${thread.id}`));
  if (shared && url.pathname.startsWith('/project/')) return send(200, 'application/json', JSON.stringify(shared));
  if (/^\/(favicon|logo|avatars\/)/.test(url.pathname)) return send(200, TYPES['.svg'], readFileSync('public/favicon.svg'));
  const own = url.pathname.startsWith('/public/elements/') && new URL(url.pathname.slice('/public/elements/'.length), ELEMENTS);
  if (own && existsSync(own)) return send(200, TYPES[extname(own.pathname)], readFileSync(own));
  const path = join(dir, normalize(url.pathname));
  if (url.pathname.startsWith('/assets/') && existsSync(path)) {
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
    return createReadStream(path).pipe(response);
  }
  if (request.method !== 'GET') return send(404, 'application/json', '{"detail":"Not Found"}');
  const nonce = randomUUID();
  const page = readFileSync(join(dir, 'index.html'), 'utf8')
    .replace('<!-- TAG INJECTION PLACEHOLDER -->', '<title>Assistant</title><meta property="og:root_path" content="">')
    .replaceAll('<script', `<script nonce="${nonce}"`);
  return send(200, 'text/html', page, { 'content-security-policy': policy(nonce, request.headers.host) });
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
