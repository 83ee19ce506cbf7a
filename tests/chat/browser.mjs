// What a browser gives to the client library: a document, requests with cookies, a page that shows it all.
//
// The library is loaded as the page loads it and runs unchanged; only its surroundings are made up. All
// requests share one cookie jar, as in a browser: those of fetch and of XMLHttpRequest, and those of the
// socket, which Node makes by its http module.
import { randomUUID } from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";
import { JSDOM } from "jsdom";
import { within } from "../integration/js/support.mjs";

const require = createRequire(import.meta.url);
let browser; // what openBrowser() made

/** Once a process, before any page: a browser whose pages are at this address. */
export function openBrowser(url) {
  const { window, cookieJar } = new JSDOM("<!doctype html><body></body>", { url, pretendToBeVisual: true });
  for (const name of ["document", "localStorage", "XMLHttpRequest", "File"]) globalThis[name] = window[name];
  globalThis.window = window;
  Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
  http.request = requestWithCookies(cookieJar, http.request);
  globalThis.fetch = window.fetch = fetchWithCookies(cookieJar, globalThis.fetch, globalThis.FormData);
  globalThis.FormData = window.FormData;
  // As with a browser that is closed, no timer of a library keeps the process alive.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (...args) => setTimeout(...args).unref();
  // The libraries look for a document when they are loaded.
  const load = (names) => Object.assign({}, ...names.map((name) => require(name)));
  browser = load(["react", "react-dom/client", "recoil", "swr", "@chainlit/react-client"]);
  browser.cookieJar = cookieJar;
}

function fetchWithCookies(jar, fetch, FormData) {
  return async (url, { headers, body, ...options } = {}) => {
    const sent = new Headers(headers);
    sent.set("Cookie", jar.getCookieStringSync(String(url)));
    sent.set("Origin", new URL(url).origin);
    if (body instanceof window.FormData) {
      const fields = [...body];
      body = new FormData(); // the one that this fetch knows
      for (const [name, value] of fields) body.append(name, value);
    }
    const answer = await fetch(url, { ...options, headers: sent, body });
    for (const cookie of answer.headers.getSetCookie()) jar.setCookieSync(cookie, String(url));
    return answer;
  };
}

function requestWithCookies(jar, request) {
  return (...args) => {
    const options = args.find((arg) => arg && typeof arg === "object" && !(arg instanceof URL)) ?? {};
    const { hostname, host } = typeof args[0] === "string" || args[0] instanceof URL ? new URL(args[0]) : options;
    const cookies = jar.getCookieStringSync(`http://${hostname ?? host}/`);
    // What the document requests has its cookies already.
    const has = Object.keys(options.headers ?? {}).some((name) => name.toLowerCase() === "cookie");
    if (cookies && !has) options.headers = { ...options.headers, Cookie: cookies };
    return request(...args);
  };
}

export function forgetCookies() {
  browser.cookieJar.removeAllCookiesSync();
}

/** One page of a browser at a server: what the hooks gave last is in its fields. */
export class Page {
  constructor(server, { profile, threadId, userEnv = {}, url = server.url } = {}) {
    const { ChainlitAPI, ChainlitContext, RecoilRoot, SWRConfig, createElement, createRoot, sessionIdState } = browser;
    this.api = new ChainlitAPI(url, "webapp");
    this.events = []; // [name, argument] of all that the socket brought
    this.#wants = { profile, threadId, userEnv };
    const box = window.document.body.appendChild(window.document.createElement("div"));
    this.#root = createRoot(box);
    // The library makes one id a load, and every page of this process has the same load.
    const begin = ({ set }) => set(sessionIdState, randomUUID());
    const around = [
      [ChainlitContext.Provider, { value: this.api }],
      [SWRConfig, { value: { provider: () => new Map() } }],
      [RecoilRoot, { initializeState: begin }],
    ];
    const view = createElement(View, { page: this });
    this.#root.render(around.reduceRight((inner, [type, props]) => createElement(type, props, inner), view));
  }

