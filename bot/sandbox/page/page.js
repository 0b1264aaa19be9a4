// The page: choose photos, ask, see the answer.

import { api, follow, join, randomKey, upload } from "./network.js";
import { LATE, plain, remove, show, took, waits } from "./posts.js";

const MOST_PHOTOS = 4;
const at = (id) => document.getElementById(id);
const announce = (text) => { at("announcer").textContent = text; };
const complain = (text) => {
  at("problem").textContent = text;
  if (text) at("problem").scrollIntoView({ block: "nearest" });
};
let me = null;
let photos = []; // { file, element, id once uploaded }
let key = randomKey(); // the same for every attempt to send one post, so that it is posted once
let busy = false;

const isPhoto = (file) => /^(image\/(jpeg|png|webp|gif|avif|hei[cf])|video\/)/.test(file.type) || /\.(avif|hei[cf])$/i.test(file.name); // not every system knows their types

function add(files) {
  complain("");
  for (const file of files) {
    if (!isPhoto(file)) complain(`${file.name} is no photo. JPEG, PNG, GIF, WebP, AVIF and HEIC work.`);
    else if (photos.length >= MOST_PHOTOS) complain(`Up to four photos a post: ${file.name} was left out.`);
    else photos.push(print(file));
  }
  arrange();
}

function print(file) {
  const element = at("print-template").content.firstElementChild.cloneNode(true);
  const photo = { file, element, id: null };
  element.querySelector("img").src = URL.createObjectURL(file);
  element.querySelector("img").onerror = () => element.classList.add("no-preview");
  element.querySelector("input").oninput = () => { photo.id = null; }; // described anew, uploaded anew
  element.querySelector(".remove").onclick = () => {
    const next = photos[photos.indexOf(photo) + 1] ?? photos[photos.indexOf(photo) - 1];
    discard([photo]);
    (next?.element.querySelector(".remove") ?? at("file")).focus();
    announce(`${file.name} removed.`);
  };
  return photo;
}

function discard(gone) {
  for (const { element } of gone) URL.revokeObjectURL(element.querySelector("img").src);
  photos = photos.filter((photo) => !gone.includes(photo));
  arrange();
}

function arrange() {
  key = randomKey();
  photos.forEach(({ element, file }, index) => {
    element.querySelector(".remove").ariaLabel = `Remove photo ${index + 1}, ${file.name}`;
    element.querySelector("input").ariaLabel = `Describe photo ${index + 1} for people who can't see it`;
  });
  at("prints").replaceChildren(...photos.map(({ element }) => element));
  at("finder").dataset.count = photos.length;
  at("invite").textContent = photos.length ? "Add another" : "Choose a photo";
}

function progress(share, text) {
  at("progress").hidden = !text;
  at("progress-bar").value = share * 100;
  at("progress-text").textContent = text;
}

async function send(event) {
  event.preventDefault();
  const text = at("text").value.trim();
  complain(photos.length || text ? "" : "Choose a photo first, or paste a link to one.");
  if (at("problem").textContent) at("file").focus();
  else if (!busy) {
    at("send").ariaDisabled = String(busy = true);
    await post(/@deepselfie\b/i.test(text) ? text : `@deepselfie ${text}`).catch((error) => complain(error.message));
    at("send").ariaDisabled = String(busy = false);
    progress(0, "");
  }
}

async function post(status) {
  const sent = [...photos];
  for (const [index, photo] of sent.entries()) {
    const text = `Uploading photo ${index + 1} of ${sent.length}`;
    const description = photo.element.querySelector("input").value.trim();
    announce(text);
    // A photo that arrived in an earlier attempt is not sent again.
    photo.id ??= await upload(photo.file, description, (share) => progress(share, text));
  }
  const body = { status, media_ids: sent.map(({ id }) => id), visibility: "public" };
  const posted = await api("POST", "/api/v1/statuses", body, { "Idempotency-Key": key });
  at("text").value = "";
  discard(sent);
  receive(posted);
  if (waits(posted)) announce("Posted. Waiting for the reply."); // unless the stream was faster with the reply
  at("file").focus({ preventScroll: true });
  at("posts").firstElementChild.scrollIntoView({ block: "nearest" });
}

function receive(status) {
  const answered = show(status, at("posts"), () => status.account.id === me.id && announce(LATE));
  if (answered?.account.id !== me.id) return;
  announce(`deepselfie ${took(status, answered)}: ${plain(status)}`);
  document.querySelector(`[data-id="${status.id}"]`).scrollIntoView({ block: "nearest" });
}

async function catchUp() {
  const posts = await api("GET", "/api/v1/timelines/home?limit=40").catch(() => []); // the next poll tries again
  posts.reverse().forEach(receive);
}

// Every attempt to reconnect says "reconnecting", but it is news only once; nor is it news to be live at first.
function linked(state) {
  const before = at("link-state").dataset.state;
  at("link-state").dataset.state = at("link-state").textContent = state;
  if (state === "live" && before === "reconnecting") announce("Connected again.");
  if (state === "reconnecting" && before !== state) announce("The connection is lost. Reconnecting.");
}

function wire() {
  const hover = (over) => at("finder").classList.toggle("over", over);
  at("composer").onsubmit = send;
  at("text").oninput = () => { key = randomKey(); };
  at("text").onkeydown = (event) => { // braces: a handler that returns false swallows the key
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("composer").requestSubmit();
  };
  at("file").onchange = () => {
    add(at("file").files);
    at("file").value = ""; // so that the same file can be chosen again
  };
  document.onpaste = ({ clipboardData }) => clipboardData.files.length && add(clipboardData.files);
  document.ondragleave = ({ relatedTarget }) => relatedTarget ?? hover(false);
  document.ondragover = (event) => event.preventDefault(hover(true));
  document.ondrop = (event) => {
    event.preventDefault(hover(false));
    add(event.dataTransfer.files);
  };
}

const enter = async () => { at("guest-name").textContent = (me = await join()).username; };

async function start() {
  await enter().catch((error) => complain(error.message));
  if (!me) return setTimeout(start, 3000);
  complain("");
  at("guest").hidden = false;
  await catchUp();
  at("wall").classList.add("ready"); // from now on, no posts means that there are none
  return follow({
    poll: catchUp,
    rejoin: enter,
    onEvent: ({ event, payload }) => {
      if (event === "update") receive(JSON.parse(payload));
      if (event === "delete") remove(payload);
    },
    onState: linked,
  });
}

wire();
start();
