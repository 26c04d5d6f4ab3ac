/** Asks for the words of an arrow or a text mark in the page's own dialog. */
export function askText(before: string): Promise<string | undefined> {
  const dialog = document.querySelector<HTMLDialogElement>('#viewer-text');
  const field = dialog?.querySelector<HTMLInputElement>('input');
  if (!dialog || !field) return Promise.resolve(undefined);
  field.value = before;
  dialog.returnValue = '';
  dialog.showModal();
  field.select();
  // No submit button: Enter in the field must put the text, and the first submit button would answer it.
  dialog.querySelector('[data-cancel]')?.addEventListener('click', () => dialog.close(), { once: true });
  return new Promise((resolve) => {
    dialog.addEventListener(
      'close',
      () => resolve(dialog.returnValue === 'ok' && field.value.trim() ? field.value.trim() : undefined),
      { once: true },
    );
  });
}
