"use strict";
// The page: photographs are sent one after the other, the server is asked how they stand, and the
// one that is looked at is shown in its style. What files and the server say is shown as text only.

const $ = (id) => document.getElementById(id);
const PLAIN_STYLE = { saturation: 1, upsampling: "edge-aware" };
const OFTEN = 500, SELDOM = 30000; // milliseconds between questions: while some wait, and else

let about; // the album: its id, the server's limits, the models' names
const photographs = []; // in the order in which they came: {key, file, id, name, state, style, row}
const removed = new Set(); // ids, of which an answer on its way may still tell
let chosen = null;
let told = { networks: "loading", seconds: null };
let timer, sending = false, painting = false, stale = false;
const shown = { before: null, after: null }; // addresses of the pictures, to be given back

class Refused extends Error {}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    throw new Error("The program does not answer. If it ended, start koala-face web again.");
  }
  if (answer.ok) return answer;
  let text = `The program answered with ${answer.status}.`;
  try { text = (await answer.json()).error; } catch (error) { /* no words came with it */ }
  throw Object.assign(new Refused(text), { status: answer.status });
}

const place = (one, last = "") => `/albums/${about.id}/photographs/${one.id}${last}`;
const styled = (one, last) => `${place(one, last)}?${new URLSearchParams(one.style)}`;

