// Small things of many pages: copy, dismiss, show a password.
import { delegate, one } from './dom';
import { t } from './i18n';
import { toast } from './toasts';

export function installSmall(): void {
  delegate('click', '[data-copy]', (_, button) => {
    const text = one<HTMLElement>(button.dataset.copy ?? '')?.innerText ?? '';
    void navigator.clipboard.writeText(text).then(() => toast({ kind: 'ok', what: t('Copied'), detail: text }));
  });
  delegate('click', '[data-dismiss]', (_, button) => button.closest('.toast, .note')?.remove());
  delegate('click', '[data-reveal]', (_, button) => {
    const field = one<HTMLInputElement>(button.dataset.reveal ?? '');
    if (!field) return;
    field.type = field.type === 'password' ? 'text' : 'password';
    button.setAttribute('aria-pressed', String(field.type === 'text'));
  });
  // A chosen text file is put into a field, where it can be looked at before it is sent.
  delegate('change', 'input[type=file][data-file-into]', (_, input) => {
    const into = one<HTMLTextAreaElement>(input.dataset.fileInto ?? '');
    void (input as HTMLInputElement).files?.[0]?.text().then((text) => {
      if (into) into.value = text;
    });
  });
  delegate('change', 'select[data-submit]', (_, choice) => (choice as HTMLSelectElement).form?.requestSubmit());
  // A picture that cannot be made leaves black, not a broken mark.
  document.addEventListener('error', (event) => event.target instanceof HTMLImageElement && event.target.classList.add('gone'), true);
  // A form with work in it: leaving the page asks.
  delegate('input', 'form[data-guard]', (_, form) => form.toggleAttribute('data-dirty', true));
  delegate('submit', 'form[data-guard]', (_, form) => form.removeAttribute('data-dirty'));
  window.addEventListener('beforeunload', (event) => {
    if (one('form[data-dirty]')) event.preventDefault();
  });
}
