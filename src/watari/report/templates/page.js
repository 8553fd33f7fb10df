(() => {
  const all = page.all;
  const block = (id) => JSON.parse(document.getElementById(id).textContent);
  const svgNumber = (element, name) => Number(element.dataset[name]);
  const words = block("watari-words");
  const word = (key) => words[key][page.language() === "ja" ? 1 : 0];

  const setAll = (open) => { for (const stage of all("details.stage")) stage.open = open; };
  document.getElementById("open-all").addEventListener("click", () => setAll(true));
  document.getElementById("close-all").addEventListener("click", () => setAll(false));

  // The graph: the edges of the box under the pointer stand out.
  for (const graph of all(".graph")) {
    const light = (box) => {
      graph.classList.toggle("lit", Boolean(box));
      for (const edge of all("[data-a]", graph))
        edge.classList.toggle("on", Boolean(box) && (edge.dataset.a === box.dataset.i || edge.dataset.b === box.dataset.i));
    };
    for (const box of all(".node", graph)) {
      box.addEventListener("pointerenter", () => light(box));
      box.addEventListener("pointerleave", () => light(null));
      box.addEventListener("focus", () => light(box));
      box.addEventListener("blur", () => light(null));
    }
  }

  // The charts: a read-out at the pointer, or by the arrow keys.
  const charts = block("watari-charts");
  const figure = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value === "string") return value;
    if (Math.abs(value) >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
    if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  };
  const columns = ["loss", "smooth", "lr", "grad_norm", "accuracy", "margin", "chosen_reward", "rejected_reward",
    "kl_chosen", "kl_rejected", "length_gap", "leaking_reward", "clean_reward", "chosen_nll", "p_bad", "p_good", "leak_share", "leak_rate"];
  const languageOf = (code) => Object.hasOwn(words, `lang_${code}`) ? word(`lang_${code}`) : code;
  const headOf = (data, x) => {
    const band = data.bands && data.bands.find((item) => x <= item.high);
    if (!band) return Object.hasOwn(words, `read_${data.x}`) ? `${figure(x)} ${word(`read_${data.x}`)}` : `${data.x} ${figure(x)}`;
    const line = data.lines.find((item) => item.x.includes(x));
    return `${band.name} · ${figure(line.tokens[line.x.indexOf(x)])} ${word("read_tokens")}`;
  };
  const nearest = (values, wanted) => {
    let low = 0, high = values.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] < wanted) low = middle + 1; else high = middle;
    }
    return low > 0 && wanted - values[low - 1] < values[low] - wanted ? low - 1 : low;
  };
  for (const chart of all(".chart")) {
    const data = charts[chart.dataset.chart];
    const readout = chart.parentElement.querySelector(".readout");
    const cursor = chart.querySelector(".cursor");
    const [low, high, left, right] = ["low", "high", "left", "right"].map((name) => svgNumber(chart, name));
    const grid = [...new Set(data.lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    let place = grid.length - 1;
    const read = () => {
      const x = grid[place];
      const at = left + ((x - low) / (high - low)) * (right - left);
      cursor.setAttribute("x1", at);
      cursor.setAttribute("x2", at);
      cursor.setAttribute("visibility", "visible");
      readout.replaceChildren();
      const head = document.createElement("div");
      head.textContent = headOf(data, x);
      readout.append(head);
      for (const line of data.lines) {
        if (x < line.x[0] || x > line.x[line.x.length - 1]) continue;
        const spot = nearest(line.x, x);
        const row = document.createElement("div");
        const name = document.createElement("b");
        name.className = line.colour < 0 ? "cn" : `c${line.colour}`;
        name.textContent = line.name;
        const parts = columns.filter((key) => line[key]).map((key) => `${word(`read_${key}`)} ${figure(line[key][spot])}`);
        for (const text of line.bits || [])
          parts.push(`${languageOf(text.language)} ${figure(text.y[nearest(text.x, x)])} ${word("read_bits")}`);
        row.append(name);
        parts.forEach((part, place) => {
          const piece = document.createElement("span");
          piece.className = "part";
          piece.textContent = part;
          row.append(place ? " · " : " ", piece);
        });
        readout.append(row);
      }
      readout.hidden = false;
      const box = chart.getBoundingClientRect();
      const scale = box.width / chart.viewBox.baseVal.width;
      const pixel = at * scale;
      const width = readout.offsetWidth;
      readout.style.left = `${Math.max(0, Math.min(box.width - width, pixel + (pixel + width + 14 > box.width ? -width - 14 : 14)))}px`;
    };
    const hide = () => { readout.hidden = true; cursor.setAttribute("visibility", "hidden"); };
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
      place = nearest(grid, low + ((at - left) / (right - left)) * (high - low));
      read();
    });
    chart.addEventListener("pointerleave", hide);
    chart.addEventListener("focus", read);
    chart.addEventListener("blur", hide);
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -grid.length, End: grid.length }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      place = Math.max(0, Math.min(grid.length - 1, place + step));
      read();
    });
  }

  // Times and speed: only in a run folder's copy, where the flow has put the run's record.
  const run = block("watari-run");
  const both = (parent, english, japanese) => {
    for (const [lang, text] of [["en", english], ["ja", japanese]]) {
      const span = document.createElement("span");
      span.className = "w";
      span.lang = lang;
      span.textContent = text;
      parent.append(span);
    }
  };
  const duration = (seconds, ja) => {
    const [hour, minute, second] = ja ? [" 時間 ", " 分 ", " 秒"] : [" h ", " min ", " s"];
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}${second}`;
    const whole = Math.round(seconds);
    const hours = Math.floor(whole / 3600), minutes = Math.floor((whole % 3600) / 60);
    return hours ? `${hours}${hour}${minutes}${minute.trimEnd()}` : `${minutes}${minute}${whole % 60}${second}`;
  };
  const memory = (bytes) => bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const pick = (values, names) => names.map((name) => values && values[name]).find((value) => typeof value === "number");
  if (run && Array.isArray(run.stages)) {
    const anchors = block("watari-anchors");
    const body = document.querySelector("#times-table tbody");
    const longest = Math.max(1e-9, ...run.stages.map((stage) => Number(stage.seconds) || 0));
    let total = 0;
    const cell = (row, text, kind = "td") => {
      const made = document.createElement(kind);
      if (text !== undefined) made.textContent = text;
      row.append(made);
      return made;
    };
    for (const stage of run.stages) {
      const row = document.createElement("tr");
      const head = cell(row, undefined, "th");
      head.scope = "row";
      const anchor = Object.hasOwn(anchors, stage.name) ? anchors[stage.name] : "";
      const details = anchor && document.getElementById(anchor);
      const name = document.createElement(details ? "a" : "span");
      if (details) name.href = `#${anchor}`;
      name.textContent = stage.name;
      head.append(name);
      const state = cell(row);
      state.className = "words";
      const known = words[`state_${stage.state}`] || [String(stage.state ?? ""), String(stage.state ?? "")];
      both(state, known[0], known[1]);
      const seconds = Number(stage.seconds);
      const timed = stage.seconds !== null && stage.seconds !== undefined && Number.isFinite(seconds);
      const time = cell(row);
      if (timed) {
        total += seconds;
        both(time, duration(seconds, false), duration(seconds, true));
        if (details) {
          const aside = document.createElement("span");
          aside.className = "quiet";
          both(aside, duration(seconds, false), duration(seconds, true));
          details.querySelector("summary .digest").before(aside);
        }
      } else time.textContent = "–";
      const bar = document.createElement("span");
      bar.className = "bar-of";
      bar.style.width = `${(100 * seconds) / longest}%`;
      const room = details && [...details.classList].find((item) => item.startsWith("room-"));
      if (room) bar.classList.add(room);
      const share = cell(row);
      if (timed) share.append(bar);
      const speed = pick(stage.performance, ["tokens_per_second"]);
      cell(row, speed === undefined ? "–" : Math.round(speed).toLocaleString("en"));
      const peak = pick(stage.performance, ["peak_rss", "peak_memory"]);
      cell(row, peak === undefined ? "–" : memory(peak));
      body.append(row);
    }
    const foot = document.createElement("tfoot");
    const row = document.createElement("tr");
    both(cell(row, undefined, "th"), ...words.sum);
    cell(row);
    both(cell(row), duration(total, false), duration(total, true));
    for (let i = 0; i < 3; i += 1) cell(row);
    foot.append(row);
    body.after(foot);
    const line = document.getElementById("run-line");
    const moment = (text) => String(text).slice(0, 16).replace("T", " ");
    const said = [run.started && run.finished ? `${moment(run.started)} – ${moment(run.finished)} UTC` : "", run.watari ? `Watari ${run.watari}` : ""].filter(Boolean);
    if (said.length) { line.textContent = " · " + said.join(" · "); line.hidden = false; }
    for (const part of all(".timed")) part.hidden = false;
    // Pages that stages made lie beside this copy, and beside no other.
    for (const part of all("code.made")) {
      const made = document.createElement("a");
      made.href = part.dataset.page;
      part.before(made);
      made.append(part);
    }
  }
})();
