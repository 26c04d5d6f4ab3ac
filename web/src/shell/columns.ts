// The columns dialog: a line moves at once under the keyboard or the pointer; the form's order of fields is the order kept.
import { delegate } from './dom';

export function installColumns(): void {
  delegate('click', '[data-order] [data-move]', (event, button) => {
    const line = button.closest('li');
    if (!line) return;
    event.preventDefault();
    const other = button.dataset.move === '1' ? line.nextElementSibling : line.previousElementSibling;
    if (!other) return;
    if (button.dataset.move === '1') other.after(line);
    else other.before(line);
    button.focus();
  });
}
