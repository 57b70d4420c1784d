// The SQL editor: the page's own text area, with colours behind it and completion from the tables that the page lists.
// A text area because everybody's keyboard, phone, screen reader and undo know it already.

const form = document.getElementById("console");
const area = form.elements.q;
const answer = document.getElementById("answer");

const OPTIONS_MAX = 50;
const KEYWORDS =
  "SELECT FROM WHERE GROUP BY ORDER LIMIT JOIN LEFT INNER ON USING AS AND OR NOT IN IS NULL LIKE BETWEEN CASE WHEN THEN ELSE END CAST DISTINCT HAVING UNION ALL WITH DESC ASC COUNT SUM AVG MIN MAX".split(
    " ",
  );
const isKeyword = new Set(KEYWORDS);
const plainName = /^[a-z_][a-z0-9_]*$/;

// "domain"."product"."port@1" and its columns, as the page lists them.
const tables = [...document.querySelectorAll("[data-table]")].map((table) => ({
  name: table.dataset.table,
  bare: table.dataset.table.replaceAll('"', "").toLowerCase(),
  columns: [...table.querySelectorAll("[data-column]")].map((column) => column.textContent),
}));

const ink = document.createElement("pre");
ink.className = "ink";
ink.setAttribute("aria-hidden", "true");
const list = document.createElement("ul");
list.className = "options";
list.id = "options";
list.hidden = true;
list.setAttribute("role", "listbox");
list.setAttribute("aria-label", "Completions");
const editor = document.createElement("div");
editor.className = "editor";
area.replaceWith(editor);
editor.append(ink, area, list);
area.setAttribute("aria-autocomplete", "list");
area.setAttribute("aria-controls", "options");

// Colours: the same text behind the text area, whose own letters are transparent.
const token = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*'?)|("(?:[^"]|"")*"?)|(\b\d[\w.]*)|(\b[a-z_]\w*)/gi;

function paint() {
  const text = area.value;
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(token)) {
    const kind = found[1] ? "comment" : found[2] ? "string" : found[3] ? "name" : found[4] ? "number" : "";
    const word = kind || (isKeyword.has(found[0].toUpperCase()) ? "keyword" : "");
    if (!word) continue;
    parts.push(text.slice(at, found.index), Object.assign(document.createElement("span"), { className: `sql-${word}`, textContent: found[0] }));
    at = found.index + found[0].length;
  }
  // A last line break needs something behind it to have a height.
  ink.replaceChildren(...parts, `${text.slice(at)}\n`);
  ink.scrollTop = area.scrollTop;
  ink.scrollLeft = area.scrollLeft;
}

// What can stand at the caret: tables after FROM and JOIN, else columns of the tables that the query names, and keywords.
function candidates(isAsked) {
  const before = area.value.slice(0, area.selectionStart);
  const word = /[\w".@-]*$/.exec(before)[0];
  const lead = before.slice(0, before.length - word.length);
  const wantsTable = /\b(from|join)\s+$/i.test(lead);
  if (!word && !wantsTable && !isAsked) return null;
  if (wantsTable) {
    const wanted = word.replaceAll('"', "").toLowerCase();
    const found = tables.filter((table) => table.bare.includes(wanted)).map((table) => ({ label: table.name, insert: table.name }));
    return { from: lead.length, found };
  }
  const start = lead.length + word.lastIndexOf(".") + 1;
  const wanted = before.slice(start).replaceAll('"', "").toLowerCase();
  const text = area.value;
  const used = tables.filter((table) => text.includes(table.name) || text.includes(table.name.replace(/@\d+"$/, '"')));
  const columns = new Map(used.flatMap((table) => table.columns.map((column) => [column, table.name])));
  const found = [...columns]
    .filter(([column]) => column.toLowerCase().startsWith(wanted) && column !== wanted)
    .map(([label, detail]) => ({ label, detail, insert: plainName.test(label) ? label : `"${label}"` }));
  if (start === lead.length && (wanted.length > 1 || isAsked)) {
    const upper = wanted.toUpperCase();
    for (const word of KEYWORDS) if (word.startsWith(upper) && word !== upper) found.push({ label: word, insert: word });
  }
  return { from: start, found };
}

let open = null; // { from, found, at }

function close() {
  open = null;
  list.hidden = true;
  area.removeAttribute("aria-activedescendant");
}

function suggest(isAsked = false) {
  const offered = area.selectionStart === area.selectionEnd ? candidates(isAsked) : null;
  if (!offered || offered.found.length === 0) return close();
  open = { from: offered.from, found: offered.found.slice(0, OPTIONS_MAX), at: 0 };
  list.replaceChildren(
    ...open.found.map(({ label, detail }, at) => {
      const option = document.createElement("li");
      option.id = `option-${at}`;
      option.setAttribute("role", "option");
      option.append(label);
      if (detail) option.append(Object.assign(document.createElement("span"), { className: "detail", textContent: detail }));
      // Before the text area loses the focus.
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        open.at = at;
        accept();
      });
      return option;
    }),
  );
  list.hidden = false;
  place();
  choose(0);
}

// Below the word: the ink shows where that is.
function place() {
  const mark = document.createRange();
  let left = open.from;
  const walker = document.createTreeWalker(ink, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (left <= node.length) {
      mark.setStart(node, left);
      break;
    }
    left -= node.length;
  }
  const at = mark.getBoundingClientRect();
  const frame = editor.getBoundingClientRect();
  list.style.top = `${Math.min(at.bottom - frame.top + 4, frame.height)}px`;
  list.style.left = `${Math.max(0, Math.min(at.left - frame.left, frame.width - list.offsetWidth))}px`;
}

function choose(at) {
  open.at = (at + open.found.length) % open.found.length;
  [...list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === open.at)));
  area.setAttribute("aria-activedescendant", `option-${open.at}`);
  list.children[open.at].scrollIntoView({ block: "nearest" });
}

