// A question that depends on another one is there only while it is asked. Without this all are there, with a word on when each is asked.
(() => {
  const told = (name) => [...document.getElementsByName(name)]
    .filter((each) => !each.disabled && (each.checked || !["radio", "checkbox"].includes(each.type)))
    .map((each) => each.value);
  const look = () => {
    for (const each of document.querySelectorAll("[data-if]")) {
      const asked = told(each.dataset.if).includes(each.dataset.equals);
      each.hidden = !asked;
      for (const field of each.querySelectorAll("input, select, textarea")) {
        field.disabled = !asked;
        if ("required" in field.dataset) field.required = asked;
      }
    }
  };
  for (const each of document.querySelectorAll("[data-when]")) each.hidden = true;
  // Said before a large file is sent in vain; the server says the same.
  const weigh = (field) => {
    const most = Number(field.dataset.most), file = field.files[0];
    field.setCustomValidity(file && file.size > most * 1024 * 1024 ? field.dataset.said : "");
    field.reportValidity();
  };
  document.addEventListener("change", (event) => { if (event.target.matches("[data-most]")) weigh(event.target); });
  document.addEventListener("change", look);
  look();
})();
