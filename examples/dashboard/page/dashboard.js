// dashboard.js -- the page: all servers once, then what changes as it comes. Whatever a
// server says is put in as text, never as markup, and may be of any type.
"use strict";

const POINTS = 360;      // an hour, in steps of 10 s
const FEWEST = 60;       // that a sparkline is wide
const HIGH = 32;         // units that it is high
const SERIES = ["lag", "heap", "cpu"];
const MOODS = ["hung", "silent", "error", "busy", "fine"];
const servers = new Map();  // by id; each has its card
let loading = null;         // the promise of load() while it runs
const $ = (id) => document.getElementById(id);

// -- text ----------------------------------------------------------------------

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const number = (value) => isNumber(value) ? value : 0;
const shown = (value) => value === undefined ? "" : JSON.stringify(value);
const text = (value) => typeof value === "string" ? value : value === null ? "" : shown(value);

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}

function span(seconds) {
  const s = Math.max(0, Math.floor(number(seconds)));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

function milliseconds(value) {
  return value < 10000 ? `${value.toFixed(value < 10 ? 2 : 0)} ms` : `${(value / 1000).toFixed(0)} s`;
}

const FIGURES = {
  lag: milliseconds,
  heap: bytes,
  cpu: (value) => `${value.toFixed(1)} %`,
};

const plural = (count, word) => `${number(count)} ${word}${number(count) === 1 ? "" : "s"}`;

// Only what differs is touched: what somebody has selected or unfolded stays.
function put(element, content) {
  if (element.textContent !== content) element.textContent = content;
}

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function showIf(element, wanted) {
  if (element.hidden === Boolean(wanted)) element.hidden = !wanted;
}

function made(name, content) {
  const element = document.createElement(name);
  element.textContent = content;
  return element;
}

// -- sparklines ----------------------------------------------------------------

// Runs of values between the holes, as lists of [x, y]. A lone value is a short line.
function runs(values, first, highest) {
  const found = [];
  values.forEach((value, i) => {
    if (!isNumber(value)) return;
    const y = (HIGH - (HIGH - 2) * (highest > 0 ? value / highest : 0)).toFixed(1);
    if (!isNumber(values[i - 1])) found.push([[Math.max(0, first + i - 1), y]]);
    found[found.length - 1].push([first + i, y]);
  });
  return found;
}

const lineOf = (points) => `M${points.map((point) => point.join(",")).join("L")}`;
const areaOf = (points) => `${lineOf(points)}V${HIGH}H${points[0][0]}Z`;

function drawSparkline(graph, label, values, figure) {
  const width = Math.max(FEWEST, values.length);
  const highest = Math.max(0, ...values.filter(isNumber));
  const found = runs(values, width - values.length, highest);
  set(graph, "viewBox", `0 0 ${width - 1} ${HIGH}`);
  set(graph, "aria-label", `${label} in the last ${span(width * 10)}, at most ${figure(highest)}`);
  set(graph.children[0], "d", found.map(areaOf).join(""));
  set(graph.children[1], "d", found.map(lineOf).join(""));
}

function drawFigure(card, name, now, values) {
  const place = card.querySelector(`.${name}`);
  put(place.querySelector("dd"), FIGURES[name](number(now)));
  drawSparkline(place.querySelector("svg"), place.querySelector("dt").textContent, values, FIGURES[name]);
}

// -- tables --------------------------------------------------------------------

function row(key, ...cells) {
  const line = document.createElement("tr");
  const head = made("th", key);
  head.scope = "row";
  line.append(head, ...cells);
  return line;
}

function cell(...parts) {
  const element = document.createElement("td");
  element.append(...parts);
  return element;
}

function confRow(key, value, change) {
  if (!change) return row(key, cell(shown(value)));
  return row(key, cell(made("del", shown(change.old)), " ", made("ins", shown(change.new))));
}

// What has changed comes first, then the server's own keys, then the runtime's.
function confRows(conf, changes) {
  const place = (key) => key in changes ? 0 : /^(svr|log)\./.test(key) ? 2 : 1;
  const keys = [...new Set([...Object.keys(conf), ...Object.keys(changes)])];
  keys.sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
  return keys.map((key) => confRow(key, conf[key], changes[key]));
}

// Rows are made anew only when they show something else, so that a selection in them stays.
function fill(table, key, rows) {
  if (table.dataset.key === key) return;
  table.dataset.key = key;
  table.replaceChildren(...rows());
}

// -- one card ------------------------------------------------------------------

function makeCard(server) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  const title = card.querySelector("h2");
  title.id = `title ${server.id}`.replace(/\s/g, "-");
  card.setAttribute("aria-labelledby", title.id);
  return card;
}

function drawUnheard(card, server) {
  put(card.querySelector("h2"), server.feed);
  put(card.querySelector(".where"), "nothing has come from this feed yet");
  for (const part of card.querySelectorAll(".figures, details, .counts, .summary, .cluster")) part.hidden = true;
}

function whereOf(server) {
  const info = server.info;
  const parts = [text(info.host), `pid ${number(info.pid)}`, `generation ${number(info.generation)}`, `up ${span(info.uptime)}`];
  const heard = new Date(Date.now() - 1000 * number(server.age)).toLocaleTimeString();
  if (server.mood === "silent") parts.push(`last heard at ${heard}`);
  return parts.join(", ");
}

