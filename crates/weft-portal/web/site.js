// What every page has: copy buttons, a key to the search field, filters that act at once, and numbers that stay fresh.

const REFRESH_MS = 2000;

function copyButtons(root) {
  for (const pre of root.querySelectorAll("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(pre.querySelector("code").textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy by hand";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    pre.before(button);
  }
}

// `/` leads to the search field, as people know it from elsewhere; never while they type.
function searchKey() {
  const field = document.querySelector("[data-key]");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
}

function autoSubmit() {
  for (const select of document.querySelectorAll("form[data-auto] select")) {
    // A keyboard that walks through the choices must not be thrown to a new page at each of them.
    let byKeyboard = false;
    select.addEventListener("keydown", () => (byKeyboard = true));
    select.addEventListener("pointerdown", () => (byKeyboard = false));
    select.addEventListener("change", () => byKeyboard || select.form.requestSubmit());
  }
}

// Makes `old` like `fresh` in place, so that focus and selection stay; false where the two are not built alike.
function patch(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.childNodes.length !== fresh.childNodes.length) return false;
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return true;
  }
  for (const { name, value } of fresh.attributes ?? []) {
    // What a reader unfolded stays unfolded.
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  return [...old.childNodes].every((child, at) => patch(child, fresh.childNodes[at]));
}

// Parts marked `data-live` are taken anew from this page's own address while somebody looks at it.
function keepFresh() {
  if (!document.querySelector("[data-live][id]")) return;
  const address = new URL(location.href);
  address.searchParams.set("part", "live");
  let failures = 0;
  const again = () => setTimeout(refresh, REFRESH_MS * 2 ** Math.min(failures, 5));
  async function refresh() {
    if (document.hidden) return document.addEventListener("visibilitychange", refresh, { once: true });
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live][id]")) {
        const other = fresh.getElementById(part.id);
        if (other && !patch(part, other) && !part.contains(document.activeElement)) part.innerHTML = other.innerHTML;
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    again();
  }
  again();
}

copyButtons(document);
searchKey();
autoSubmit();
keepFresh();
