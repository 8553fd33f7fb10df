(() => {
  const byId = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // Tables: sorted by a column, and found by name.
  const sorted = (button) => {
    const head = button.closest("th"), row = head.parentElement, place = [...row.children].indexOf(head);
    const falling = head.getAttribute("aria-sort") !== "descending";
    for (const other of row.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0];
    const value = (line) => { const said = line.children[place].dataset.v; return said === undefined ? null : Number(said); };
    const lines = [...body.rows].map((line, order) => ({ line, order, value: value(line) }));
    lines.sort((a, b) =>
      (a.value === null) - (b.value === null) || (falling ? b.value - a.value : a.value - b.value) || a.order - b.order);
    body.append(...lines.map((one) => one.line));
  };
  for (const button of page.all("button.sort")) button.addEventListener("click", () => sorted(button));
  for (const field of page.all("[data-find]"))
    field.addEventListener("input", () => {
      const words = field.value.trim().toLowerCase();
      for (const line of page.all("tr[data-name]", byId(field.dataset.find))) line.hidden = !line.dataset.name.includes(words);
    });

  // Models side by side: chosen by their chips.
  for (const group of page.all(".chips")) {
    const inside = byId(group.dataset.board + "-compare");
    const apply = () => {
      for (const chip of page.all(".chip", group))
        for (const part of page.all(`[data-model="${chip.dataset.chip}"]`, inside))
          part.classList.toggle("off", chip.getAttribute("aria-pressed") !== "true");
    };
    for (const chip of page.all(".chip", group))
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        apply();
      });
    apply();
  }

  if (!byId("eval-index")) return;
  const words = JSON.parse(byId("eval-words").textContent);
  const tables = JSON.parse(byId("eval-index").textContent).tables;

  // Everything below sets texts as text: nothing that a model said is ever read as markup.
  const make = (kind, classes, ...inside) => {
    const made = document.createElement(kind);
    if (classes) made.className = classes;
    made.append(...inside);
    return made;
  };
  const pair = ([english, japanese]) => {
    const spans = [["en", english], ["ja", japanese]].map(([lang, said]) => {
      const span = make("span", "w", said);
      span.lang = lang;
      return span;
    });
    const both = document.createDocumentFragment();
    both.append(...spans);
    return both;
  };
  const w = (key, values = {}) =>
    pair(words[key].map((said) => said.replace(/\{(\w+)\}/g, (_, name) => values[name])));
  const bdi = (said) => make("bdi", "", said);
  const labelled = (option) => { option.textContent = option.dataset[page.language() === "ja" ? "textJa" : "textEn"]; };
  const option = (value, [english, japanese]) => {
    const made = make("option");
    made.value = value;
    made.dataset.textEn = english;
    made.dataset.textJa = japanese;
    labelled(made);
    return made;
  };
  new MutationObserver(() => { for (const one of page.all("option[data-text-en]")) labelled(one); })
    .observe(document.documentElement, { attributeFilter: ["data-lang"] });

  // Blocks of texts are unpacked when a question of theirs is looked at; the last few stay open.
  const packed = page.all(".eval-block");
  const opened = new Map();
  const open = (number) => {
    if (!opened.has(number)) {
      const bytes = Uint8Array.from(atob(packed[number].textContent), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      opened.set(number, new Response(stream).json());
      if (opened.size > 8) opened.delete(opened.keys().next().value);
    }
    return opened.get(number);
  };

  // What one of two texts says and the other does not: the longest common subsequence of their words.
  const segmenter = typeof Intl.Segmenter === "function" ? new Intl.Segmenter("ja", { granularity: "word" }) : null;
  const pieces = (text) =>
    segmenter ? [...segmenter.segment(text)].map((part) => part.segment) : text.match(/[A-Za-z0-9_]+|\s+|[^]/gu) || [];
  const MOST = 6e6;
  const compare = (left, right) => {
    for (const cut of [pieces, (text) => text.match(/[^。．.!?！？\n]*[。．.!?！？\n]*/g) || []]) {
      const a = cut(left), b = cut(right);
      let from = 0, endA = a.length, endB = b.length;
      while (from < endA && from < endB && a[from] === b[from]) from++;
      while (endA > from && endB > from && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
      const n = endA - from, m = endB - from;
      if ((n + 1) * (m + 1) > MOST) continue;
      const best = new Uint16Array((n + 1) * (m + 1));
      for (let i = n - 1; i >= 0; i--)
        for (let j = m - 1; j >= 0; j--)
          best[i * (m + 1) + j] = a[from + i] === b[from + j]
            ? best[(i + 1) * (m + 1) + j + 1] + 1
            : Math.max(best[(i + 1) * (m + 1) + j], best[i * (m + 1) + j + 1]);
      const onlyA = new Set(), onlyB = new Set();
      let i = 0, j = 0;
      while (i < n || j < m) {
        if (i < n && j < m && a[from + i] === b[from + j]) { i++; j++; }
        else if (j >= m || (i < n && best[(i + 1) * (m + 1) + j] >= best[i * (m + 1) + j + 1])) onlyA.add(from + i++);
        else onlyB.add(from + j++);
      }
      return [[a, onlyA], [b, onlyB]];
    }
    return [[[left], new Set()], [[right], new Set()]];
  };
  const marked = ([parts, only]) => {
    const said = make("p", "said");
    said.dir = "auto";
    let run = "", marking = false;
    const flush = () => { if (run) said.append(marking ? make("mark", "", run) : run); run = ""; };
    parts.forEach((part, place) => {
      if (only.has(place) !== marking) { flush(); marking = only.has(place); }
      run += part;
    });
    flush();
    return said;
  };
  const plain = (text) => marked([[text], new Set()]);

  const state = { table: tables[0], a: 0, b: -1, category: "", order: "file", item: null, most: 100 };
  const written = (value) => (value === null || value === undefined ? "–" : value.toFixed(state.table.digits).replace("-", "−"));
  const bad = (item, model) => (item.x && model >= 0 ? item.x[model] : 0);

  const left = () => {
    const { a, b } = state;
    const low = (item) => (item.v[a] === null ? Infinity : item.v[a]);
    const apart = (item) => (b < 0 || item.v[a] === null || item.v[b] === null ? -1 : Math.abs(item.v[a] - item.v[b]));
    let items = state.table.items.filter((item) => !state.category || item.c === state.category);
    if (state.order === "invalid") items = items.filter((item) => bad(item, a) || bad(item, b));
    if (state.order === "lowest") items = [...items].sort((one, two) => low(one) - low(two));
    if (state.order === "difference") items = [...items].sort((one, two) => apart(two) - apart(one));
    return items;
  };
  const categoryOf = (item) => {
    const found = state.table.categories.find(([name]) => name === item.c);
    return found[1] === found[2] ? bdi(found[1]) : pair([found[1], found[2]]);
  };
  const mean = (item, model) => {
    const shown = make("span", "mean", model < 0 ? "" : written(item.v[model]));
    if (bad(item, model)) { shown.classList.add("bad"); shown.append(" !"); }
    return shown;
  };
  const list = () => {
    const items = left();
    const lines = items.slice(0, state.most).map((item) => {
      const button = make("button", "", make("span", "", bdi(item.id), make("small", "", categoryOf(item))), mean(item, state.a), mean(item, state.b));
      button.type = "button";
      if (item === state.item) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => choose(item, true));
      return make("li", "", button);
    });
    byId("found").replaceChildren(...(lines.length ? lines : [make("li", "empty", w("none_found"))]));
    byId("more").hidden = items.length <= state.most;
    return items;
  };

  const folded = (key, text, isOpen) => {
    const details = make("details", "", make("summary", "", w(key)), plain(text));
    details.open = isOpen;
    return details;
  };
  const answer = ([run, , said, value, reason, judged, sent, cut, read], shown, many, again) => {
    const header = make("header", "");
    if (many) header.append(make("span", "", w("run", { n: run + 1 })));
    if (value !== null) header.append(make("span", "", w(state.table.judged ? "rating" : "score"), " ", make("b", "", written(value))));
    else if (reason !== null) header.append(make("span", "bad", w("invalid_one"), reason && reason !== "–" ? `: ${reason}` : ""));
    else header.append(make("span", "", w("not_rated")));
    if (cut) header.append(make("span", "bad", w("cut_off")));
    const one = make("div", "one", header);
    if (again) one.append(make("p", "tag", w("again")));
    else if (said === null) one.append(make("p", "tag", w("no_answer")));
    else if (!said.trim()) one.append(make("p", "tag", w("empty_answer")));
    else one.append(shown);
    if (read !== null) one.append(make("span", "tag", w("read_answer")), plain(read));
    if (judged) one.append(folded("judgment", judged, !many || value === null));
    if (sent) one.append(folded("judge_sent", sent, said === null && !many));
    return one;
  };
  const side = (letter, item, model, runs, shown) => {
    const name = make("span", "", `${letter} · `, bdi(state.table.models[model]));
    const box = make("section", `side ${letter === "A" ? "c0" : "c1"}`, make("h4", "", name, mean(item, model)));
    if (!runs.length) box.append(make("p", "tag", w("no_answer")));
    runs.forEach((one, place) => box.append(answer(one, shown[place], runs.length > 1, place > 0 && runs[place - 1][0] === one[0] && one[2] !== null)));
    return box;
  };
  const turnOf = (item, body, turn) => {
    const part = make("div", "");
    const asked = make("div", "asked", make("span", "tag", w("prompt"), body.q.length > 1 ? ` ${turn}` : ""));
    asked.append(body.q[turn - 1] ? plain(body.q[turn - 1]) : make("p", "tag", w("prompt_missing")));
    if (body.r[turn - 1]) asked.append(folded("reference", body.r[turn - 1], false));
    if (body.g && turn === 1) asked.append(make("span", "tag", w("gold")), plain(body.g));
    part.append(asked);
    const of = (model) => (model < 0 ? [] : body.a[model].filter((one) => one[1] === turn));
    const a = of(state.a), b = state.b === state.a ? [] : of(state.b);
    const marking = byId("pick-diff").checked && b.length;
    const texts = [a, b].map((runs) => runs.map((one) => one[2] || ""));
    const shown = texts.map((runs) => runs.map(plain));
    if (marking) {
      const beside = (runs, others, one) => {
        const same = runs.findIndex((other) => other[0] === one[0]);
        return same < 0 ? 0 : same;
      };
      a.forEach((one, place) => { const other = beside(b, a, one); shown[0][place] = marked(compare(texts[0][place], texts[1][other])[0]); });
      b.forEach((one, place) => { if (a.length) { const other = beside(a, b, one); shown[1][place] = marked(compare(texts[0][other], texts[1][place])[1]); } });
    }
    const sides = make("div", "sides", side("A", item, state.a, a, shown[0]));
    if (state.b >= 0 && state.b !== state.a) sides.append(side("B", item, state.b, b, shown[1]));
    part.append(sides);
    return part;
  };
  // Answers and ratings lie apart: [run, turn, answer, value, reason, judge's text, sent, cut off, read as]
  const merged = (said, rated) => {
    const of = (rows, [run, turn]) => rows.filter((row) => row[0] === run && row[1] === turn);
    const rows = rated.map((row) => {
      const [answered] = of(said, row);
      return answered ? [row[0], row[1], answered[2], ...row.slice(2), answered[3], answered[4]] : [row[0], row[1], null, ...row.slice(2), 0, null];
    });
    for (const row of said)
      if (!of(rated, row).length) rows.push([row[0], row[1], row[2], null, null, null, "", row[3], row[4]]);
    return rows.sort((one, two) => one[0] - two[0] || one[1] - two[1]);
  };
  const choose = async (item, asked) => {
    state.item = item;
    for (const button of page.all("[aria-current]", byId("found"))) button.removeAttribute("aria-current");
    const items = left(), place = items.indexOf(item);
    if (place >= state.most) { state.most = place + 50; list(); }
    const line = byId("found").children[place], box = byId("found").parentElement;
    if (line && line.firstElementChild) line.firstElementChild.setAttribute("aria-current", "true");
    if (line && (line.offsetTop < box.scrollTop || line.offsetTop + line.offsetHeight > box.scrollTop + box.clientHeight))
      box.scrollTop = line.offsetTop - box.clientHeight / 3;
    const target = byId("shown");
    if (typeof DecompressionStream !== "function") { target.replaceChildren(make("p", "bad", w("cannot_unpack"))); return; }
    const [said, rated] = await Promise.all([item.t, item.r].map(async ([block, place]) => (await open(block))[place]));
    const body = { ...said, a: state.table.said.map((model, place) => merged(said.a[model], rated[place])) };
    if (state.item !== item) return;
    const step = (key, by) => {
      const button = make("button", "", w(key));
      button.type = "button";
      button.disabled = !items[place + by];
      button.addEventListener("click", () => choose(items[place + by], false));
      return button;
    };
    const title = make("h3", "", bdi(item.id), make("span", "quiet", categoryOf(item)));
    const turns = Math.max(1, body.q.length, ...[state.a, state.b].flatMap((model) => (model < 0 ? [] : body.a[model].map((one) => one[1]))));
    const parts = [];
    for (let turn = 1; turn <= turns; turn++) parts.push(turnOf(item, body, turn));
    target.replaceChildren(make("div", "heading", title, step("previous", -1), step("next", 1)), ...parts);
    target.dataset.item = item.id;
    if (asked && target.getBoundingClientRect().top > innerHeight * 0.6) target.scrollIntoView({ behavior: "smooth" });
  };
  const again = () => {
    const items = list();
    if (items.length) choose(items.includes(state.item) ? state.item : items[0], false);
    else byId("shown").replaceChildren();
  };
  const fill = (id, options, value) => { byId(id).replaceChildren(...options); byId(id).value = value; };
  const take = (number) => {
    state.table = tables[number];
    const { models, categories, told, items } = state.table;
    const named = models.map((name, place) => option(String(place), [name, name]));
    // At first the best two whose answers are there to read, at a question that they answer.
    const [a = 0, b = models.length > 1 ? (a === 1 ? 0 : 1) : -1] = told;
    Object.assign(state, { a, b, category: "", item: items.find((item) => item.h) || null, most: 100 });
    fill("pick-a", named, String(a));
    fill("pick-b", [option("-1", words.nobody), ...named.map((one) => one.cloneNode(true))], String(state.b));
    fill("pick-category", [option("", words.all_categories), ...categories.map(([name, ...both]) => option(name, both))], "");
    again();
  };
  const on = (id, act) => byId(id).addEventListener("change", (event) => { act(event.target.value); state.most = 100; again(); });
  on("pick-a", (value) => { state.a = clamp(Number(value), 0, state.table.models.length - 1); });
  on("pick-b", (value) => { state.b = Number(value); });
  on("pick-category", (value) => { state.category = value; });
  on("pick-order", (value) => { state.order = value; });
  on("pick-diff", () => {});
  byId("pick-table").addEventListener("change", (event) => take(Number(event.target.value)));
  byId("more").addEventListener("click", () => { state.most += 200; list(); });
  fill("pick-table", tables.map((table, place) => option(String(place), [table.name, table.name])), "0");
  fill("pick-order", ["file", "lowest", "difference", "invalid"].map((name) => option(name, words[`order_${name}`])), "file");
  // Labels need the language, which the page sets at the very end.
  queueMicrotask(() => take(0));
})();
