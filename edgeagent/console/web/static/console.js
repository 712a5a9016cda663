// What pages do beyond HTML: parts that are loaded anew when there is news, forms that show while one types,
// questions before what cannot be undone, times in the reader's zone. Without it, everything still works by loading.
"use strict";
(() => {
  const parser = new DOMParser();
  let asking = null;

  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const when = new Date(time.dateTime);
      if (!Number.isNaN(when.getTime())) {
        time.textContent = when.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
      }
    }
  }

  function isBusy(part) {
    const active = document.activeElement;
    return part.contains(active) && active.matches("input, select, textarea");
  }

  function put(page) {
    for (const part of document.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!fresh || isBusy(part)) continue;
      localTimes(fresh);
      if (fresh.innerHTML === part.innerHTML) continue;
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      part.replaceChildren(...fresh.childNodes);
      part.querySelectorAll("details").forEach((one, index) => { one.open = open[index] ?? one.open; });
      if (focused) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
  }

  async function load(address, options = {}) {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(address, { ...options, signal: asking.signal, credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
      const page = parser.parseFromString(await answer.text(), "text/html");
      put(page);
    } catch (error) {
      if (error.name !== "AbortError") say("no connection to the console");
    }
  }

  function say(text) { document.getElementById("live").textContent = text; }

  // Live news: one connection per page that is seen.
  function listen() {
    const address = document.querySelector("main")?.dataset.live;
    if (!address || !window.EventSource) return;
    let source = null;
    let waiting = 0;
    const refresh = () => { waiting = 0; load(location.href, { headers: { "X-Live": "1" } }); };
    const begin = () => {
      if (source || document.hidden) return;
      source = new EventSource(address);
      source.addEventListener("open", () => say("live"));
      source.addEventListener("changed", () => { if (!waiting) waiting = setTimeout(refresh, 400); });
      source.addEventListener("ended", () => location.reload());
      source.addEventListener("error", () => say("no connection to the console"));
    };
    const end = () => { source?.close(); source = null; clearTimeout(waiting); waiting = 0; };
    document.addEventListener("visibilitychange", () => { if (document.hidden) { end(); } else { begin(); refresh(); } });
    addEventListener("pagehide", end);
    begin();
  }

  // Forms that show their outcome while one types.
  function automatic(form) {
    let waiting = 0;
    const show = () => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
      const address = `${form.getAttribute("action")}?${query}`;
      history.replaceState(null, "", address);
      load(address);
    };
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 250); });
    form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(waiting); show(); });
  }

  // Forms whose outcome would be shown elsewhere: asked beforehand, nothing is changed.
  function preview(form) {
    let waiting = 0;
    let isAsking = false;
    let isStale = false;
    const target = document.getElementById(form.dataset.previewInto);
    const show = async () => {
      isStale = isAsking;
      if (isAsking) return; // one at a time: an answer costs the console a moment, also one that nobody waits for
      isAsking = true;
      try {
        const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        const page = parser.parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(target.id);
        if (fresh && !isStale) target.replaceChildren(...fresh.childNodes);
      } catch {
        say("no connection to the console");
      }
      isAsking = false;
      if (isStale) show();
    };
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 350); });
    show();
  }

  // The picture of a large fleet: what is under the pointer.
  function pointed(link) {
    const image = link.querySelector("img");
    const place = (event) => {
      const box = image.getBoundingClientRect();
      const scale = image.naturalWidth / box.width;
      const address = new URL(link.href);
      return `${address.pathname}${address.search}&${Math.floor((event.clientX - box.left) * scale)},${Math.floor((event.clientY - box.top) * scale)}`;
    };
    let waiting = 0;
    link.addEventListener("mousemove", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(async () => {
        const answer = await fetch(place(event), { headers: { Accept: "application/json" } });
        const cell = answer.ok ? await answer.json() : {};
        const words = { ok: "well", warn: "warning", bad: "bad", off: "offline" };
        const told = document.querySelector("[data-pointed]");
        if (told) told.textContent = cell.name ? `${cell.name}: ${words[cell.condition]}` : "";
      }, 60);
    });
    link.addEventListener("click", (event) => {
      if (event.detail === 0) return;
      event.preventDefault();
      location.assign(place(event));
    });
  }

  document.addEventListener("click", (event) => {
    const sure = event.target.closest("[data-sure]");
    if (sure && !confirm(sure.dataset.sure)) event.preventDefault();
    const copy = event.target.closest("[data-copy]");
    if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => { copy.textContent = "Copied"; });
    if (event.target.closest("[data-print]")) print();
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
    if (event.key === "/" && !event.target.matches("input, select, textarea")) {
      const search = document.querySelector('input[type="search"]');
      if (search) { event.preventDefault(); search.focus(); }
    }
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches("input[type=file][data-into]")) return;
    const file = event.target.files[0];
    if (file && file.size < 300000) file.text().then((text) => { document.getElementById(event.target.dataset.into).value = text; });
  });
  localTimes(document);
  for (const here of document.querySelectorAll('nav [aria-current="page"]')) here.scrollIntoView({ block: "nearest", inline: "center" });
  document.querySelectorAll("form[data-auto]").forEach(automatic);
  document.querySelectorAll("form[data-preview]").forEach(preview);
  document.querySelectorAll("a[data-map]").forEach(pointed);
  document.querySelectorAll(".needs-script").forEach((one) => { one.hidden = false; });
  listen();
})();
