// Loads the rendered picture of the image that is edited in its cell.
import { pictureQuery, type Editing } from './editing';

export class EditPicture {
  private loading = false;
  private again = false;

  /** current: what is edited now; draw: called when a new picture is shown. */
  constructor(
    private readonly current: () => Editing | null,
    private readonly draw: () => void,
  ) {}

  /** The picture as it is set now; one request at a time, the last setting wins. */
  load(): void {
    const now = this.current();
    if (!now) return;
    if (this.loading) {
      this.again = true;
      return;
    }
    const query = pictureQuery(now);
    this.loading = true;
    const next = new Image();
    const done = (): void => {
      this.loading = false;
      if (next.naturalWidth && this.current() === now) {
        now.picture.src = next.src;
        now.view.dataset.shown = query.toString();
        this.draw();
      }
      if (this.again) {
        this.again = false;
        this.load();
      }
    };
    next.addEventListener('load', done);
    next.addEventListener('error', done);
    next.src = `/api/v1/prints/preview/picture?${query}`;
  }
}
