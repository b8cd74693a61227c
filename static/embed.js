// Puts the booking pages into the page that loads this, after this script: <script src=".../embed.js" data-service="..." async></script>
// Of that page it needs script-src and frame-src for our origin, and nothing else: no inline script, no inline style, no global name.
(function () {
  const script = document.currentScript, ours = new URL(script.src).origin;
  const label = script.dataset.button, title = script.dataset.title || label || "Book a time";
  const address = new URL(`/embed/${encodeURIComponent(script.dataset.service)}`, ours);
  address.searchParams.set("tz", Intl.DateTimeFormat().resolvedOptions().timeZone);
  // The language of the page around it; one that we do not speak is not heard.
  const lang = script.dataset.lang || document.documentElement.lang.split("-")[0];
  if (lang) address.searchParams.set("lang", lang);

  // A sheet that was made by script is no inline style, and the shadow keeps their style and ours apart.
  const place = document.createElement("div"), inside = place.attachShadow({ mode: "open" }), sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { display: block; color-scheme: light dark; }
    iframe { display: block; width: 100%; height: 40rem; border: 0; color-scheme: normal; background: transparent; }
    .open { min-height: 3rem; padding: 0.5rem 1.5rem; border: 1px solid transparent; border-radius: 10px; background: #0d5c58; color: #fff; font: 600 1rem/1.5 system-ui, sans-serif; cursor: pointer; }
    .open:hover { background: #094643; }
    button:focus-visible { outline: 3px solid #b45f00; outline-offset: 2px; }
    dialog { box-sizing: border-box; width: min(64rem, 100vw - 1rem); height: min(52rem, 100dvh - 1rem); max-width: none; max-height: none; margin: auto; padding: 0; overflow: hidden; border: 0; border-radius: 16px; background: Canvas; }
    dialog::backdrop { background: rgb(0 0 0 / 55%); }
    .bar { display: flex; justify-content: flex-end; height: 3.25rem; padding: 0.25rem; box-sizing: border-box; }
    .shut { width: 2.75rem; height: 2.75rem; border: 0; border-radius: 10px; background: none; color: CanvasText; font: 1.5rem/1 system-ui, sans-serif; cursor: pointer; }
    dialog iframe { height: calc(100% - 3.25rem); }
  `);
  inside.adoptedStyleSheets = [sheet];

  const frame = document.createElement("iframe");
  frame.title = title;
  frame.src = address;
  // Each page in the frame learns from this who is around it.
  frame.addEventListener("load", () => frame.contentWindow.postMessage({ frontdesk: "here" }, ours));
  let pages = 0;
  const grow = (height) => { if (height > 0 && !label) frame.style.height = `${Math.ceil(height)}px`; };
  const show = (at) => {
    const y = frame.getBoundingClientRect().top + at;
    if (pages++ && !label && (y < 0 || y > innerHeight * 0.8)) scrollBy(0, y - 16);
  };
  addEventListener("message", (event) => {
    if (event.origin !== ours || event.source !== frame.contentWindow || !event.data) return;
    const { frontdesk, height, at } = event.data;
    if (frontdesk === "height") grow(Number(height));
    if (frontdesk === "page") show(Number(at) || 0);
    if (frontdesk === "escape") shut();
  });

  const dialog = document.createElement("dialog");
  const shut = () => dialog.close();
  const button = (name, words, heard, press) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: name, textContent: words });
    if (heard) made.setAttribute("aria-label", heard);
    made.setAttribute("part", name);
    made.addEventListener("click", press);
    return made;
  };

  if (label) {
    const bar = Object.assign(document.createElement("div"), { className: "bar" });
    bar.append(button("shut", "×", "Close", shut));
    dialog.setAttribute("aria-label", title);
    dialog.append(bar);
    // The browser itself keeps the focus in an open dialog, closes it at Escape, and gives the focus back.
    const open = () => { if (!frame.isConnected) dialog.append(frame); dialog.showModal(); };
    dialog.addEventListener("click", (event) => { if (event.target === dialog) shut(); });
    inside.append(button("open", label, "", open), dialog);
  } else inside.append(frame);
  script.after(place);
})();
