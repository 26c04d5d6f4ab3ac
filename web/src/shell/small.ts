// Small things of many pages: copy, dismiss, show a password.
import { delegate, one } from './dom';
import { t } from './i18n';
import { toast } from './toasts';

/** A file as text. Certificates and their lists often come in DER (it begins with a long SEQUENCE): those become PEM. */
function asText(bytes: Uint8Array, label: string): string {
  if (!label || bytes[0] !== 0x30 || (bytes[1] ?? 0) < 0x80) return new TextDecoder().decode(bytes);
  const coded = btoa(bytes.reduce((all, byte) => all + String.fromCharCode(byte), ''));
  return `-----BEGIN ${label}-----\n${coded.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`;
}

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
    const label = input.dataset.pem ?? '';
    void (input as HTMLInputElement).files?.[0]?.arrayBuffer().then((data) => {
      if (into) into.value = asText(new Uint8Array(data), label);
    });
  });
  delegate('change', 'select[data-submit]', (_, choice) => (choice as HTMLSelectElement).form?.requestSubmit());
  // A picture that cannot be made leaves black, not a broken mark.
  document.addEventListener(
    'error',
    (event) => event.target instanceof HTMLImageElement && event.target.classList.add('gone'),
    true,
  );
  // A form with work in it: leaving the page asks.
  delegate('input', 'form[data-guard]', (_, form) => form.toggleAttribute('data-dirty', true));
  delegate('submit', 'form[data-guard]', (_, form) => form.removeAttribute('data-dirty'));
  window.addEventListener('beforeunload', (event) => {
    if (one('form[data-dirty]')) event.preventDefault();
  });
}
