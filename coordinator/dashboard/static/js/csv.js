// Reads CSV as RFC 4180 writes it: quotes, commas and line ends inside quotes, CRLF or LF.

/** [{line, fields}]; blank lines are left out. Throws Error naming the line of an open quote. */
export function parseCsv(text) {
  const rows = [];
  const state = { line: 1, start: 1, fields: [], field: "", quoted: false };
  const source = text.replace(/^\uFEFF/, "");
  for (let index = 0; index < source.length; index += 1) {
    const char = source[index];
    if (char === "\n") state.line += 1;
    if (state.quoted) index += readQuoted(state, char, source[index + 1]);
    else readPlain(state, char, rows);
  }
  if (state.quoted) throw new Error(`The quote opened in line ${state.start} is never closed.`);
  endRow(state, rows);
  return rows;
}

function readQuoted(state, char, following) {
  if (char !== '"') state.field += char;
  else if (following === '"') {
    state.field += '"';
    return 1;
  } else state.quoted = false;
  return 0;
}

function readPlain(state, char, rows) {
  if (char === '"' && state.field === "") state.quoted = true;
  else if (char === ",") endField(state);
  else if (char === "\n") endRow(state, rows);
  else if (char !== "\r") state.field += char;
}

function endField(state) {
  state.fields.push(state.field.trim());
  state.field = "";
}

function endRow(state, rows) {
  endField(state);
  if (state.fields.some((field) => field !== "")) rows.push({ line: state.start, fields: state.fields });
  state.fields = [];
  state.start = state.line;
}
