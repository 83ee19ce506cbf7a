"use strict";

const el = (id) => document.getElementById(id);
// Beside this page, wherever it is mounted.
const path = new URL("socket.io/", document.baseURI).pathname;
const socket = io({ path, autoConnect: false });

let name = "";
let room = null;
let toldAt = 0; // when the others were last told that we are typing

// ---- coming in ----

el("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  name = el("name").value.trim().replace(/\s+/g, " ");
  socket.auth = { name };
  socket.connect();
});

socket.on("connect", () => {
  el("enter").hidden = true;
  el("chat").hidden = false;
  el("status").textContent = `connected as ${name}`;
  el("text").focus();
});

socket.on("connect_error", (error) => {
  el("refused").textContent = error.message;
  el("status").textContent = "no connection, trying again…";
});

socket.on("disconnect", () => {
  el("status").textContent = "connection lost, trying again…";
});

// ---- rooms ----

socket.on("rooms", (rooms) => {
  el("rooms").replaceChildren(...rooms.map((each) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = each;
    button.addEventListener("click", () => join(each));
    return button;
  }));
  join(room ?? rooms[0]); // after a reconnection: back to where we were
});

async function join(wanted) {
  const reply = await socket.emitWithAck("join", wanted);
  if (!reply.ok) {
    return;
  }
  if (room !== reply.room) {
    el("log").replaceChildren();
  }
  room = reply.room;
  for (const button of el("rooms").children) {
    button.setAttribute("aria-current", button.textContent === room);
  }
  add("notice", "", `you are in ${room}`, Date.now() / 1000);
}

// ---- messages ----

socket.on("message", (message) => {
  el("typing").textContent = "";
  add(message.from === name ? "mine" : "", message.from, message.text, message.time);
});

socket.on("notice", (notice) => add("notice", "", notice.text, notice.time));

function add(kind, from, text, seconds) {
  const log = el("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  const time = document.createElement("time");
  const date = new Date(seconds * 1000);
  item.className = kind;
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(time);
  if (from) {
    const who = document.createElement("b");
    who.textContent = from;
    item.append(who);
  }
  item.append(text);
  log.append(item);
  if (atEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

el("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = el("text").value.trim();
  if (text) {
    socket.emit("say", text);
    el("text").value = "";
    toldAt = 0;
  }
});

// ---- who is typing ----

let typingTimer;

el("text").addEventListener("input", () => {
  if (Date.now() - toldAt > 2000) {
    toldAt = Date.now();
    socket.volatile.emit("typing");
  }
});

socket.on("typing", (who) => {
  el("typing").textContent = `${who} is typing…`;
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => { el("typing").textContent = ""; }, 3000);
});
