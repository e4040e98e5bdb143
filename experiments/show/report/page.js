"use strict";
{
  const run = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const stage = find("stage");
  const choice = { left: find("choose-left"), right: find("choose-right") };
  const buttons = [...find("list").querySelectorAll("button")];
  // The image below, the two sides above it, all of them below the outline.
  const [image, left, right] = ["image", "left", "right"].map((id) => {
    const picture = document.createElement("img");
    picture.id = id;
    picture.draggable = false;
    stage.insertBefore(picture, find("truth"));
    return picture;
  });
  let current = 0;

  function show(index) {
    current = (index + run.cases.length) % run.cases.length;
    const one = run.cases[current];
    image.src = one.image;
    image.alt = `Image of case ${one.id}`;
    stage.style.setProperty("--ratio", one.ratio);
    find("truth").setAttribute("viewBox", `0 0 ${one.size.join(" ")}`);
    for (const path of find("truth").children) path.setAttribute("d", one.outline);
    find("position").textContent = one.title;
    buttons.forEach((button, at) => button.setAttribute("aria-current", String(at === current)));
    // Not scrollIntoView: it would move the page, too.
    find("list").scrollTop = buttons[current].offsetTop - find("list").clientHeight / 2;
    showSides();
  }

  function showSides() {
    const one = run.cases[current];
    for (const [side, picture] of Object.entries({ left, right })) {
      const row = Number(choice[side].value);
      const title = run.sides[row];
      const numbers = one.numbers[row]; // none of the ground truth
      picture.src = one.maps[row];
      picture.alt = `Labels by ${title}`;
      find(`badge-${side}`).textContent = numbers ? `${title}: ${numbers[0]}` : title;
    }
    const lines = one.numbers.map((numbers, row) => {
      const line = document.createElement("tr");
      line.classList.toggle("chosen", Object.values(choice).some((one) => Number(one.value) === row));
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = run.sides[row];
      const cells = numbers.map((number) => {
        const cell = document.createElement("td");
        cell.textContent = number;
        return cell;
      });
      line.append(head, ...cells);
      return line;
    });
    find("numbers").replaceChildren(...lines);
    wipe();
  }

  function wipe() {
    const share = find("wipe").value;
    stage.style.setProperty("--wipe", `${share}%`);
    const title = run.sides[Number(choice.left.value)];
    find("wipe").setAttribute("aria-valuetext", `${share} % ${title}`);
  }

  function drag(event) {
    if (!(event.buttons & 1)) return;
    const box = stage.getBoundingClientRect();
    find("wipe").value = (100 * (event.clientX - box.left)) / box.width;
    wipe();
  }

  async function copy() {
    const area = find("markdown");
    try {
      await navigator.clipboard.writeText(area.value);
      find("copied").textContent = "Copied.";
    } catch {
      // Some browsers give a page that is a file no clipboard.
      area.hidden = false;
      area.select();
      find("copied").textContent = "Press Ctrl+C (or ⌘C) to copy the selected text.";
    }
  }

  function press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const busy = event.target.closest("input, select, textarea, .scroll");
    if (!step || busy || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(current + step);
  }

  buttons.forEach((button, index) => button.addEventListener("click", () => show(index)));
  find("previous").addEventListener("click", () => show(current - 1));
  find("next").addEventListener("click", () => show(current + 1));
  document.addEventListener("keydown", press);
  choice.left.addEventListener("change", showSides);
  choice.right.addEventListener("change", showSides);
  find("wipe").addEventListener("input", wipe);
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", drag);
  find("strength").addEventListener("input", (event) => {
    stage.style.setProperty("--strength", event.target.value / 100);
  });
  find("outlined").addEventListener("change", (event) => {
    find("truth").toggleAttribute("hidden", !event.target.checked);
  });
  find("copy").addEventListener("click", copy);
  show(0);
}
