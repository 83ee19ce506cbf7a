// The scripted answers of the fake server, by the word that a message starts with.
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

export const now = () => new Date().toISOString();
export const files = new Map(); // file id -> { mime, body }

const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320"><rect width="640" height="320" fill="#dfe8e4"/>' +
  '<path d="M0 250 160 120 290 220 420 90 640 260V320H0z" fill="#7ea596"/><circle cx="520" cy="70" r="30" fill="#f2d9a0"/></svg>';
export const put = (mime, body) => {
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

export function step(type, more = {}) {
  return {
    id: randomUUID(), threadId: 't', parentId: null, createdAt: now(), start: now(), end: null, output: '', input: '',
    name: 'Assistant', type, streaming: false, isError: false, waitForAnswer: false, metadata: {}, tags: null, language: null, ...more,
  };
}

export function element(type, forId, more = {}) {
  return { id: randomUUID(), threadId: 't', type, name: type, display: 'inline', url: null, chainlitKey: null, forId, mime: null, size: null, ...more };
}

export const scripts = {
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
  /** `words`: more and more of them, until the window says that it is enough. */
  async words(chat) {
    const answer = step('assistant_message', { parentId: chat.run.id, streaming: true, output: 'word0 ' });
    chat.emit('stream_start', answer);
    let output = answer.output;
    for (let i = 1; !chat.heard('enough') && i < 20_000; i++) {
      await pause(5);
      const token = `word${i} ${i % 40 === 39 ? '\n\n' : ''}`;
      output += token;
      chat.emit('stream_token', { id: answer.id, token, isSequence: false, isInput: false });
    }
    chat.emit('update_message', { ...answer, output, streaming: false, end: now() });
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
  async html(chat) {
    await chat.stream('Press <kbd>Enter</kbd>.\n\n<details><summary>More</summary>\n\nInside, **bold**. <img src=x onerror="document.title=1"><script>document.title = 2</script>\n\n</details>', 0);
  },
  async alerts(chat) {
    await chat.stream(':::tip\nAsk for **one** thing at a time.\n:::\n\nAnd then:\n\n:::warning\nThis cannot be undone.\n:::', 0);
  },
  async modes(chat) {
    const option = (id, name, more = {}) => ({ id, name, description: null, icon: null, default: false, ...more });
    chat.emit('set_modes', [
      { id: 'depth', name: 'Depth', options: [option('fast', 'Fast', { icon: 'zap', description: 'Answers at once' }), option('deep', 'Deep', { icon: 'telescope', description: 'Thinks first', default: true })] },
    ]);
  },
  async tabs(chat) {
    const items = [{ label: 'Red', value: 'red' }, { label: 'Green', value: 'green' }];
    const one = (type, id, label, more = {}) => ({ type, id, label, initial: null, tooltip: null, description: null, disabled: false, ...more });
    chat.emit('chat_settings', [
      { id: 'choose', label: 'Choices', inputs: [
        one('checkbox', 'check', 'Check', { initial: false }), one('radio', 'radio', 'Colour', { items, initial: 'red' }),
        one('multiselect', 'multi', 'Colours', { items, initial: ['green'] }), one('select', 'pick', 'Pick', { items }),
      ] },
      { id: 'write', label: 'Words and days', inputs: [
        one('textinput', 'long', 'Long', { multiline: true, initial: '' }), one('numberinput', 'count', 'Count', { initial: 3 }),
        one('datepicker', 'day', 'Day', { mode: 'single', initial: '2026-03-01' }), one('datepicker', 'days', 'Days', { mode: 'range', initial: ['2026-03-01', '2026-03-09'] }),
        one('tags', 'tags', 'Tags', { initial: ['a'] }), one('slider', 'slide', 'Slide', { initial: 3, min: 0, max: 10, step: 1 }),
      ] },
    ]);
  },
  async sidebar(chat) {
    const note = element('text', '', { name: 'Plan', display: 'side', chainlitKey: put('text/plain', 'First **this**, then that.') });
    chat.emit('set_sidebar_title', 'The plan');
    chat.emit('set_sidebar_elements', { elements: [note], key: null });
  },
  async media(chat) {
    const answer = step('assistant_message', { parentId: chat.run.id, output: 'Listen, look and read.' });
    chat.emit('new_message', answer);
    for (const [type, mime, name] of [['audio', 'audio/wav', 'a bell'], ['video', 'video/mp4', 'a film'], ['pdf', 'application/pdf', 'a paper']]) {
      chat.emit('element', element(type, answer.id, { chainlitKey: put(mime, ''), mime, name }));
    }
  },
  async custom(chat) {
    const made = element('custom', '', { name: 'Seats', props: { seats: 3 } });
    const msg = step('assistant_message', { parentId: chat.run.id, waitForAnswer: true, output: 'Which seat?' });
    chat.emit('element', { ...made, forId: msg.id });
    const answer = await chat.ask(msg, { type: 'element', step_id: msg.id, timeout: 60, element_id: made.id });
    chat.emit('clear_ask', {});
    chat.emit('remove_element', { id: made.id });
    chat.emit('update_message', { ...msg, waitForAnswer: false, output: `Seat: ${JSON.stringify(answer)}` });
  },
  /** `jsx Ticket side {"title": "A"}`: an element of dev/elements; then its props change, if there are two. */
  async jsx(chat, text) {
    const [, name, display, first = '{}', second] = text.split(' ');
    const answer = step('assistant_message', { parentId: chat.run.id, output: `Look at ${name}.` });
    chat.emit('new_message', answer);
    const made = element('custom', answer.id, { name, display, props: JSON.parse(first) });
    chat.emit('element', made);
    if (!second) return;
    const button = { id: randomUUID(), forId: answer.id, name: 'more', label: 'Change it', tooltip: '', icon: null, payload: {} };
    chat.emit('action', button);
    chat.acted(() => chat.emit('element', { ...made, props: JSON.parse(second) }));
  },
  /** `form Delivery {"town": ""}`: a question that such an element answers. */
  async form(chat, text) {
    const [, name, props] = text.split(' ');
    const made = element('custom', '', { name, props: JSON.parse(props) });
    const msg = step('assistant_message', { parentId: chat.run.id, waitForAnswer: true, output: 'Where to?' });
    chat.emit('element', { ...made, forId: msg.id });
    const answer = await chat.ask(msg, { type: 'element', step_id: msg.id, timeout: 60, element_id: made.id });
    chat.emit('clear_ask', {});
    chat.emit('remove_element', { id: made.id });
    chat.emit('update_message', { ...msg, waitForAnswer: false, output: `Form: ${JSON.stringify(answer)}` });
  },
  async call(chat) {
    const answer = await chat.call('add', { a: 2, b: 3 });
    chat.emit('clear_call_fn', {});
    await chat.stream(`The page says ${answer}.`, 0);
  },
  async thoughts(chat) {
    const open = step('tool', { name: 'look', parentId: chat.run.id, output: 'Found it.', defaultOpen: true });
    chat.emit('new_message', open);
    const closing = step('llm', { name: 'think', parentId: chat.run.id, output: 'Hm.', defaultOpen: true, autoCollapse: true });
    chat.emit('new_message', closing);
    await pause(30);
    chat.emit('update_message', { ...open, end: now() });
    chat.emit('update_message', { ...closing, end: now() });
    await chat.stream('Thought through.', 0);
  },
  /** `long 100`: a hundred questions and answers at once. */
  async long(chat, text) {
    for (let i = 0; i < Number(text.split(' ')[1]); i++) {
      const question = step('user_message', { name: 'User', output: `Question ${i}?` });
      const run = step('run', { name: 'on_message', parentId: question.id, end: now() });
      chat.emit('new_message', question);
      chat.emit('new_message', run);
      chat.emit('new_message', step('assistant_message', { parentId: run.id, output: MARKDOWN.slice(0, 900) }));
    }
  },
  async files(chat, _text, refs) {
    await chat.stream(`Got ${refs.length} file`, 1);
  },
};
