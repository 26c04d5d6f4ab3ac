/** Measurements are nowhere but in this page: a user who leaves it is asked, and the composer restores them. */
import { annotation, type Types } from '@cornerstonejs/tools';
import type { Question } from '../shell/dialogs';
import { guard } from '../shell/leaving';
import { t, tn } from './strings';
import { measureOf } from './tools/measure';

type Mark = Types.Annotation;

/** Those of a study that was left for its print. */
let unguard: (() => void) | undefined;
let kept: { readonly study: string; readonly marks: readonly Mark[] } | undefined;

export function measurements(): Mark[] {
  return annotation.state.getAllAnnotations().filter((mark) => measureOf(mark.metadata?.toolName ?? ''));
}

/** Keeps the measurements of the study while it is printed; `restore` brings them back. From the print only the viewer of
 * this study is reached without a question; for any other page they are discarded. */
export function keep(study: string): void {
  const marks = measurements();
  forget();
  if (marks.length === 0) return;
  kept = { study, marks };
  unguard = guard((to) =>
    to?.pathname === '/viewer' && to.searchParams.get('study') === study ? undefined : lost(marks.length),
  );
}

function forget(): void {
  kept = undefined;
  unguard?.();
  unguard = undefined;
}

document.addEventListener('filmroom:page', () => {
  if (!['/print', '/viewer'].includes(location.pathname)) forget();
});

// All of them are on paper: nothing is lost by leaving, and the viewer still finds them again.
document.addEventListener('filmroom:printed', (event) => {
  const { marks } = (event as CustomEvent<{ marks: number }>).detail;
  if (!kept || marks < kept.marks.length) return;
  unguard?.();
  unguard = undefined;
});

export function restore(study: string): void {
  if (kept?.study !== study) return forget();
  for (const mark of kept.marks) annotation.state.addAnnotation(mark, mark.metadata?.FrameOfReferenceUID ?? '');
  forget();
}

function lost(count: number): Question | undefined {
  if (count === 0) return undefined;
  return {
    title: t('Leave without saving?'),
    text: tn('1 measurement is not saved and will be lost.', '{n} measurements are not saved and will be lost.', count),
    safe: t('Cancel'),
    go: t('Leave page'),
    danger: true,
    iconName: 'alert-triangle',
  };
}

/** While the viewer is open. Answers what ends it. */
export function askBeforeLeaving(): () => void {
  return guard(() => lost(measurements().length));
}