const memberName = (member) => `${text(member.name)}@${text(member.host)} ${text(member.role)}`;

function drawCluster(place, server) {
  const info = server.info;
  const others = (Array.isArray(info.members) ? info.members : [])
    .filter((member) => member && !(member.pid === info.pid && member.host === info.host)).map(memberName).sort();
  showIf(place, server.cluster);
  if (!server.cluster) return;
  const token = isNumber(info.token) ? `, token ${info.token}` : "";
  put(place, `${text(info.role)} in cluster ${server.cluster}${token}; ${others.join(", ") || "no other member"}`);
}

function drawText(card, server) {
  const info = server.info;
  const find = (selector) => card.querySelector(selector);
  put(find("h2"), text(info.name));
  put(find(".where"), whereOf(server));
  drawCluster(find(".cluster"), server);
  put(find(".counts"), [plural(info.timers, "timer"), plural(info.tasks, "task"),
    plural(info.connections, "connection"), plural(info.errors, "error"),
    `${bytes(number(info.rss_bytes))} resident`].join(", "));
  put(find(".summary"), text(info.last_summary));
  showIf(find(".summary"), info.last_summary);
  showIf(find(".hang"), info.hung_stack);
  put(find(".hang summary"), `Hung for ${span(info.hung_for)}: where`);
  put(find(".hang pre"), text(info.hung_stack));
  showIf(find(".error"), info.last_error);
  put(find(".error summary"), `Last error ${text(info.last_error_time)}: ${text(info.last_error).split("\n")[0]}`);
  put(find(".error pre"), text(info.last_trace) || text(info.last_error));
}

function drawTables(card, server) {
  const app = Object.entries(server.info.app || {}).sort();
  const changed = Object.keys(server.changes).length;
  const reload = server.info.last_reload_time
    ? `, ${changed ? plural(changed, "change") : "reloaded"} ${text(server.info.last_reload_time)}` : "";
  showIf(card.querySelector(".app"), app.length);
  fill(card.querySelector(".app tbody"), shown(app), () => app.map(([key, value]) => row(key, cell(shown(value)))));
  put(card.querySelector(".conf summary"), `Configuration${reload}`);
  fill(card.querySelector(".conf tbody"), shown([server.conf, server.changes]),
    () => confRows(server.conf, server.changes));
}

function drawAlerts(place, alerts) {
  const texts = Object.values(alerts).map(text).sort();
  showIf(place, texts.length);
  if (place.textContent !== texts.join("")) place.replaceChildren(...texts.map((alert) => made("li", alert)));
}

function draw(server) {
  const card = server.card;
  card.dataset.mood = server.mood;
  put(card.querySelector(".state"), server.mood === "error" ? `${server.state}, error` : server.state);
  drawAlerts(card.querySelector(".alerts"), server.alerts);
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
  return rank(a) - rank(b) || (a.id < b.id ? -1 : 1);
}

function drawCounts(all) {
  const counts = MOODS.map((mood) => [mood, all.filter((server) => server.mood === mood).length]);
  const items = counts.filter(([, count]) => count).map(([mood, count]) => {
    const item = made("li", `${count} ${mood}`);
    item.dataset.mood = mood;
    return item;
  });
  $("counts").replaceChildren(...items);
  const bad = counts[0][1] + counts[1][1];
  document.title = `${bad ? `(${bad}) ` : ""}Tiny dashboard`;
}

// The worst come first. Cards are moved only where the order is another one, and what has the
// focus keeps it.
function arrange() {
  const wanted = $("filter").value.toLowerCase();
  const focused = document.activeElement;
  const sorted = [...servers.values()].sort(compare);
  const place = $("servers");
  sorted.forEach((server, i) => {
    if (place.children[i] !== server.card) place.insertBefore(server.card, place.children[i] || null);
    showIf(server.card, `${server.id} ${server.state} ${server.mood}`.toLowerCase().includes(wanted));
  });
  if (document.activeElement !== focused) focused.focus({ preventScroll: true });
  drawCounts(sorted);
  showIf($("nothing"), sorted.length === 0);
}

function announce(server, before) {
  if (!before || before === server.mood) return;
  const name = server.info ? text(server.info.name) : server.feed;
  const state = server.mood === "error" ? `${server.state}, with an error` : server.state;
  $("news").replaceChildren(made("span", `${name} is ${state}. `));
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
  const server = Object.assign(known, { cluster: null }, update);
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

// An update without the configuration is not enough for a server that is new here, or was reloaded
// or restarted unseen.
function lacks(update) {
  const known = servers.get(update.id);
  if (!update.info || update.conf && known) return false;
  return !known || ["pid", "start_time", "generation"].some((key) => known.info[key] !== update.info[key]);
}

// What came while the connection was lost is fetched with everything else.
function listen() {
  const events = new EventSource("/events");
  const reload = () => {
    loading ||= load().then(() => connected(true), () => connected(false)).finally(() => { loading = null; });
  };
  events.onopen = reload;
  events.onerror = () => connected(false);
  events.addEventListener("servers", (event) => {
    const updates = JSON.parse(event.data);
    if (updates.some(lacks)) reload();
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
