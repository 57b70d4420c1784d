// The live tail of a port: rows as they come, newest first, with pause, a filter and one key.

import { cell, fields, shown } from "./json.js";

const ROWS_MAX = 200; // kept and drawn
const DRAW_MS = 250; // at most so often
const BYTES_MAX = 4_000_000; // of all rows kept: one row may have a megabyte

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function tail(place) {
  const keys = (place.dataset.keys ?? "").split(" ").filter(Boolean);
  let rows = []; // newest first: { kind, fields, text, at }
  let bytes = 0;
  let seen = 0;
  let paused = false;
  let dirty = false;
  let source = null;

  const start = element("button", { type: "button", textContent: "Follow", className: "primary" });
  const pause = element("button", { type: "button", textContent: "Pause", disabled: true });
  pause.setAttribute("aria-pressed", "false");
  const filter = element("input", { type: "search", id: "tail-filter", autocomplete: "off" });
  const column = element("select", { id: "tail-column" }, element("option", { value: "", textContent: "anywhere" }));
  for (const key of keys) column.append(element("option", { value: key, textContent: `key ${key}` }));
  const state = element("p", { className: "count" });
  state.setAttribute("role", "status");
  const table = element("table", { className: "rows" });
  const scroll = element("div", { className: "scroll tall", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Live rows, newest first");
  const field = (label, input) =>
    element("div", { className: "field" }, Object.assign(element("label", { textContent: label }), { htmlFor: input.id }), input);
  place.replaceChildren(
    element(
      "div",
      { className: "filters" },
      element("div", { className: "field" }, start),
      element("div", { className: "field" }, pause),
      field("Filter", filter),
      field("in", column),
    ),
    state,
    scroll,
  );

  function fits(row) {
    const wanted = filter.value.trim().toLowerCase();
    if (!wanted) return true;
    if (!column.value) return row.text.toLowerCase().includes(wanted);
    const found = row.fields.find(([name]) => name === column.value);
    return found !== undefined && shown(found[1]).toLowerCase() === wanted;
  }

  function draw() {
    dirty = false;
    const drawn = rows.filter(fits);
    const names = [...new Set(drawn.flatMap((row) => row.fields.map(([name]) => name)))].slice(0, 200);
    if (drawn.length === 0) {
      table.replaceChildren();
      return;
    }
    const head = element("tr", {}, element("th", { scope: "col", textContent: "event" }));
    for (const name of names) head.append(element("th", { scope: "col", textContent: name }));
    const body = element("tbody");
    for (const row of drawn) {
      const values = new Map(row.fields);
      const line = element("tr", { className: row.kind }, element("td", { textContent: row.kind }));
      for (const name of names) line.append(cell(values.get(name)));
      body.append(line);
    }
    table.replaceChildren(element("thead", {}, head), body);
  }

  function say(word) {
    const held = rows.length < seen ? `, the last ${rows.length.toLocaleString("en")} are kept` : "";
    state.textContent = `${word}: ${seen.toLocaleString("en")} rows${held}`;
  }

  let word = "not following";
  setInterval(() => {
    if (!source) return;
    say(paused ? "paused" : word);
    if (dirty && !paused) draw();
  }, DRAW_MS);

  function take(kind, event) {
    seen += 1;
    rows.unshift({ kind, fields: fields(event.data) ?? [], text: event.data });
    bytes += event.data.length;
    while (rows.length > ROWS_MAX || (bytes > BYTES_MAX && rows.length > 1)) bytes -= rows.pop().text.length;
    dirty = true;
  }

  function open() {
    const address = new URL(place.dataset.tail, location.href);
    if (place.dataset.from) address.searchParams.set("resume", place.dataset.from);
    source = new EventSource(address);
    word = "connecting";
    source.addEventListener("open", () => (word = "catching up"));
    source.addEventListener("row", (event) => take("row", event));
    source.addEventListener("delete", (event) => take("delete", event));
    source.addEventListener("live", () => (word = "live"));
    source.addEventListener("reset", () => {
      rows = [];
      bytes = 0;
      word = "started over with a new snapshot";
    });
    // An event `error` of the stream carries its reason; the browser's own says only that the connection went.
    source.addEventListener("error", (event) => {
      if (event.data) {
        const because = fields(event.data)?.find(([name]) => name === "because");
        word = `ended: ${because ? shown(because[1]) : "the stream failed"}`;
        source.close();
        start.disabled = false;
      } else word = "connecting again";
    });
  }

  start.addEventListener("click", () => {
    if (source && source.readyState !== EventSource.CLOSED) {
      source.close();
      source = null;
      start.textContent = "Follow";
      pause.disabled = true;
      return say("stopped");
    }
    open();
    start.textContent = "Stop";
    pause.disabled = false;
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) draw();
  });
  for (const input of [filter, column]) input.addEventListener("input", draw);
  say("not following");
}

for (const place of document.querySelectorAll("[data-tail]")) tail(place);
