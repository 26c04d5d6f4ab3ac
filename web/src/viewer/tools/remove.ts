/** Removing marks, and undo and redo of drawing, changing and removing them (Cornerstone's history). */
import { utilities } from '@cornerstonejs/core';
import { annotation, type Types } from '@cornerstonejs/tools';

type Mark = Types.Annotation;

const history = utilities.HistoryMemo.DefaultHistoryMemo;

/** Removes marks as one step to undo. */
export function removeMarks(marks: readonly Mark[]): void {
  if (!marks.length) return;
  const take = (): void => {
    for (const mark of marks) annotation.state.removeAnnotation(mark.annotationUID as string);
  };
  take();
  history.push({
    restoreMemo: (undo?: boolean) => {
      if (!undo) return take();
      for (const mark of marks) annotation.state.addAnnotation(mark, mark.metadata?.FrameOfReferenceUID ?? '');
    },
  });
}

export function removeSelected(): void {
  const uids = annotation.selection.getAnnotationsSelected();
  removeMarks(uids.flatMap((uid) => annotation.state.getAnnotation(uid) ?? []));
}

export function undo(): void {
  history.undo();
}

export function redo(): void {
  history.redo();
}

/** Another study: nothing of this one can be brought back. */
export function forget(): void {
  history.size = 50; // setting the size empties it
}