function accept() {
  const { from, found, at } = open;
  area.setSelectionRange(from, area.selectionStart);
  close();
  isAccepting = true;
  // The one way of writing into a field that its undo remembers.
  document.execCommand("insertText", false, found[at].insert);
  isAccepting = false;
}

let isAccepting = false;
area.addEventListener("input", () => {
  paint();
  if (!isAccepting) suggest();
});
area.addEventListener("scroll", paint);
area.addEventListener("blur", close);
area.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    close();
    run();
  } else if (event.key === " " && event.ctrlKey) {
    event.preventDefault();
    suggest(true);
  } else if (open) {
    // Tab leaves the field, as everywhere; Enter takes what is chosen.
    const act = {
      ArrowDown: () => choose(open.at + 1),
      ArrowUp: () => choose(open.at - 1),
      Enter: accept,
      Escape: close,
    }[event.key];
    if (act) {
      event.preventDefault();
      act();
    } else if (/^(Arrow|Home|End|Page)/.test(event.key)) close();
  }
});

function address() {
  const to = new URL("/sql", location.href);
  to.searchParams.set("q", area.value.trim());
  for (const name of ["plan", "follow"]) if (form.elements[name]?.checked) to.searchParams.set(name, "1");
  return to;
}

function said(words) {
  answer.replaceChildren(Object.assign(document.createElement("p"), { className: "problem", textContent: words }));
}

let asked = 0;

async function ask(to) {
  const turn = (asked += 1);
  answer.setAttribute("aria-busy", "true");
  try {
    const reply = await fetch(to, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("answer");
    if (turn !== asked) return; // a later question was asked meanwhile
    if (fresh) answer.innerHTML = fresh.innerHTML;
    else if (reply.status === 414) said("The query is too long for an address. POST /v1/sql takes longer ones.");
    else said(`Could not ask: status ${reply.status}.`);
  } catch (error) {
    said(`Could not ask: ${error.message}.`);
  } finally {
    if (turn === asked) answer.removeAttribute("aria-busy");
  }
}

function run() {
  const to = address();
  if (to.href !== location.href) history.pushState(null, "", to);
  return ask(to);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
addEventListener("popstate", () => location.reload());

// A live query: asked again while it is wanted, seen, and the last one was answered.
const FOLLOW_MS = 2000;
async function follow() {
  const isWanted = form.elements.follow.checked && !form.elements.plan.checked && area.value.trim();
  if (isWanted && !document.hidden && !answer.hasAttribute("aria-busy") && location.search.includes("follow=1")) {
    await ask(new URL(location.href));
  }
  setTimeout(follow, FOLLOW_MS);
}
setTimeout(follow, FOLLOW_MS);
paint();
