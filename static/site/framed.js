// A page within somebody else's: tells the page around it how tall it is, and where it wants to be looked at. Only those on our list hear it.
(function () {
  const allowed = document.currentScript.dataset.on.split(" ");
  let around = "";
  const tell = (what) => { if (around) parent.postMessage(what, around); };
  const tall = () => tell({ frontdesk: "height", height: document.documentElement.offsetHeight });

  addEventListener("message", (event) => {
    if (event.source !== parent || !allowed.includes(event.origin) || !event.data || event.data.frontdesk !== "here" || around) return;
    around = event.origin;
    tall();
    const first = document.querySelector("[data-first]"), part = first || document.getElementById(location.hash.slice(1));
    if (first) first.focus({ preventScroll: true });  // autofocus is not heard in a frame
    tell({ frontdesk: "page", at: part ? part.getBoundingClientRect().top + scrollY : 0 });
    new ResizeObserver(tall).observe(document.documentElement);
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented) tell({ frontdesk: "escape" }); });
})();