  #root;
  #wants;
  #waiting = new Set();

  /** Until find() gives something true of what is shown; returns that. */
  async until(find, what = String(find), ms = 8000) {
    let check;
    const found = new Promise((resolve, reject) => {
      check = () => {
        try {
          const value = find();
          if (value) resolve(value);
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.add(check);
      check();
    });
    try {
      return await within(found, what, ms);
    } catch (error) {
      const last = this.events.slice(-5).map((event) => JSON.stringify(event).slice(0, 200));
      error.message += `\nshown: ${JSON.stringify(this.messages && this.texts())}\nlast: ${last.join("\n      ")}`;
      throw error;
    } finally {
      this.#waiting.delete(check);
    }
  }

  changed() {
    for (const check of [...this.#waiting]) check();
  }

  /** Boots as the stock page does: configuration, then the profile, then the socket. */
  async boot() {
    await this.until(() => this.auth?.isReady && this.config?.config, "the configuration");
    const { profile, threadId, userEnv } = this.#wants;
    const profiles = this.config.config.chatProfiles;
    const chosen = profile ?? (profiles.find((one) => one.default) ?? profiles[0])?.name;
    if (chosen) this.session.setChatProfile(chosen);
    if (threadId) this.interact.setIdToResume(threadId);
    await this.until(() => this.session.chatProfile === chosen && this.session.idToResume === threadId, "the choice");
    this.session.connect({ userEnv });
    const socket = await this.until(() => this.session.session?.socket, "a socket");
    socket.onAny((name, argument) => {
      this.events.push([name, argument]);
      this.changed();
    });
    socket.on("disconnect", () => this.changed());
    await this.until(() => this.data.connected, "the connection");
    return this;
  }

  /** Has the page boot and waits for the app's greeting. */
  static async open(server, options) {
    const page = await new Page(server, options).boot();
    await page.until(() => page.texts().some((text) => text.startsWith("welcome")), "the greeting");
    await page.until(() => !page.data.loading, "the end of the beginning");
    return page;
  }

  say(text, files, more = {}) {
    this.interact.sendMessage({ threadId: "", name: "User", type: "user_message", output: text, ...more }, files);
  }

  /** Sends and waits until the answer is whole. */
  async ask(text, answer = text) {
    this.say(text);
    await this.untilText(answer);
    await this.until(() => !this.data.loading, `the end of ${text}`);
  }

  /** All steps of the tree, parents first. */
  steps() {
    const flat = (steps) => steps.flatMap((step) => [step, ...flat(step.steps ?? [])]);
    return flat(this.messages.messages);
  }

  step(name) {
    return this.steps().find((step) => step.name === name);
  }

  texts() {
    return this.steps()
      .filter((step) => step.type.includes("message"))
      .map((step) => step.output);
  }

  untilText(text) {
    return this.until(() => this.texts().some((one) => one.trim() === text), `the text ${text}`);
  }

  /** The bytes of an element, as the page fetches them. */
  async bytes(element) {
    const answer = await fetch(new URL(element.url, window.location));
    if (!answer.ok) throw new Error(`${answer.status} for ${element.url}`);
    return { type: answer.headers.get("content-type"), body: Buffer.from(await answer.arrayBuffer()) };
  }

  close() {
    this.session?.disconnect?.();
    this.#root.unmount();
  }
}

function View({ page }) {
  const { useRecoilValue } = browser;
  page.session = browser.useChatSession();
  page.interact = browser.useChatInteract();
  page.messages = browser.useChatMessages();
  page.data = browser.useChatData();
  page.auth = browser.useAuth();
  page.config = browser.useConfig();
  page.commands = useRecoilValue(browser.commandsState);
  page.side = useRecoilValue(browser.sideViewState);
  page.resumeError = useRecoilValue(browser.resumeThreadErrorState);
  page.setMessages = browser.useSetRecoilState(browser.messagesState);
  browser.useEffect(() => page.changed());
  return null;
}
