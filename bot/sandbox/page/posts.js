// Statuses → what is seen. Nothing a server sends is ever parsed into the page itself.

const BOT = "deepselfie";
const PATIENCE = 60; // seconds the bot promises to answer in
export const LATE = "No answer yet. Is the bot running?";
const ALLOWED = ["p", "br", "a", "span"]; // what Mastodon's content is made of
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

const threads = new Map(); // status id → the <li> of the post its thread began with
const shown = new Map(); // status id → status
const looking = new Map(); // id of a post that waits for the bot → its row
let ticking = 0;

const older = (a, b) => a.length < b.length || (a.length === b.length && a < b); // ids exceed JS numbers
const parse = (status) => new DOMParser().parseFromString(status.content, "text/html").body;
const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
const make = (name, properties) => Object.assign(document.createElement(name), properties);
const place = (item, list, isAfter) => list.insertBefore(item, [...list.children].find(isAfter) ?? null);
export const waits = ({ id }) => looking.has(id);

export const took = (reply, post) =>
  `answered in ${((Date.parse(reply.created_at) - Date.parse(post.created_at)) / 1000).toFixed(1)} s`;

export function plain(status) {
  const body = parse(status);
  body.querySelectorAll("br").forEach((br) => br.replaceWith("\n"));
  return body.textContent.replace(/^(@\w+\s*)+/, "");
}

// Shows a status once; returns the post it answers, if that was waiting for the bot. `onLate` is called once
// if the answer to this status takes too long from now on.
export function show(status, list, onLate) {
  const thread = threads.get(status.in_reply_to_id);
  if (shown.has(status.id) || (status.in_reply_to_id && !thread)) return null; // known, or of an older thread
  const item = clone("post-template");
  fill(item, status);
  shown.set(status.id, status);
  threads.set(status.id, thread ?? item);
  if (!thread) {
    place(item, list, (other) => older(other.dataset.id, status.id));
    if (status.mentions.some(({ username }) => username === BOT)) wait(status, item, onLate);
    return null;
  }
  item.querySelector(".replies").remove();
  place(item, thread.querySelector(".replies"), ({ dataset }) => !dataset.id || older(status.id, dataset.id));
  const waited = status.account.username === BOT && looking.has(status.in_reply_to_id);
  stopLooking(waited && status.in_reply_to_id);
  return waited ? shown.get(status.in_reply_to_id) : null;
}

export function remove(id) {
  document.querySelector(`[data-id="${CSS.escape(id)}"]`)?.remove();
  stopLooking(id);
}

function fill(item, status) {
  const [author, robot, face, time, photos] = ["author", "robot", "face", "time", "photos"]
    .map((name) => item.querySelector(`.${name}`));
  const { username, bot } = status.account;
  const date = new Date(status.created_at);
  item.dataset.id = status.id;
  author.textContent = username;
  robot.hidden = !bot;
  face.textContent = username === BOT ? "" : username[0].toUpperCase();
  face.classList.toggle("bot-face", username === BOT);
  face.style.setProperty("--hue", [...username].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7));
  const clock = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  Object.assign(time, { dateTime: status.created_at, textContent: clock, title: date.toLocaleString() });
  photos.append(...status.media_attachments.map(media));
  photos.dataset.count = status.media_attachments.length;
  words(item.querySelector(".words"), status);
  if (username === BOT) verdict(item, status);
}

function words(element, status) {
  const body = parse(status);
  const greeting = body.querySelector("p:first-child > .h-card:first-child");
  // Who is answered the thread already shows, and a post may be nothing but the mention.
  if (status.in_reply_to_id || !plain(status)) greeting?.remove();
  const warned = status.spoiler_text ? make("details") : element;
  if (status.spoiler_text) warned.append(make("summary", { textContent: status.spoiler_text }));
  warned.append(...[...body.childNodes].map(safe));
  if (status.spoiler_text) element.append(warned);
}

// Copies a node if it is of an allowed kind, with nothing on it but what we know.
function safe(node) {
  if (!ALLOWED.includes(node.localName)) return node.textContent;
  const copy = make(node.localName);
  const web = node.localName === "a" && /^https?:/i.test(node.href);
  if (web) Object.assign(copy, { href: node.href, rel: "nofollow noopener noreferrer", target: "_blank" });
  copy.className = ["invisible", "ellipsis"].filter((name) => node.classList.contains(name)).join(" ");
  copy.append(...[...node.childNodes].map(safe));
  return copy;
}

function media({ type, url, preview_url: preview, description, meta }) {
  const figure = make("figure");
  const label = description || `A ${type === "image" ? "photo" : type} without a description`;
  const { width, height } = meta.original ?? {};
  const view = type === "video" || type === "audio"
    ? make(type, { src: url, controls: true, preload: "metadata", ariaLabel: label })
    : make("img", { src: (type === "gifv" && calm && preview) || url, alt: label });
  if (width) Object.assign(view, { width, height }); // keeps the page still while photos load
  view.onerror = () => figure.replaceChildren("This file can't be shown.");
  figure.append(view);
  return figure;
}

// The score, large: "73/100", or in any language one for each of several photos, on a scale like a light meter's.
function verdict(item, status) {
  const post = shown.get(status.in_reply_to_id);
  item.querySelector(".post").classList.add("verdict");
  item.querySelector(".took").textContent = post ? took(status, post) : "";
  for (const [, photo, points] of plain(status).matchAll(/(?:(\d)\s?[:：]\s?)?(\d{1,3})\/100/g)) {
    const scale = make("i");
    scale.style.setProperty("--points", Math.min(points, 100));
    const row = make("div");
    row.append(make("b", { textContent: points }), make("span", { textContent: "/100" }), scale);
    if (photo) scale.before(make("em", { textContent: `Photo ${photo}` }));
    item.querySelector(".score").append(row);
  }
}

function wait(status, item, onLate) {
  const row = clone("looking-template");
  item.querySelector(".replies").append(row);
  looking.set(status.id, { row, since: Date.parse(status.created_at), late: null, onLate });
  ticking ||= setInterval(tick, calm ? 1000 : 100);
  tick();
}

function stopLooking(id) {
  looking.get(id)?.row.remove();
  looking.delete(id);
}

function tick() {
  let busy = false;
  for (const waiting of looking.values()) {
    const { row, since } = waiting;
    const seconds = Math.max(0, (Date.now() - since) / 1000);
    const late = seconds > PATIENCE;
    busy ||= !late;
    if (late && waiting.late === false) waiting.onLate(); // what was late when it was first shown is no news
    waiting.late = late;
    row.classList.toggle("late", late);
    row.querySelector(".state").textContent = late ? LATE : "deepselfie is looking";
    row.querySelector(".clock").textContent = late ? "" : `${seconds.toFixed(calm ? 0 : 1)} s`;
  }
  if (!busy) ticking = clearInterval(ticking) ?? 0;
}
