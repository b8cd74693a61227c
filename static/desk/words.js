// Message template editor: previews the message while it is typed.
(() => {
  const words = document.getElementById("words"), look = document.getElementById("look");
  if (!words || !look) return;
  const show = () => {
    for (const name of ["subject", "body"]) look.elements[name].value = words.elements[name]?.value ?? "";
    look.submit();
  };
  let waiting;
  words.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 600); });
  words.querySelector("[data-preview]").addEventListener("click", (event) => { event.preventDefault(); show(); });
})();
