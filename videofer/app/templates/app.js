// The page of the app: uploads, what becomes of them, and where their files are. All text goes in as text.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.addEventListener("change", paint);
paint();

const POLL_MS = 700;
const list = document.getElementById("videos");
const drop = document.getElementById("drop");
const problem = document.getElementById("problem");
const uploads = new Map(); // number -> { name, size, sent, request }
const rows = new Map(); // id -> <li>
let about = null;
let nextUpload = 1;
const queue = [];
let sending = false;

function size(bytes) {
  for (const [unit, scale] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= scale) return (bytes / scale).toFixed(bytes >= 10 * scale ? 0 : 1) + " " + unit;
  }
  return bytes + " bytes";
}

function complain(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

function say(text) {
  document.getElementById("live").textContent = text;
}

// --- uploading ---------------------------------------------------------------------------------

function take(files) {
  complain("");
  for (const file of files) {
    if (about && file.size > about.max_bytes) {
      complain(`${file.name} has ${size(file.size)}; the limit of this app is ${size(about.max_bytes)}`);
      continue;
    }
    queue.push(file);
  }
  send();
}

function send() { // one after the other: the disk is one
  if (sending || !queue.length) return;
  sending = true;
  const file = queue.shift();
  const number = `upload-${nextUpload++}`;
  const request = new XMLHttpRequest();
  uploads.set(number, { id: number, name: file.name, num_bytes: file.size, state: "uploading", share: 0, request });
  request.open("POST", "/api/videos?name=" + encodeURIComponent(file.name));
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.onprogress = (event) => {
    uploads.get(number).share = event.total ? event.loaded / event.total : 0;
    draw();
  };
  request.onloadend = () => {
    uploads.delete(number);
    sending = false;
    if (request.status !== 201) {
      let reason = `${file.name}: the upload broke off`;
      try { reason = JSON.parse(request.responseText).reason || reason; } catch { /* no answer came */ }
      if (!request.cancelled) complain(reason);
    }
    refresh();
    send();
  };
  request.send(file);
  draw();
}

drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
for (const name of ["dragover", "drop"]) { // beside the field a drop would leave the page
  window.addEventListener(name, (event) => event.preventDefault());
}
document.getElementById("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});

// --- the list ----------------------------------------------------------------------------------

let items = [];

async function refresh() {
  let answer;
  try {
    answer = await fetch("/api/videos");
    if (!answer.ok) throw new Error(await answer.text());
  } catch {
    complain("The app does not answer. Is it still running?");
    return;
  }
  if (problem.textContent.startsWith("The app does not answer")) complain("");
  const told = await answer.json();
  if (!about) tellAbout(told.about);
  const before = new Map(items.map((item) => [item.id, item.state]));
  for (const item of told.items) {
    if (before.get(item.id) === "working" && item.state === "done") say(`The report of ${item.name} is ready.`);
    if (before.get(item.id) === "working" && item.state === "failed") say(`${item.name} failed: ${item.reason}`);
  }
  items = told.items;
  draw();
}

function tellAbout(facts) {
  about = facts;
  document.getElementById("model").textContent = `Model ${facts.model}, ${facts.reports}: ${facts.classes.join(", ")}`;
  document.getElementById("limit").textContent =
    `Up to ${size(facts.max_bytes)} each. Nothing leaves this computer.`;
  document.getElementById("folder").textContent =
    `Videos and results lie in ${facts.folder}. Delete a video here, or the whole folder there.`;
}

function factsOf(item, place) {
  switch (item.state) {
    case "uploading": return `${size(item.num_bytes)}, being copied`;
    case "waiting": return `${size(item.num_bytes)}, ${place ? `number ${place} in the queue` : "next"}`;
    case "working": return `${item.stage || "starting"}, ${Math.round(item.share * 100)} %${left(item)}`;
    case "failed": return item.reason;
    default: return size(item.num_bytes);
  }
}

const begun = new Map(); // id -> when and at which share we first saw it at work

function left(item) {
  if (!begun.has(item.id)) begun.set(item.id, { at: Date.now(), share: item.share });
  const first = begun.get(item.id);
  const seconds = (Date.now() - first.at) / 1000;
  if (seconds < 4 || item.share - first.share < 0.02) return "";
  const rest = seconds * (1 - item.share) / (item.share - first.share);
  return rest < 90 ? `, about ${Math.ceil(rest / 5) * 5} s left` : `, about ${Math.round(rest / 60)} min left`;
}

function draw() {
  const waiting = items.filter((item) => item.state === "waiting").reverse();
  const shown = [...[...uploads.values()].reverse(), ...items];
  const ids = new Set(shown.map((item) => item.id));
  for (const [id, row] of rows) {
    if (!ids.has(id)) { row.remove(); rows.delete(id); }
  }
  shown.forEach((item, index) => {
    let row = rows.get(item.id);
    if (!row) { row = newRow(item); rows.set(item.id, row); }
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] || null);
    fill(row, item, waiting.indexOf(item));
  });
  document.getElementById("empty").hidden = shown.length > 0;
}

function newRow(item) {
  const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  row.querySelector(".name").textContent = item.name;
  row.querySelector(".progress").setAttribute("aria-label", item.name);
  row.querySelector(".delete").addEventListener("click", () => remove(item));
  row.querySelector(".delete").setAttribute("aria-label", `Delete ${item.name}`);
  row.querySelector(".again").addEventListener("click", async () => {
    await fetch(`/api/videos/${item.id}/again`, { method: "POST" });
    refresh();
  });
  return row;
}

function fill(row, item, place) {
  const percent = Math.round(item.share * 100);
  row.className = "video " + item.state;
  row.querySelector(".facts").textContent = factsOf(item, place);
  const bar = row.querySelector(".progress");
  bar.hidden = item.state !== "uploading" && item.state !== "working";
  bar.setAttribute("aria-valuenow", percent);
  bar.firstElementChild.style.transform = `scaleX(${item.share})`;
  const done = item.state === "done";
  for (const name of [".open", ".all", ".files"]) row.querySelector(name).hidden = !done;
  row.querySelector(".again").hidden = item.state !== "failed";
  row.querySelector(".delete").textContent = item.state === "uploading" ? "Cancel" : "Delete";
  if (done && !row.dataset.done) {
    row.dataset.done = "yes";
    row.querySelector(".open").href = `/videos/${item.id}/results/${encodeURIComponent(item.report)}`;
    row.querySelector(".all").href = `/videos/${item.id}/exports.zip`;
    const files = row.querySelector(".files ul");
    for (const file of item.exports) {
      const link = document.createElement("a");
      link.href = `/videos/${item.id}/results/${encodeURIComponent(file.name)}?download`;
      link.append(file.name, Object.assign(document.createElement("span"), { textContent: size(file.num_bytes) }));
      files.append(Object.assign(document.createElement("li"), {}));
      files.lastElementChild.append(link);
    }
  }
}

async function remove(item) {
  if (item.request) {
    item.request.cancelled = true;
    item.request.abort();
    return;
  }
  if (!confirm(`Delete ${item.name} with its results?`)) return;
  await fetch(`/api/videos/${item.id}`, { method: "DELETE" });
  say(`${item.name} is deleted.`);
  refresh();
}

document.addEventListener("click", (event) => { // a menu closes when one clicks elsewhere
  for (const menu of document.querySelectorAll("details.files[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.files[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

refresh();
setInterval(() => { if (!document.hidden || items.some((item) => item.state === "working")) refresh(); }, POLL_MS);
