// Everything works without this file; with it, pages stay fresh by themselves and the keyboard does more.
"use strict";

const body = document.body;
const title = document.title;

// --- live: an event says that something changed, and the page's regions are fetched again -------------------------

let fetching = false;
let again = false;
let timer = 0;

async function refresh() {
  if (!document.querySelector("[data-region]")) return;
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Partial": "1" } });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of document.querySelectorAll("[data-region]")) {
      const next = fresh.getElementById(region.id);
      if (next && next.innerHTML !== region.dataset.html) replace(region, next);
    }
  } catch { /* the line is down; the stream tells when it is back */ } finally {
    fetching = false;
    if (again) { again = false; later(); }
  }
}

function replace(region, next) {
  if (region.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), textarea, select")) return;
  const ticked = new Set([...region.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
  const open = [...region.querySelectorAll("details[open]")].map((d) => [...region.querySelectorAll("details")].indexOf(d));
  const current = region.querySelector(".is-current")?.dataset.key;
  const focused = region.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  const html = next.innerHTML;
  region.replaceChildren(...next.childNodes);
  region.dataset.html = html;
  for (const box of region.querySelectorAll("input[type=checkbox]")) box.checked = ticked.has(box.value);
  open.forEach((index) => region.querySelectorAll("details")[index]?.setAttribute("open", ""));
  if (current) region.querySelector(`[data-key="${CSS.escape(current)}"]`)?.classList.add("is-current");
  if (focused) region.querySelector(`[data-key="${CSS.escape(focused)}"] a`)?.focus();
  if (region.hasAttribute("data-scroll")) region.scrollTop = region.scrollHeight;
  chosen();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 150);
}

function count(waiting) {
  const badge = document.querySelector("[data-count]");
  const text = waiting > 999 ? "999+" : String(waiting);
  if (badge) { badge.hidden = !waiting; badge.textContent = text; }
  document.title = waiting ? `(${text}) ${title}` : title;
}

if (body.dataset.live) {
  let marker = null;
  const stream = new EventSource(body.dataset.live);
  stream.onmessage = (event) => {
    const told = JSON.parse(event.data);
    count(told.waiting);
    if (marker !== told.marker) later();  // the first time too: something may have changed since the page was made
    marker = told.marker;
  };
  addEventListener("pagehide", () => stream.close());
  const every = document.querySelector("[data-every]")?.dataset.every;
  if (every) setInterval(refresh, 1000 * Number(every));
}
for (const region of document.querySelectorAll("[data-scroll]")) region.scrollTop = region.scrollHeight;

// --- choosing rows --------------------------------------------------------------------------------------------------

function boxes() { return [...document.querySelectorAll('input[name="alert"][type=checkbox]')]; }

function chosen() {
  const label = document.querySelector("[data-chosen]");
  if (!label) return;
  const ticked = boxes().filter((box) => box.checked).length;
  label.textContent = ticked ? `${ticked} chosen` : "Choose all";
  for (const button of document.querySelectorAll("[data-bulk] button")) button.disabled = !ticked;
  const all = document.querySelector("[data-all]");
  all.checked = ticked > 0 && ticked === boxes().length;
  all.indeterminate = ticked > 0 && !all.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) boxes().forEach((box) => { box.checked = event.target.checked; });
  chosen();
});
chosen();

// --- theme and help ---------------------------------------------------------------------------------------------------

document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
});
const help = document.querySelector("[data-help-dialog]");
document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());

// --- keyboard ---------------------------------------------------------------------------------------------------------

let going = false;

function move(step) {
  const rows = [...document.querySelectorAll("[data-rows] [data-key]")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("is-current"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  rows.forEach((row) => row.classList.toggle("is-current", row === next));
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select") || help?.open) return;
  const current = document.querySelector(".is-current");
  if (going) {
    going = false;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  switch (event.key) {
    case "j": move(1); break;
    case "k": move(-1); break;
    case "Enter": if (current && !event.target.matches("a, button, summary")) current.querySelector("a")?.click(); break;
    case "x": { const box = current?.querySelector("input[type=checkbox]"); if (box) { box.checked = !box.checked; chosen(); } break; }
    case "/": { const field = document.querySelector("[data-search]"); if (field) { event.preventDefault(); field.focus(); field.select(); } break; }
    case "g": going = true; setTimeout(() => { going = false; }, 1500); break;
    case "?": help?.showModal(); break;
  }
});
