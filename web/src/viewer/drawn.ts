/** The marks of a cell as vectors in pixels of its image: exactly what the layer over the canvas shows, texts included. */
import type { Annotation } from '../composer/state';
import type { Point, ToImage } from './seen';

const CURVE = 96; // points of a curve
const HEAD = 10; // pixels of an arrow's head

export function drawnOn(canvas: HTMLElement, toImage: ToImage): Annotation[] {
  const layer = canvas.querySelector<SVGSVGElement>('svg.svg-layer');
  if (!layer) return [];
  const { width, height } = layer.getBoundingClientRect();
  const visible = ([x, y]: Point): boolean => x >= 0 && y >= 0 && x <= width && y <= height;
  const made: Annotation = { lines: [], texts: [] };
  for (const shape of layer.querySelectorAll<SVGGeometryElement>(
    'line, polyline, polygon, path, ellipse, circle, rect',
  )) {
    if (shape.closest('defs, marker') || shape.classList.contains('background') || !stroked(shape)) continue;
    const dashed = (shape.getAttribute('stroke-dasharray') ?? '') !== '';
    for (const points of outlines(shape))
      if (points.length > 1) made.lines.push({ points: points.map((one) => rounded(toImage(one))), dashed });
  }
  for (const text of layer.querySelectorAll<SVGTextElement>('text')) {
    const lines = [...text.querySelectorAll('tspan')].map((span) => span.textContent ?? '');
    const box = text.getBBox();
    const at = moved(text, [box.x, box.y]);
    const words = lines.length ? lines : [text.textContent ?? ''];
    if (words.some((line) => line.trim()) && visible(at)) made.texts.push({ at: rounded(toImage(at)), lines: words });
  }
  return made.lines.length || made.texts.length ? [made] : [];
}

function stroked(shape: SVGElement): boolean {
  const style = getComputedStyle(shape);
  return (
    style.stroke !== 'none' && style.visibility !== 'hidden' && style.display !== 'none' && Number(style.opacity) > 0
  );
}

/** The lines of a shape in pixels of the canvas. */
function outlines(shape: SVGGeometryElement): Point[][] {
  if (shape instanceof SVGLineElement) {
    const start = moved(shape, [shape.x1.baseVal.value, shape.y1.baseVal.value]);
    const end = moved(shape, [shape.x2.baseVal.value, shape.y2.baseVal.value]);
    return [[start, end], ...(shape.getAttribute('marker-end') ? [head(start, end)] : [])];
  }
  if (shape instanceof SVGPolylineElement || shape instanceof SVGPolygonElement) {
    const points = [...shape.points].map((one) => moved(shape, [one.x, one.y]));
    return [shape instanceof SVGPolygonElement && points[0] ? [...points, points[0]] : points];
  }
  const length = shape.getTotalLength();
  if (!(length > 0)) return [];
  return [
    Array.from({ length: CURVE + 1 }, (_, n) => shape.getPointAtLength((n / CURVE) * length)).map(({ x, y }) =>
      moved(shape, [x, y]),
    ),
  ];
}

/** An arrow's head that the browser draws as a marker. */
function head(start: Point, end: Point): Point[] {
  const angle = Math.atan2(end[1] - start[1], end[0] - start[0]);
  const side = (turn: number): Point => [
    end[0] - HEAD * Math.cos(angle + turn),
    end[1] - HEAD * Math.sin(angle + turn),
  ];
  return [side(Math.PI / 7), end, side(-Math.PI / 7)];
}

/** A point of the shape in pixels of the layer: groups are moved. */
function moved(shape: SVGGraphicsElement, [x, y]: Point): Point {
  const matrix = shape.getCTM();
  return matrix ? [matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f] : [x, y];
}

function rounded([column, row]: Point): [number, number] {
  return [Number(column.toFixed(3)), Number(row.toFixed(3))];
}
