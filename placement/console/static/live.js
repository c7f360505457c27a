// Keeps an open page up to date: the server sends fragments of the page, and each takes
// the place of the one before. Without this script the pages say the same, as of when
// they were loaded.
"use strict";

(() => {
  const address = document.body.dataset.live;
  if (!address || !window.EventSource) return;
  let source = null;

  // A reader who selects text, or whose focus is inside, keeps what is there in place.
  const selectsIn = (element) => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && element.contains(selection.anchorNode);
  };

  const place = (element, html) => {
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const where = focused && (focused.id ? `#${CSS.escape(focused.id)}`
      : focused.getAttribute("href") ? `[href="${CSS.escape(focused.getAttribute("href"))}"]` : "");
    const open = [...element.querySelectorAll("details[open][id]")].map((one) => one.id);
    element.innerHTML = html;
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    if (where) {
      const again = element.querySelector(where);
      if (again) again.focus({ preventScroll: true });
    }
  };

  const begin = () => {
    if (source) return;
    source = new EventSource(address);
    source.addEventListener("fragment", (event) => {
      const told = JSON.parse(event.data);
      const element = document.getElementById(told.id);
      if (element && element.innerHTML !== told.html && !selectsIn(element)) place(element, told.html);
    });
    source.addEventListener("open", () => { document.body.dataset.connected = "yes"; });
    source.addEventListener("error", () => { document.body.dataset.connected = "no"; });
  };

  const end = () => {
    if (source) source.close();
    source = null;
  };

  // Browsers keep few connections to one server: pages that nobody sees need none.
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  window.addEventListener("pagehide", end);
  window.addEventListener("pageshow", () => { if (!document.hidden) begin(); });
  if (!document.hidden) begin();
})();
