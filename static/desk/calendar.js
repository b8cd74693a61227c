// Calendar: drag a row to a free time, click to book or block a time. Everything also works without this script.
(() => {
  const board = document.querySelector(".is-board"), moving = document.getElementById("moving"), taking = document.getElementById("taking");
  if (!board) return;
  const wide = matchMedia("(min-width: 52.01rem)");
  const at = (box, kin) => box.dataset.drops.split(" ").find((it) => it.startsWith(`${kin}:`))?.split(":")[1];

  // Scroll to the first box of the day.
  const first = board.querySelector(".now, .box.is-row, .box.is-free");
  const today = board.querySelector(".is-week .is-today");
  if (wide.matches && first) board.scrollTop = first.offsetTop - 40;
  if (wide.matches && today) board.scrollLeft = today.offsetLeft - board.clientWidth / 2;

  document.querySelectorAll("[data-shut]").forEach((it) => it.addEventListener("click", () => it.closest("dialog").close()));

  // --- drag and drop ---
  let lifted = null;
  const settle = () => {
    board.classList.remove("is-moving");
    board.querySelectorAll(".fits, .is-over, .is-lifted").forEach((it) => it.classList.remove("fits", "is-over", "is-lifted"));
  };
  if (moving) {
    board.addEventListener("dragstart", (event) => {
      lifted = event.target.closest(".box[data-id]");
      if (!lifted) return;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", lifted.dataset.title);
      setTimeout(() => {
        board.classList.add("is-moving");
        lifted.classList.add("is-lifted");
        board.querySelectorAll(".box.is-free").forEach((it) => it.classList.toggle("fits", Boolean(at(it, lifted.dataset.kin))));
      });
    });
    board.addEventListener("dragover", (event) => {
      const box = event.target.closest(".box.is-free.fits");
      board.querySelectorAll(".box.is-free.is-over").forEach((it) => { if (it !== box) it.classList.remove("is-over"); });
      if (!box) return;
      event.preventDefault();
      box.classList.add("is-over");
    });
    board.addEventListener("drop", (event) => {
      const box = event.target.closest(".box.is-free.fits");
      if (!box) return;
      event.preventDefault();
      ask(lifted, box);
    });
    board.addEventListener("dragend", () => { if (!moving.open) settle(); });
    moving.addEventListener("close", settle);

    const form = moving.querySelector("form"), no = moving.querySelector("[data-no]"), button = form.querySelector("button");
    let onto = null;
    const ask = (row, box) => {
      onto = { row, place: at(box, row.dataset.kin) };
      moving.querySelector("[data-who]").textContent = row.dataset.title;
      moving.querySelector("[data-from]").textContent = row.dataset.says;
      moving.querySelector("[data-to]").textContent = [box.dataset.says, box.closest(".stripe").dataset.called].filter(Boolean).join(", ");
      form.reset();
      no.hidden = true;
      moving.showModal();
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      button.disabled = true;
      const told = new FormData(form);
      told.set(board.dataset.place, onto.place);
      let words = "This was not saved. Check your connection and try again.";
      try {
        const answer = await fetch(board.dataset.drop.replace("/0/", `/${onto.row.dataset.id}/`), { method: "POST", body: new URLSearchParams(told), headers: { Accept: "application/json" }, redirect: "manual" });
        if (answer.type === "opaqueredirect") { location.reload(); return; }
        const { error } = await answer.json();
        words = [error.message, ...Object.values(error.fields)].filter((it, nth, all) => all.indexOf(it) === nth).join(" ");
      } catch { /* the words above say it */ }
      button.disabled = false;
      no.textContent = words;
      no.hidden = false;
      board.classList.remove("is-moving");
      onto.row.classList.remove("is-lifted");
    });
  }

  // --- click a time to book or block it ---
  const blocks = taking.hasAttribute("data-blocks");
  const two = (n) => String(n).padStart(2, "0");
  const open = (stripe, from, to, what, link) => {
    taking.querySelector("[data-what]").textContent = [what, stripe.dataset.called].filter(Boolean).join(", ");
    const take = taking.querySelector("[data-take]");
    take.hidden = !link;
    if (link) take.querySelector("a").href = link;
    if (blocks) {
      taking.querySelector("#taking-from").value = from;
      taking.querySelector("#taking-to").value = to;
      taking.querySelector("[data-whose]").value = stripe.dataset.group ?? "";
      taking.stripe = stripe;
    }
    taking.showModal();
    if (blocks && !link) taking.querySelector("#taking-why").focus();
  };
  board.addEventListener("click", (event) => {
    if (!wide.matches || event.ctrlKey || event.metaKey || event.target.closest(".box.is-row, .box.is-shut")) return;
    const free = event.target.closest(".box.is-free"), stripe = event.target.closest(".stripe"), hours = event.target.closest("ol");
    if (!hours || (!free && !blocks)) return;
    const link = free?.querySelector("a")?.href;
    if (free && link && !blocks) return;
    event.preventDefault();
    if (free) { open(stripe, free.dataset.from, free.dataset.to, free.dataset.says, link); return; }
    const minutes = Number(getComputedStyle(hours).getPropertyValue("--from")) * 60 + Math.floor(((event.clientY - hours.getBoundingClientRect().top) / hours.clientHeight) * Number(getComputedStyle(hours).getPropertyValue("--hours")) * 2) * 30;
    const said = (it) => `${two(Math.floor(it / 60))}:${two(it % 60)}`;
    open(stripe, said(minutes), said(Math.min(minutes + 60, 24 * 60 - 1)), `${stripe.dataset.day}, ${said(minutes)}`);
  });
  taking.querySelector("form")?.addEventListener("submit", () => {
    const { day, offset } = taking.stripe.dataset;
    taking.querySelector("[data-starts]").value = `${day}T${taking.querySelector("#taking-from").value}${offset}`;
    taking.querySelector("[data-ends]").value = `${day}T${taking.querySelector("#taking-to").value}${offset}`;
  });

  // --- the line of the current time ---
  const now = board.querySelector(".now");
  if (now) setInterval(() => {
    const minutes = Number(getComputedStyle(now).getPropertyValue("--past")) + 1;
    now.style.setProperty("--past", minutes);
  }, 60_000);
})();
