"use strict";
const page = (() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const system = { lang: () => ((navigator.language || "en").startsWith("ja") ? "ja" : "en") };

  // What this view of the page shows stands in the address after '#', parts joined by '/': #ja/dark/stage-sft
  const choices = new Map([["lang", ["en", "ja"]], ["theme", ["light", "dark"]]]);
  const view = { at: "" };
  const read = () => {
    for (const name of ["at", ...choices.keys()]) view[name] = "";
    let hash = location.hash.slice(1);
    try { hash = decodeURIComponent(hash); } catch { /* not ours: as it is */ }
    for (const part of hash.split("/")) {
      const name = [...choices.keys()].find((key) => choices.get(key).includes(part));
      if (part) view[name || "at"] = part;
    }
  };
  const write = (push) => {
    const hash = "#" + [...choices.keys(), "at"].map((name) => view[name]).filter(Boolean).join("/");
    history[push ? "pushState" : "replaceState"](null, "", hash);
  };

  const show = () => {
    for (const [name, values] of choices) {
      const shown = view[name] || (name === "theme" ? "" : system[name] ? system[name]() : values[0]);
      if (shown) root.dataset[name] = shown;
      else delete root.dataset[name];
      for (const button of all(`[data-set-${name}]`))
        button.setAttribute("aria-pressed", String(button.getAttribute(`data-set-${name}`) === shown));
    }
    const lang = root.dataset.lang;
    root.lang = lang;
    document.title = lang === "ja" ? root.dataset.titleJa : root.dataset.titleEn;
    for (const element of all("[data-en]")) element.setAttribute("aria-label", element.dataset[lang]);
  };
  const choose = (name, value) => { view[name] = value; write(false); show(); };
  const arrive = (behavior) => {
    const target = view.at && document.getElementById(view.at);
    if (!target) return;
    for (let up = target; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
    for (const old of all("details.arrived")) old.classList.remove("arrived");
    target.scrollIntoView({ behavior });
    if (target.tagName !== "DETAILS") return;
    target.classList.add("arrived");
    const summary = target.querySelector("summary");
    if (summary) summary.focus({ preventScroll: true });
  };
  const again = () => { read(); show(); arrive("instant"); };

  // Lets the buttons of `data-set-NAME` choose what the page shows: the root's `data-NAME`, at first the first of them.
  const toggles = (name) => {
    const buttons = all(`[data-set-${name}]`);
    choices.set(name, buttons.map((button) => button.getAttribute(`data-set-${name}`)));
    for (const button of buttons)
      button.addEventListener("click", () => choose(name, button.getAttribute(`data-set-${name}`)));
  };
  toggles("lang");
  document.getElementById("theme").addEventListener("click", () => {
    const dark = view.theme ? view.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    choose("theme", dark ? "light" : "dark");
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    view.at = link.getAttribute("href").slice(1);
    write(true);
    arrive("auto");
  });
  addEventListener("hashchange", again);
  addEventListener("popstate", again);

  const start = () => { again(); root.dataset.ready = "yes"; };
  return { all, toggles, start, language: () => root.dataset.lang };
})();
