// The form's values, as POST /api/v1/prints expects them.
import type { Cells, Item } from './state';

export interface Order {
  items: (Record<string, unknown> | null)[];
  [option: string]: unknown;
}

const NUMBERS = new Set(['margin_mm', 'gap_mm']);
const TICKS = ['header', 'ruler', 'letters'];

export function orderOf(form: HTMLFormElement, items: Cells): Order {
  const order: Order = { items: items.map((item) => item && ordered(item)) };
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== 'string' || TICKS.includes(name) || name === 'csrf_token') continue;
    if (name === 'password' && !value) continue;
    order[name] = NUMBERS.has(name) ? Number(value) : value;
  }
  // Values of another output are not sent with this one.
  if (order.output === 'images') {
    delete order.password;
    delete order.attach;
  } else delete order.image_format;
  for (const name of TICKS) order[name] = (form.elements.namedItem(name) as HTMLInputElement | null)?.checked ?? false;
  return order;
}

/** One image by the names of the interface, its crop as two corners. */
export function ordered({ rotation, flip, crop, ...rest }: Item): Record<string, unknown> {
  const [x, y, width, height] = crop ?? [0, 0, 1, 1];
  return {
    ...rest,
    ...(rotation ? { rotate: rotation } : {}),
    ...(flip ? { flip_horizontal: true } : {}),
    ...(crop ? { crop: [x, y, Math.min(1, x + width), Math.min(1, y + height)] } : {}),
  };
}
