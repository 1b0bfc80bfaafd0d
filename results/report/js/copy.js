// What is to be copied, to the clipboard: the command that runs it again, and those that lead to packets.
function startCopy() {
  const whole = $("copy");
  if (whole) copies(whole, $("command"));
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    copies(button, button.previousElementSibling);
  }
}

function copies(button, source) {
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // A page opened from a file may have no clipboard: select it, and copy the old way.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
}
