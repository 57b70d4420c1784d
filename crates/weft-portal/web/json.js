// Rows without reading their numbers: JSON.parse would make 9007199254740993 into 9007199254740992.

// The fields of a JSON object as [name, raw text]; null if it is none.
export function fields(text) {
  let at = 0;
  const skip = () => {
    while (at < text.length && " \t\n\r".includes(text[at])) at += 1;
  };
  const string = () => {
    const from = at;
    at += 1;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    at += 1;
    return text.slice(from, at);
  };
  const value = () => {
    const from = at;
    let depth = 0;
    while (at < text.length) {
      const c = text[at];
      if (c === '"') {
        string();
        continue;
      }
      if (c === "{" || c === "[") depth += 1;
      if ((c === "}" || c === "]") && depth === 0) break;
      if (c === "}" || c === "]") depth -= 1;
      if (c === "," && depth === 0) break;
      at += 1;
    }
    return text.slice(from, at).trim();
  };
  skip();
  if (text[at] !== "{") return null;
  at += 1;
  const found = [];
  for (;;) {
    skip();
    if (text[at] !== '"') return found;
    const name = JSON.parse(string());
    skip();
    if (text[at] !== ":") return found;
    at += 1;
    skip();
    found.push([name, value()]);
    skip();
    if (text[at] !== ",") return found;
    at += 1;
  }
}

// The elements of a JSON list as raw texts.
export function elements(text) {
  const inside = text.trim().slice(1, -1);
  const found = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at <= inside.length; at += 1) {
    const c = inside[at];
    if (c === '"') {
      at += 1;
      while (at < inside.length && inside[at] !== '"') at += inside[at] === "\\" ? 2 : 1;
    } else if (c === "{" || c === "[") depth += 1;
    else if (c === "}" || c === "]") depth -= 1;
    else if ((c === "," && depth === 0) || c === undefined) {
      const element = inside.slice(from, at).trim();
      if (element) found.push(element);
      from = at + 1;
    }
  }
  return found;
}

// A raw value as people read it: strings without quotes, numbers with their digits.
export function shown(raw) {
  return raw.startsWith('"') ? JSON.parse(raw) : raw;
}

const LONG = 400;

// A table cell for a raw value; long ones are cut, with a word about it.
export function cell(raw) {
  const td = document.createElement("td");
  if (raw === undefined || raw === "null") {
    td.className = "null";
    td.textContent = "null";
    return td;
  }
  if (/^[-0-9tf]/.test(raw)) td.className = "number";
  const text = shown(raw);
  td.textContent = text.length > LONG ? `${text.slice(0, LONG)}… (${text.length.toLocaleString("en")} characters)` : text;
  return td;
}
