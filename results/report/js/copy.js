// The command that runs it again, to the clipboard.
function startCopy() {
  const button = $("copy");
  if (!button) return;
  button.onclick = async () => {
    const command = $("command");
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch {
      // A page opened from a file may have no clipboard: select it, and copy the old way.
      getSelection().selectAllChildren(command);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
}
