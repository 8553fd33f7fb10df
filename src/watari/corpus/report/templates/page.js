(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const measures = all("[data-set-measure]").map((button) => button.dataset.setMeasure);

  // What this view shows stands in the address after '#', parts joined by '/': #ja/dark/bytes/flow
  const view = { lang: "", theme: "", measure: "", at: "" };
  const read = () => {
    view.lang = ""; view.theme = ""; view.measure = ""; view.at = "";
    let hash = location.hash.slice(1);
    try { hash = decodeURIComponent(hash); } catch { /* not ours: as it is */ }
    for (const part of hash.split("/")) {
      if (part === "en" || part === "ja") view.lang = part;
      else if (part === "light" || part === "dark") view.theme = part;
      else if (measures.includes(part)) view.measure = part;
      else if (part) view.at = part;
    }
  };
  const write = () =>
    history.replaceState(null, "", "#" + [view.lang, view.theme, view.measure, view.at].filter(Boolean).join("/"));
  const language = () => view.lang || ((navigator.language || "en").startsWith("ja") ? "ja" : "en");
  const show = () => {
    const lang = language();
    root.lang = lang;
    root.dataset.lang = lang;
    document.title = root.dataset[lang === "ja" ? "titleJa" : "titleEn"];
    for (const element of all("[data-en]")) element.setAttribute("aria-label", element.dataset[lang]);
    for (const button of all("[data-set-lang]"))
      button.setAttribute("aria-pressed", String(button.dataset.setLang === lang));
    root.dataset.measure = view.measure || "documents";
    for (const button of all("[data-set-measure]"))
      button.setAttribute("aria-pressed", String(button.dataset.setMeasure === root.dataset.measure));
    if (view.theme) root.dataset.theme = view.theme;
    else delete root.dataset.theme;
  };
  const arrive = () => {
    const target = view.at && document.getElementById(view.at);
    if (!target) return;
    if (target.tagName === "DETAILS") target.open = true;
    target.scrollIntoView();
  };

  for (const button of all("[data-set-lang]"))
    button.addEventListener("click", () => { view.lang = button.dataset.setLang; write(); show(); });
  for (const button of all("[data-set-measure]"))
    button.addEventListener("click", () => { view.measure = button.dataset.setMeasure; write(); show(); });
  document.getElementById("theme").addEventListener("click", () => {
    const dark = view.theme ? view.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    view.theme = dark ? "light" : "dark";
    write();
    show();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    view.at = link.getAttribute("href").slice(1);
    write();
    arrive();
  });
  addEventListener("hashchange", () => { read(); show(); arrive(); });
  read(); show(); arrive();
  root.dataset.ready = "yes";
})();
