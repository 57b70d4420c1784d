// The SQL editor: CodeMirror over the page's text area, completion from the tables that the page lists, answers in place.

import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const form = document.getElementById("console");
const area = form.elements.q;
const answer = document.getElementById("answer");
const nonce = document.querySelector("meta[property=csp-nonce]").nonce;

// "domain"."product"."port@1" and its columns, as the page lists them.
function tables() {
  const found = [];
  for (const table of document.querySelectorAll("[data-table]")) {
    const columns = [...table.querySelectorAll("[data-column]")].map((column) => column.textContent);
    found.push({ name: table.dataset.table, columns });
  }
  return found;
}

const known = tables();
const plainName = /^[a-z_][a-z0-9_]*$/;

// Tables after FROM and JOIN; everywhere else the columns of the tables that the query names.
function complete(context) {
  const word = context.matchBefore(/[\w".@-]*$/);
  if (!word || (word.from === word.to && !context.explicit)) return null;
  const text = context.state.doc.toString();
  const before = text.slice(0, word.from);
  const wanted = word.text.replaceAll('"', "").toLowerCase();
  if (/\b(from|join)\s+$/i.test(before)) {
    const options = known
      .filter((table) => table.name.replaceAll('"', "").toLowerCase().includes(wanted))
      .map((table) => ({ label: table.name, type: "class" }));
    return { from: word.from, options, filter: false };
  }
  const used = known.filter((table) => text.includes(table.name) || text.includes(table.name.replace(/@\d+"$/, '"')));
  const columns = new Map();
  for (const table of used) for (const column of table.columns) columns.set(column, table.name);
  const alias = word.text.lastIndexOf(".") + 1;
  const options = [...columns].map(([label, detail]) => ({
    label,
    detail,
    type: "property",
    apply: plainName.test(label) ? label : `"${label}"`,
  }));
  return { from: word.from + alias, options };
}

const colours = HighlightStyle.define([
  { tag: tags.keyword, class: "sql-keyword" },
  { tag: [tags.string, tags.special(tags.string)], class: "sql-string" },
  { tag: tags.number, class: "sql-number" },
  { tag: tags.comment, class: "sql-comment" },
]);

async function ask(address, body) {
  const from = performance.now();
  answer.setAttribute("aria-busy", "true");
  try {
    const reply = await fetch(address, { headers: { Accept: "text/html" }, ...body });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const fresh = page.getElementById("answer");
    if (!fresh) throw new Error(`status ${reply.status}`);
    answer.innerHTML = fresh.innerHTML;
    answer.dataset.ms = String(Math.round(performance.now() - from));
  } catch (error) {
    const said = document.createElement("p");
    said.className = "problem";
    said.textContent = `Could not ask: ${error.message}.`;
    answer.replaceChildren(said);
  } finally {
    answer.removeAttribute("aria-busy");
  }
}

const view = new EditorView({
  parent: (() => {
    const place = document.createElement("div");
    place.className = "editor";
    area.after(place);
    area.hidden = true;
    document.querySelector("label[for=q]").id = "query-label";
    return place;
  })(),
  state: EditorState.create({
    doc: area.value,
    extensions: [
      EditorView.cspNonce.of(nonce),
      lineNumbers(),
      history(),
      drawSelection(),
      bracketMatching(),
      sql({ dialect: PostgreSQL }),
      syntaxHighlighting(colours),
      autocompletion({ override: [complete], icons: false }),
      placeholder("SELECT …"),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-labelledby": "query-label", "aria-multiline": "true" }),
      // Tab leaves the editor: whoever has no mouse must get out of it.
      Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => (run(), true) }])),
      keymap.of([...completionKeymap, ...historyKeymap, ...defaultKeymap]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) area.value = update.state.doc.toString();
      }),
    ],
  }),
});

function address() {
  const to = new URL("/sql", location.href);
  to.searchParams.set("q", area.value.trim());
  for (const name of ["plan", "follow"]) {
    if (form.elements[name]?.checked) to.searchParams.set(name, "1");
  }
  return to;
}

function run() {
  area.value = view.state.doc.toString();
  const to = address();
  remember(to);
  return ask(to);
}

function remember(to) {
  if (to.href !== location.href) window.history.pushState(null, "", to);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
window.addEventListener("popstate", () => location.reload());
