// The conversation with the server: who we are, requests, uploads, the stream.

const SHELF = "deepselfie.guest"; // where the browser keeps this guest's name and token
const MOODS = "amber brave calm candid early gentle golden happy lucky mellow merry quiet sunny swift witty".split(" ");
const ANIMALS = "badger finch fox hare heron ibis koala lark lynx marten otter owl panda robin seal wren".split(" ");
const LONGEST_PAUSE = 15000; // milliseconds between attempts to reconnect
const POLL_EVERY = 3000; // milliseconds, while there is no stream
const UNREACHABLE = "The server of this page can't be reached. Does `make demo` still run? Nothing is lost; try again.";
let guest = null;

const pick = (words) => words[Math.floor(Math.random() * words.length)];
const sentence = (message) => message.replace(/^Validation failed: /, "").replace(/^Too.*/, "$&: wait a moment, then try again.");
const refusal = (message, status) => Object.assign(new Error(sentence(message)), { status });
const sleep = (milliseconds) => new Promise((wake) => { setTimeout(wake, milliseconds); });

// Outside of localhost and HTTPS browsers hide randomUUID, but not this.
export const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

export async function join() {
  try {
    guest = JSON.parse(localStorage.getItem(SHELF));
    if (guest) await api("GET", "/api/v1/accounts/verify_credentials");
  } catch (error) {
    if ("status" in error && error.status !== 401) throw error;
    guest = null; // the sandbox was started afresh, or this window remembers nothing
  }
  for (let number = ""; !guest; number = `_${Math.floor(1000 + Math.random() * 9000)}`) {
    guest = await api("POST", "/sandbox/people", { username: `${pick(MOODS)}_${pick(ANIMALS)}${number}` })
      .catch((error) => { if (error.status !== 409) throw error; }); // taken: try another name
  }
  try {
    localStorage.setItem(SHELF, JSON.stringify(guest));
  } catch { /* a private window forgets us when it closes, and that is what it is for */ }
  return guest;
}

export async function api(method, path, json, headers = {}) {
  const body = json && { body: JSON.stringify(json) };
  if (guest) headers.Authorization = `Bearer ${guest.access_token}`;
  if (json) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, ...body }).catch(() => { throw refusal(UNREACHABLE, 0); });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw refusal(answer.error ?? `The server answered ${response.status}.`, response.status);
  return answer;
}

// fetch cannot tell how much of an upload has left, XMLHttpRequest can.
export async function upload(file, description, onProgress) {
  const form = new FormData();
  form.append("file", file);
  form.append("description", description);
  let media = await new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v2/media");
    request.setRequestHeader("Authorization", `Bearer ${guest.access_token}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(refusal(UNREACHABLE, 0));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(refusal(request.response?.error ?? `The server answered ${request.status}.`, request.status));
    };
    request.send(form);
  });
  for (; !media.url; media = await api("GET", `/api/v1/media/${media.id}`)) await sleep(300); // being processed
  return media.id;
}

// Events as they happen; while there is no stream, `poll` is called every few seconds instead.
export async function follow({ onEvent, onState, poll, rejoin }) {
  const address = `${location.origin.replace(/^http/, "ws")}/api/v1/streaming?stream=user`;
  for (let pause = 500; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    const socket = new WebSocket(address, guest.access_token); // as a protocol the token stays out of logs
    socket.onmessage = ({ data }) => onEvent(JSON.parse(data));
    socket.onopen = () => {
      pause = 500;
      onState("live");
      poll(); // what happened while nobody listened
    };
    await new Promise((closed) => { socket.onclose = closed; });
    onState("reconnecting");
    const polling = setInterval(poll, POLL_EVERY);
    await sleep(pause * (0.5 + Math.random())); // jitter: not everybody comes back at once
    clearInterval(polling);
    await rejoin().catch(() => {}); // started afresh, the network does not know us any more
  }
}
