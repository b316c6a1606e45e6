// dashboard.js -- the page: all servers once, then what changes as it comes. Whatever a
// server says is put in as text, never as markup.
"use strict";

const POINTS = 360;
const SERIES = ["lag", "heap", "cpu"];
const MOODS = ["hung", "silent", "error", "busy", "fine"];
const servers = new Map();  // by id; each has its card
const $ = (id) => document.getElementById(id);

// -- text ----------------------------------------------------------------------

const shown = (value) => value === undefined ? "" : JSON.stringify(value);

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const FIGURES = {
  lag: (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`,
  heap: bytes,
  cpu: (value) => `${value.toFixed(1)} %`,
};

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// Only what differs is touched: what somebody has selected or unfolded stays.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showIf(element, wanted) {
  if (element.hidden === Boolean(wanted)) element.hidden = !wanted;
}

// -- sparklines ----------------------------------------------------------------

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Runs of values between the holes, as lists of "x,y". A lone value is a short line.
function runs(values, highest) {
  const found = [];
  const first = POINTS - values.length;
  values.forEach((value, i) => {
    if (value === false) return;
    const y = (30 - 28 * (highest > 0 ? value / highest : 0)).toFixed(1);
    if (i === 0 || values[i - 1] === false) found.push([`${first + i - 1},${y}`]);
    found[found.length - 1].push(`${first + i},${y}`);
  });
  return found;
}

function sparkline(label, values, figure) {
  const highest = Math.max(0, ...values.filter((value) => value !== false));
  const graph = svg("svg", {
    viewBox: `0 0 ${POINTS} 32`, preserveAspectRatio: "none", role: "img",
    "aria-label": `${label} in the last hour, at most ${figure(highest)}`,
  });
  for (const points of runs(values, highest)) graph.append(svg("polyline", { points: points.join(" ") }));
  return graph;
}

function drawFigure(card, name, now, values) {
  const place = card.querySelector(`.${name} dd`);
  const label = card.querySelector(`.${name} dt`).textContent;
  place.replaceChildren(FIGURES[name](now), sparkline(label, values, FIGURES[name]));
}

// -- tables --------------------------------------------------------------------

function row(key, ...cells) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = key;
  line.append(head, ...cells);
  return line;
}

function cell(...parts) {
  const element = document.createElement("td");
  element.append(...parts);
  return element;
}

function marked(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function confRow(key, value, change) {
  if (!change) return row(key, cell(shown(value)));
  return row(key, cell(marked("del", shown(change.old)), " ", marked("ins", shown(change.new))));
}

function confRows(conf, changes) {
  const keys = [...new Set([...Object.keys(conf), ...Object.keys(changes)])].sort();
  return keys.map((key) => confRow(key, conf[key], changes[key]));
}

// -- one card ------------------------------------------------------------------

function makeCard(server) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  const title = card.querySelector("h2");
  title.id = `server-${servers.size}`;
  card.setAttribute("aria-labelledby", title.id);
  return card;
}

function drawUnheard(card, server) {
  put(card.querySelector("h2"), server.feed);
  put(card.querySelector(".where"), "nothing has come from this feed yet");
  for (const part of card.querySelectorAll(".figures, details, .counts, .summary")) part.hidden = true;
}

function drawText(card, server) {
  const info = server.info;
  const find = (selector) => card.querySelector(selector);
  put(find("h2"), info.name);
  put(find(".where"), `${info.host}, pid ${info.pid}, generation ${info.generation}, up ${span(info.uptime)}`);
  put(find(".counts"), [plural(info.timers, "timer"), plural(info.tasks, "task"),
    plural(info.connections, "connection"), plural(info.errors, "error"),
    `${bytes(info.rss_bytes)} resident`].join(", "));
  put(find(".summary"), info.last_summary || "");
  showIf(find(".hang"), info.hung_stack);
  put(find(".hang summary"), `Hung for ${span(info.hung_for)}: where`);
  put(find(".hang pre"), info.hung_stack || "");
  showIf(find(".error"), info.last_error);
  put(find(".error summary"), `Last error ${info.last_error_time}: ${String(info.last_error).split("\n")[0]}`);
  put(find(".error pre"), info.last_trace || info.last_error || "");
}

function drawTables(card, server) {
  const app = Object.entries(server.info.app || {}).sort();
  const changed = Object.keys(server.changes).length;
  const reload = server.info.last_reload_time ? `, reloaded ${server.info.last_reload_time}` : "";
  showIf(card.querySelector(".app"), app.length);
  card.querySelector(".app tbody").replaceChildren(...app.map(([key, value]) => row(key, cell(shown(value)))));
  put(card.querySelector(".conf summary"),
    `Configuration${reload}${changed ? `, ${plural(changed, "change")}` : ""}`);
  card.querySelector(".conf tbody").replaceChildren(...confRows(server.conf, server.changes));
}

function draw(server) {
  const card = server.card;
  card.dataset.mood = server.mood;
  put(card.querySelector(".state"), server.mood === "error" ? `${server.state}, error` : server.state);
  const alerts = Object.values(server.alerts || {}).sort();
  showIf(card.querySelector(".alerts"), alerts.length);
  card.querySelector(".alerts").replaceChildren(...alerts.map((text) => marked("li", text)));
  if (!server.info) {
    drawUnheard(card, server);
    return;
  }
  drawText(card, server);
  drawTables(card, server);
  drawFigure(card, "lag", server.info.loop_lag_ms, server.history.lag);
  drawFigure(card, "heap", server.info.lua_heap_bytes, server.history.heap);
  drawFigure(card, "cpu", server.cpu, server.history.cpu);
}

// -- all of them ---------------------------------------------------------------

const rank = (server) => MOODS.indexOf(server.mood);

function compare(a, b) {
  return rank(a) - rank(b) || a.id.localeCompare(b.id);
}

// Cards are moved only where the order is another one: what has the focus keeps it.
function arrange() {
  const wanted = $("filter").value.toLowerCase();
  const sorted = [...servers.values()].sort(compare);
  const place = $("servers");
  sorted.forEach((server, i) => {
    if (place.children[i] !== server.card) place.insertBefore(server.card, place.children[i] || null);
    showIf(server.card, `${server.id} ${server.state}`.toLowerCase().includes(wanted));
  });
  const counts = MOODS.map((mood) => [mood, sorted.filter((server) => server.mood === mood).length]);
  put($("counts"), counts.filter(([, count]) => count).map(([mood, count]) => `${count} ${mood}`).join(", "));
  showIf($("nothing"), sorted.length === 0);
}

function announce(server, before) {
  if (!before || before === server.mood) return;
  const line = document.createElement("span");
  line.textContent = `${server.info ? server.info.name : server.feed} is ${server.state}. `;
  $("news").replaceChildren(line);
}

// A message brings the newest point of each series, not the whole hour.
function extend(history, point) {
  const fresh = Math.min(POINTS, point.step - history.newest);
  for (const name of SERIES) {
    for (let i = 0; i < fresh; i++) history[name].push(false);
    history[name].splice(0, history[name].length - POINTS);
    history[name][history[name].length - 1] = point[name];
  }
  history.newest = Math.max(point.step, history.newest);
}

function take(update) {
  const known = servers.get(update.id) || {};
  const before = known.mood;
  const server = Object.assign(known, update);
  if (update.point && known.history) extend(known.history, update.point);
  if (!server.card) server.card = makeCard(server);
  servers.set(server.id, server);
  draw(server);
  announce(server, before);
}

function forget(id) {
  const server = servers.get(id);
  if (server) server.card.remove();
  servers.delete(id);
}

async function load() {
  const response = await fetch("/api/servers");
  const all = await response.json();
  const ids = new Set(all.map((server) => server.id));
  for (const id of [...servers.keys()]) if (!ids.has(id)) forget(id);
  all.forEach(take);
  arrange();
}

function connected(now) {
  put($("connection"), now ? "Live" : "Connection lost, trying again");
  $("connection").classList.toggle("lost", !now);
}

// What came while the connection was lost is fetched with everything else.
function listen() {
  const events = new EventSource("/events");
  events.onopen = () => load().then(() => connected(true), () => connected(false));
  events.onerror = () => connected(false);
  events.addEventListener("servers", (event) => {
    const updates = JSON.parse(event.data);
    if (updates.some((update) => update.info && !servers.has(update.id))) load();
    else updates.forEach(take);
    arrange();
  });
  events.addEventListener("forget", (event) => {
    JSON.parse(event.data).forEach(forget);
    arrange();
  });
}

$("filter").addEventListener("input", arrange);
listen();
