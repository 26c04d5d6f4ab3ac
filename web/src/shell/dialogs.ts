// <dialog> traps focus and gives it back by itself; this opens, closes and asks.
import { delegate, element, icon, one } from './dom';
import { t } from './i18n';

export function open(dialog: HTMLDialogElement | null | undefined): void {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  dialog.scrollTop = 0; // the button with the focus is at the end of a long one
}

export interface Question {
  title: string;
  text: string;
  safe: string;
  go: string;
  danger?: boolean;
  iconName?: string;
}

/** A confirmation: the safe button has the focus and is left. Answers true when the person goes on. */
export function ask(question: Question): Promise<boolean> {
  const safe = element('button', { class: 'btn', text: question.safe, attrs: { value: '', autofocus: '' } });
  const go = element('button', {
    class: `btn ${question.danger ? 'danger fill' : 'primary'}`,
    text: question.go,
    attrs: { value: 'go' },
  });
  const form = element(
    'form',
    { attrs: { method: 'dialog' } },
    element(
      'div',
      { class: 'body with-icon' },
      icon(question.iconName ?? (question.danger ? 'trash' : 'help'), 20),
      element(
        'div',
        {},
        element('h2', { text: question.title, attrs: { id: 'ask-title' } }),
        element('p', { text: question.text }),
      ),
    ),
    element('footer', {}, safe, go),
  );
  const dialog = element('dialog', { class: 'dialog', attrs: { 'aria-labelledby': 'ask-title' } }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) =>
    dialog.addEventListener('close', () => {
      dialog.remove();
      answer(dialog.returnValue === 'go');
    }),
  );
}
// icons: trash help

export function installDialogs(): void {
  delegate('click', '[data-open]', (event, button) => {
    const dialog = one<HTMLDialogElement>(button.dataset.open ?? '');
    if (!dialog || button.getAttribute('aria-disabled') === 'true') return;
    event.preventDefault();
    open(dialog);
  });
  // A button whose deed cannot be taken back asks once more: data-sure is the sentence that names what is lost.
  delegate('click', 'button[data-sure]', (event, button) => {
    if (button.dataset.asked) return void delete button.dataset.asked;
    event.preventDefault();
    void ask({
      title: button.dataset.sureTitle ?? t('Are you sure?'),
      text: button.dataset.sure ?? '',
      safe: t('Cancel'),
      go: button.textContent?.trim() ?? t('Continue'),
      danger: true,
    }).then((yes) => {
      button.focus();
      if (!yes) return;
      button.dataset.asked = 'yes';
      button.click();
    });
  });
  delegate('click', '[data-close]', (event, button) => {
    event.preventDefault();
    button.closest('dialog')?.close();
  });
  // A press on the veil closes, but never the lock or a dialog with work in it.
  document.addEventListener('pointerdown', (event) => {
    const dialog = event.target;
    if (!(dialog instanceof HTMLDialogElement) || dialog.id === 'lock' || dialog.querySelector('form[data-dirty]'))
      return;
    const box = dialog.getBoundingClientRect();
    if (event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom)
      dialog.close();
  });
  document.addEventListener('htmx:confirm', (event) => {
    const detail = (
      event as unknown as CustomEvent<{
        ctx: { confirm?: string; sourceElement: HTMLElement };
        issueRequest(): void;
        dropRequest(): void;
      }>
    ).detail;
    const text = detail.ctx.confirm;
    if (!text) return;
    event.preventDefault();
    const from = detail.ctx.sourceElement.dataset;
    const danger = detail.ctx.sourceElement.matches('.danger, :has(.danger)');
    void ask({
      title: from.confirmTitle ?? t('Are you sure?'),
      text,
      safe: t('Cancel'),
      go: from.confirmGo ?? t('Continue'),
      danger,
    }).then((yes) => (yes ? detail.issueRequest() : detail.dropRequest()));
  });
}
