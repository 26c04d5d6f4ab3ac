/** Asks for the words of an arrow or a text mark in the page's own dialog. */
export function askText(before: string): Promise<string | undefined> {
  const dialog = document.querySelector<HTMLDialogElement>('#viewer-text');
  const field = dialog?.querySelector<HTMLInputElement>('input');
  if (!dialog || !field) return Promise.resolve(undefined);
  field.value = before;
  dialog.returnValue = '';
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'ok' && field.value.trim() ? field.value.trim() : undefined), { once: true });
  });
}