function complain(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

async function guarded(work) {
  try { complain(""); await work(); } catch (error) { complain(error.message); }
}

// ---- The album

async function begin() {
  const kept = JSON.parse(sessionStorage.getItem("album") || "null");
  if (kept) {
    about = kept;
    try { await ask(`/albums/${about.id}`); } catch (error) {
      if (error.status !== 404) throw error;
      about = null;
    }
  }
  if (!about) about = await (await ask("/albums", { method: "POST" })).json();
  sessionStorage.setItem("album", JSON.stringify(about));
  const gigabytes = (about.storage / 1e9).toLocaleString("en", { maximumFractionDigits: 1 });
  $("storage").textContent = `Photographs and results lie in a private temporary folder of at most ` +
    `${gigabytes} GB, which goes when the program ends.`;
  if (!["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) {
    $("privacy").textContent = `Photographs go to ${location.hostname}, and no further.`;
  }
  $("models").hidden = about.variants.length < 2;
  for (const variant of about.variants) {
    const [label, input, text] = ["label", "input", "span"].map((x) => document.createElement(x));
    Object.assign(input, { type: "radio", name: "variant", value: variant });
    text.textContent = variant[0].toUpperCase() + variant.slice(1);
    label.append(input, text);
    $("variants").append(label);
  }
  await look();
}

async function look() {
  clearTimeout(timer);
  if (about) {
    try {
      told = await (await ask(`/albums/${about.id}`)).json();
      told.photographs.forEach(update);
      if (told.networks === "failed") complain(told.error);
    } catch (error) { complain(error.message); }
  }
  report();
  const waits = photographs.some((one) => one.id && ["waiting", "working"].includes(one.state));
  timer = setTimeout(look, waits ? OFTEN : SELDOM);
}

function update(news) {
  let one = photographs.find((x) => x.id === news.id);
  if (!one && !sending && !removed.has(news.id)) { // the page was loaded anew
    one = add({ id: news.id, name: news.name });
  }
  if (!one) return;
  const before = one.state;
  Object.assign(one, news);
  if (before !== "ready" && one.state === "ready") {
    one.picture.replaceChildren(Object.assign(new Image(), { src: styled(one, "/small"), alt: "" }));
    if (!chosen) choose(one);
  }
}

// ---- Sending

function take(files) {
  for (const file of files) {
    const one = add({ file, name: file.name, state: "unsent" });
    if (about && file.size > about.largest) {
      one.state = "failed";
      one.error = `larger than ${Math.floor(about.largest / 1e6)} MB.`;
    }
  }
  report();
  send();
}

async function send() {
  if (sending || !about) return;
  sending = true;
  for (let one; (one = photographs.find((x) => x.state === "unsent")); ) {
    one.state = "sending";
    report();
    try {
      const name = encodeURIComponent(one.name.toWellFormed?.() ?? one.name);
      const path = `/albums/${about.id}/photographs?name=${name}`;
      const news = await (await ask(path, { method: "POST", body: one.file })).json();
      Object.assign(one, news, { state: "waiting" });
    } catch (error) {
      Object.assign(one, { state: "failed", error: error.message });
    }
    one.file = null;
    await look();
  }
  sending = false;
}

// ---- The list

function add(given) {
  const one = { state: "waiting", ahead: 0, notes: [], ...given };
  one.style = { variant: about ? about.variants[0] : "faithful", ...PLAIN_STYLE };
  one.row = document.createElement("li");
  one.button = Object.assign(document.createElement("button"), { type: "button", className: "one" });
  one.picture = Object.assign(document.createElement("span"), { className: "picture" });
  one.picture.append(Object.assign(document.createElement("span"), { className: "blank" }));
  const words = document.createElement("span");
  [one.title, one.words] = [document.createElement("b"), document.createElement("small")];
  words.append(one.title, one.words);
  one.button.append(one.picture, words);
  one.button.addEventListener("click", () => choose(one));
  one.dismiss = Object.assign(document.createElement("button"), { type: "button", className: "dismiss" });
  one.dismiss.textContent = "✕";
  one.dismiss.addEventListener("click", () => guarded(() => remove(one)));
  one.row.append(one.button, one.dismiss);
  photographs.push(one);
  $("list").append(one.row);
  return one;
}

function wording(one) {
  const turn = one.ahead ? `waiting, ${one.ahead} ahead` : "waiting";
  const size = one.size ? `${one.size[1]} × ${one.size[0]}` : "";
  return { unsent: "waiting to be sent", sending: "being sent", waiting: turn, working: "being coloured",
    ready: size, failed: one.error }[one.state];
}

function put(node, text) { // only what differs: a screen reader would say it again
  if (node.textContent !== text) node.textContent = text;
}

function report() {
  for (const one of photographs) {
    put(one.title, one.name);
    put(one.words, wording(one) || "");
    one.button.disabled = one.state !== "ready";
    one.row.className = { failed: "bad", working: "working" }[one.state] || "";
    one.dismiss.hidden = one.state === "sending";
    one.dismiss.setAttribute("aria-label", `Remove ${one.name}`);
  }
  const done = photographs.filter((one) => ["ready", "failed"].includes(one.state)).length;
  const failed = photographs.filter((one) => one.state === "failed").length;
  const any = photographs.length > 0;
  document.body.classList.toggle("busy", any);
  $("work").hidden = $("standing").hidden = !any;
  $("progress").max = photographs.length || 1;
  $("progress").value = done;
  $("progress").hidden = done === photographs.length;
  $("save").disabled = done === failed;
  put($("count"), photographs.length === 1 ? "1 photograph" : `${photographs.length} photographs`);
  put($("status"), any ? progress(done, failed) : "");
}

function progress(done, failed) {
  const count = photographs.length, left = count - done;
  if (!left && !failed) return "All coloured.";
  if (!left) return `${count - failed} of ${count} coloured, ${failed} could not be.`;
  const text = `${done} of ${count} done`;
  if (told.networks === "loading") return `${text}. The networks are being loaded, once.`;
  if (!told.seconds) return `${text}.`;
  const turns = Math.max(left, ...photographs.map((one) => (one.state === "waiting" ? one.ahead + 1 : 0)));
  const seconds = Math.max(1, Math.round(told.seconds * turns));
  const rounded = seconds < 10 ? seconds : 5 * Math.round(seconds / 5);
  return `${text}, about ${seconds < 90 ? `${rounded} s` : `${Math.round(seconds / 60)} min`} left.`;
}

async function remove(one) {
  if (one.id) await ask(place(one), { method: "DELETE" });
  removed.add(one.id);
  const next = one.row.nextElementSibling || one.row.previousElementSibling;
  photographs.splice(photographs.indexOf(one), 1);
  one.row.remove();
  if (one === chosen) {
    chosen = null;
    $("viewer").hidden = true;
    const other = photographs.find((x) => x.row === next && x.state === "ready") ||
      photographs.find((x) => x.state === "ready");
    if (other) choose(other);
  }
  report();
  const focus = next && next.querySelector("button:enabled");
  (focus || $("files")).focus();
}

// ---- The one that is looked at

function choose(one) {
  for (const other of photographs) other.button.removeAttribute("aria-current");
  one.button.setAttribute("aria-current", "true");
  const first = !chosen;
  chosen = one;
  $("viewer").hidden = false;
  put($("title"), one.name);
  put($("notes"), one.notes.join("\n"));
  const [height, width] = one.size;
  $("compare").style.setProperty("--ratio", width / height);
  $("compare").style.setProperty("--widest", `${Math.max(640, width)}px`);
  $("before").alt = `${one.name} before`;
  $("after").alt = `${one.name}, coloured`;
  for (const name of ["before", "after"]) $(name).removeAttribute("src");
  for (const input of $("style").querySelectorAll("[type=radio]")) {
    input.checked = input.value === one.style[input.name];
  }
  $("saturation").value = one.style.saturation;
  word();
  guarded(async () => {
    const picture = await fetched(place(one, "/before"));
    if (one === chosen) display("before", picture);
  });
  paint();
  if (!first) $("viewer").scrollIntoView({ block: "nearest" });
}

const fetched = async (path) => (await ask(path)).blob();

function display(name, blob) {
  if (shown[name]) URL.revokeObjectURL(shown[name]);
  shown[name] = $(name).src = URL.createObjectURL(blob);
}

async function paint() { // one at a time; what changed meanwhile is painted after it
  if (painting) { stale = true; return; }
  painting = true;
  $("compare").setAttribute("aria-busy", "true");
  await guarded(async () => {
    do {
      stale = false;
      const one = chosen;
      if (!one) break;
      const picture = await fetched(styled(one, "/after"));
      if (one === chosen) display("after", picture);
    } while (stale);
  });
  painting = false;
  $("compare").removeAttribute("aria-busy");
  if (stale) paint();
}

function word() {
  const percent = `${Math.round(100 * $("saturation").value)} %`;
  put($("strength"), percent);
  $("saturation").setAttribute("aria-valuetext", percent);
}

function slide() {
  $("compare").style.setProperty("--split", `${$("split").value}%`);
  $("split").setAttribute("aria-valuetext", `${$("split").value} % before`);
}

const save = (href) => Object.assign(document.createElement("a"), { href, download: "" }).click();

async function download() {
  const button = $("download"), one = chosen;
  button.disabled = true;
  put(button, "Writing it at full size …");
  await guarded(async () => {
    await ask(styled(one, "/result"), { method: "POST" });
    save(styled(one, "/result"));
  });
  button.disabled = false;
  put(button, "Download");
  button.focus();
}

$("split").addEventListener("input", slide);
$("style").addEventListener("input", () => {
  const data = new FormData($("style"));
  for (const [name, value] of data) chosen.style[name] = value;
  word();
  paint();
});
$("style").addEventListener("submit", (event) => event.preventDefault());
$("download").addEventListener("click", download);
$("share").addEventListener("click", () => {
  for (const one of photographs) one.style = { ...chosen.style };
  put($("status"), "All photographs are coloured like this one now.");
});
$("save").addEventListener("click", () => guarded(async () => {
  const styles = Object.fromEntries(photographs.map((one) => [one.id, one.style]));
  await ask(`/albums/${about.id}/zip`, { method: "POST", body: JSON.stringify(styles) });
  save(`/albums/${about.id}/zip`);
}));

// ---- Choosing and dropping

$("files").addEventListener("change", () => { take($("files").files); $("files").value = ""; });
let depth = 0; // dragenter and dragleave come for every element on the way
const over = (by) => { depth = Math.max(0, depth + by); $("drop").classList.toggle("over", depth > 0); };
document.addEventListener("dragenter", () => over(1));
document.addEventListener("dragleave", () => over(-1));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over(-depth);
  take(event.dataTransfer.files);
});

slide();
guarded(async () => { await begin(); send(); });
